//! Logs on stderr: JSON lines, one object a record, with `level`, `timestamp` (Unix seconds) and
//! `msg` first, then the record's own fields, `version` and `commit` at last. On a terminal the
//! same records are coloured lines for people.

use std::{
    fmt,
    io::IsTerminal as _,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter,
        format::{JsonFields, Writer},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
};

/// The crates whose records are logged at the level asked for. Those of libraries are logged from
/// `warning` on: at `debug` they tell of every packet.
const OWN_CRATES: [&str; 11] = [
    "access",
    "broker",
    "devnet",
    "gossip",
    "gossip_libp2p",
    "identity",
    "node",
    "p2pnode",
    "proxy",
    "rlnc",
    "service",
];

/// Begins to log. `level` is lenient, unlike every other setting: `debug`, `info`, `warn`,
/// `warning` and `error` are levels, anything else means `info`. A second call does nothing.
pub fn init(level: &str, version: &'static str, commit: &'static str) {
    let subscriber = tracing_subscriber::registry().with(to_stderr(level, version, commit));
    // Somebody else, a test for example, may log already.
    let _already = tracing::subscriber::set_global_default(subscriber);
}

/// The same, and beside it every record from `warning` on goes to `writer`, as a line for people
/// without colours. Without `stderr` nothing goes anywhere else.
pub fn init_beside<W>(
    level: &str,
    version: &'static str,
    commit: &'static str,
    stderr: bool,
    writer: W,
) where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let beside = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .fmt_fields(JsonFields::new())
        .event_format(Lines::ForPeople { coloured: false })
        .with_filter(targets(LevelFilter::WARN));
    let stderr = stderr.then(|| to_stderr(level, version, commit));
    let subscriber = tracing_subscriber::registry().with(stderr).with(beside);
    let _already = tracing::subscriber::set_global_default(subscriber);
}

fn to_stderr<S>(level: &str, version: &'static str, commit: &'static str) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let format = if std::io::stderr().is_terminal() {
        Lines::ForPeople { coloured: true }
    } else {
        Lines::ForMachines(JsonLines { version, commit })
    };
    tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .fmt_fields(JsonFields::new())
        .event_format(format)
        .with_filter(targets(filter(level)))
}

fn targets(level: LevelFilter) -> Targets {
    let own = OWN_CRATES.map(|name| (name, level));
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        // It warns of having no peers yet, which is how every first node starts.
        .with_target("libp2p_kad", level.min(LevelFilter::ERROR))
        // It warns of every message that is not valid or finds no room, with all of its bytes; the
        // node counts them.
        .with_target("libp2p_gossipsub", level.min(LevelFilter::ERROR))
        .with_targets(own)
}

/// Returns the level that [`init`] makes of a text.
pub fn effective(level: &str) -> &'static str {
    filter(level).into_level().map_or("info", name)
}

fn filter(level: &str) -> LevelFilter {
    match level.trim().to_ascii_lowercase().as_str() {
        "debug" => LevelFilter::DEBUG,
        "warn" | "warning" => LevelFilter::WARN,
        "error" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

/// How records are written.
enum Lines {
    ForPeople { coloured: bool },
    ForMachines(JsonLines),
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        // What belongs to the request that is being served.
        for span in context.event_scope().into_iter().flatten() {
            if let Some(of_span) = span.extensions().get::<FormattedFields<N>>()
                && let Ok(of_span) = serde_json::from_str::<Map<String, Value>>(of_span)
            {
                fields.others.extend(of_span);
            }
        }
        event.record(&mut fields);
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let level = *event.metadata().level();
        match self {
            Self::ForPeople { coloured } => {
                for_people(&mut writer, seconds, level, &fields, *coloured)
            }
            Self::ForMachines(lines) => lines.write(&mut writer, seconds, level, fields),
        }
    }
}

struct JsonLines {
    version: &'static str,
    commit: &'static str,
}

impl JsonLines {
    fn write(
        &self,
        writer: &mut Writer<'_>,
        seconds: u64,
        level: Level,
        fields: Fields,
    ) -> fmt::Result {
        let level = name(level);
        let message = Value::from(fields.message);
        write!(writer, r#"{{"level":"{level}","timestamp":{seconds},"msg":{message}"#)?;
        for (key, value) in &fields.others {
            write!(writer, ",{}:{value}", Value::from(key.as_str()))?;
        }
        let (version, commit) = (Value::from(self.version), Value::from(self.commit));
        writeln!(writer, r#","version":{version},"commit":{commit}}}"#)
    }
}

/// Time of day (UTC), level, text, then what the record carries.
fn for_people(
    writer: &mut Writer<'_>,
    seconds: u64,
    level: Level,
    fields: &Fields,
    coloured: bool,
) -> fmt::Result {
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let (colour, dim, end) =
        if coloured { (colour(level), "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    let (level, text) = (name(level), printable(&fields.message));
    write!(writer, "{hour:02}:{minute:02}:{second:02} {colour}{level:7}{end} {text}")?;
    for (key, value) in &fields.others {
        let value = value.as_str().map_or_else(|| value.to_string(), printable);
        write!(writer, " {dim}{key}={end}{value}")?;
    }
    writeln!(writer)
}

/// What peers and clients named must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG | Level::TRACE => "\x1b[34m",
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

/// What an event carries.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.put(field, format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_record_is_one_json_object_with_the_agreed_keys() {
        let sink = Sink::default();
        let written = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || written.clone())
            .event_format(Lines::ForMachines(JsonLines { version: "v1", commit: "8f3057d" }))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(peer = "12D3", count = 3, "a \"quoted\" thing\nhappened");
        });
        let bytes = sink.0.lock().expect("not poisoned").clone();
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let record: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(record["level"], "warning");
        assert_eq!(record["msg"], "a \"quoted\" thing\nhappened");
        assert_eq!((&record["peer"], &record["count"]), (&"12D3".into(), &3.into()));
        assert_eq!((&record["version"], &record["commit"]), (&"v1".into(), &"8f3057d".into()));
        assert!(record["timestamp"].as_u64().is_some_and(|seconds| seconds > 1_700_000_000));
    }

    #[test]
    fn a_record_within_a_span_bears_what_the_span_does() {
        let sink = Sink::default();
        let written = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || written.clone())
            .fmt_fields(JsonFields::new())
            .event_format(Lines::ForMachines(JsonLines { version: "v1", commit: "8f3057d" }))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request", request_id = "a\"b");
            span.in_scope(|| tracing::info!(count = 3, "within"));
        });
        let bytes = sink.0.lock().expect("not poisoned").clone();
        let record: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!((&record["request_id"], &record["count"]), (&"a\"b".into(), &3.into()));
    }

    #[test]
    fn a_record_for_people_is_one_line_and_steers_no_terminal() {
        let sink = Sink::default();
        let written = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || written.clone())
            .event_format(Lines::ForPeople { coloured: true })
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(topic = "a\x1b[2J\nb", count = 3, "it happened");
        });
        let bytes = sink.0.lock().expect("not poisoned").clone();
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.contains("\x1b[33mwarning\x1b[0m it happened"), "{text}");
        assert!(text.contains("count=\x1b[0m3") && !text.contains("[2J\n"), "{text}");
        assert!(!text.contains("a\x1b"), "{text}");
    }

    #[test]
    fn a_record_without_colours_is_plain_text() {
        let sink = Sink::default();
        let written = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || written.clone())
            .event_format(Lines::ForPeople { coloured: false })
            .finish();
        tracing::subscriber::with_default(subscriber, || tracing::warn!(count = 3, "so it is"));
        let bytes = sink.0.lock().expect("not poisoned").clone();
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert!(text.ends_with(" warning so it is count=3\n"), "{text:?}");
    }

    #[test]
    fn libraries_are_logged_from_warning_on_whatever_the_level() {
        let debug = targets(LevelFilter::DEBUG);
        assert!(debug.would_enable("node::event_loop", &Level::DEBUG));
        assert!(debug.would_enable("libp2p_swarm", &Level::WARN));
        assert!(!debug.would_enable("libp2p_swarm", &Level::INFO));
        assert!(!debug.would_enable("libp2p_gossipsub", &Level::WARN));
        let error = targets(LevelFilter::ERROR);
        assert!(!error.would_enable("node", &Level::WARN));
        assert!(!error.would_enable("libp2p_swarm", &Level::WARN));
    }

    #[test]
    fn an_unknown_level_means_info() {
        for (level, expected) in [
            ("debug", LevelFilter::DEBUG),
            ("Warning", LevelFilter::WARN),
            ("warn", LevelFilter::WARN),
            ("error", LevelFilter::ERROR),
            ("production", LevelFilter::INFO),
            ("", LevelFilter::INFO),
        ] {
            assert_eq!(filter(level), expected, "{level:?}");
            assert_eq!(filter(effective(level)), expected, "{level:?}");
        }
    }
}
