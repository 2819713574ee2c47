//! `mump2p publish`.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use cli::clock::unix_ns;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use token::Limits;

use super::account;
use crate::{
    Context, Error, Output,
    arguments::Global,
    auth, debug_line,
    direct::{self, Wish, cache::Sessions},
    http::Service,
    mode::{self, Mode, ModeArgs},
    output, progress,
    proxy::{grpc, rest},
    usage,
};

/// The longest file that is read, in bytes: far more than any proxy or node takes.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Nodes that a session for publishing names unless it is told otherwise.
const EXPOSE_AMOUNT: u32 = 1;

/// Publish a message.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which topic.
    #[arg(long)]
    pub topic: String,
    /// The message.
    #[arg(long)]
    pub message: Option<String>,
    /// The file whose content is the message.
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// Which way.
    #[command(flatten)]
    pub mode: ModeArgs,
}

/// Publishes it.
///
/// # Errors
///
/// Returns an error if it is not published.
pub(crate) async fn run(args: Args, global: &Global, context: &Context) -> Result<(), Error> {
    let mode = args.mode.mode(None, mode::variable().as_deref())?;
    check_topic(&args.topic)?;
    let (source, payload) = content(args.message, args.file.as_deref())?;
    let counters = account::counters(global, context)?;
    let bytes = payload.len() as u64;
    let counted = match (&counters, &context.limits) {
        (Some(path), Some(limits)) => Some(Counted::new(path, limits, bytes).await?),
        _ => None,
    };
    let published = async {
        let payload = stamped(payload, &args.topic, mode, context)?;
        let publish = Publish { topic: &args.topic, payload, source: &source, context };
        match mode {
            Mode::Http => publish.by_http().await,
            Mode::Grpc => publish.by_grpc(args.mode.grpc_address.as_deref()).await,
            Mode::Direct => {
                publish.direct(global, args.mode.expose_amount.unwrap_or(EXPOSE_AMOUNT)).await
            }
        }
    };
    let published = published.await;
    if let (Err(error), Some(counted)) = (&published, counted)
        && !error.is_silent()
    {
        counted.take_back().await;
    }
    published
}

/// A message that was counted before it is published: of two processes one gets the last that is
/// allowed. One that is interrupted meanwhile stays counted, since it may be published.
struct Counted<'a> {
    path: &'a Path,
    bytes: u64,
    at: Timestamp,
    published_before: Timestamp,
}

impl<'a> Counted<'a> {
    /// Counts it, unless it would go beyond a limit.
    async fn new(path: &'a Path, limits: &Limits, bytes: u64) -> Result<Self, Error> {
        let at = Timestamp::now();
        let admitted = usage::file::update(path, at, |counters| {
            counters.admit(limits, bytes, at)?;
            let before = counters.last_publish_time;
            counters.published(bytes, at);
            Ok::<_, usage::Exceeded>(before)
        });
        let published_before = admitted.await?.map_err(|limit| Error::Failed(limit.to_string()))?;
        Ok(Self { path, bytes, at, published_before })
    }

    /// Counts it no longer. That it cannot be is said and changes nothing else.
    async fn take_back(self) {
        let now = Timestamp::now();
        let Self { path, bytes, at, published_before } = self;
        let taken_back = usage::file::update(path, now, |counters| {
            counters.not_published(bytes, at, published_before);
        });
        if let Err(error) = taken_back.await {
            output::note(&format!("a message that was not published stays counted: {error}"));
        }
    }
}

/// Checks the name of a topic.
pub(crate) fn check_topic(topic: &str) -> Result<(), Error> {
    match topic.len() {
        0 => Err(Error::Usage("--topic is empty: name the topic".to_owned())),
        1..=api::rest::TOPIC_BYTES_MAX => Ok(()),
        bytes => Err(Error::Usage(format!(
            "--topic has {bytes} bytes, at most {} are allowed",
            api::rest::TOPIC_BYTES_MAX
        ))),
    }
}

/// Returns what the message is, for people, and the message.
fn content(message: Option<String>, file: Option<&Path>) -> Result<(String, Bytes), Error> {
    match (message, file) {
        (Some(_), Some(_)) => {
            Err(Error::Usage("only one of --message or --file should be used at a time".to_owned()))
        }
        (None, None) => Err(Error::Usage("either --message or --file must be provided".to_owned())),
        (Some(message), None) if message.is_empty() => {
            Err(Error::Usage("--message is empty: nothing would be published".to_owned()))
        }
        (Some(message), None) => Ok(("inline message".to_owned(), message.into())),
        (None, Some(path)) => Ok((path.display().to_string(), read(path)?)),
    }
}

fn read(path: &Path) -> Result<Bytes, Error> {
    let failed = |problem: &dyn std::fmt::Display| {
        Error::Failed(format!("failed to read file: {}: {problem}", path.display()))
    };
    let mut content = Vec::new();
    let file = File::open(path).map_err(|error| failed(&error))?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content).map_err(|error| failed(&error))?;
    match content.len() as u64 {
        0 => Err(failed(&"it is empty: nothing would be published")),
        1..=FILE_BYTES_MAX => Ok(content.into()),
        _ => Err(failed(&format!("longer than {FILE_BYTES_MAX} bytes, which nobody takes"))),
    }
}

/// With `--debug`: says what is published, and puts sender and time in front of it.
fn stamped(payload: Bytes, topic: &str, mode: Mode, context: &Context) -> Result<Bytes, Error> {
    if !context.debug {
        return Ok(payload);
    }
    let address = debug_line::own_address(&context.service_url);
    let now = unix_ns();
    let protocol = match mode {
        Mode::Http => "HTTP",
        Mode::Grpc => "gRPC",
        Mode::Direct => "gRPC-direct",
    };
    let payload = debug_line::stamped(&address, now, &payload);
    let line = debug_line::published(&address, now, topic, &payload, protocol);
    match context.output {
        Output::Table => output::line(&line)?,
        Output::Json | Output::Yaml => output::note(&line),
    }
    Ok(payload.into())
}

struct Publish<'a> {
    topic: &'a str,
    payload: Bytes,
    source: &'a str,
    context: &'a Context,
}

impl Publish<'_> {
    async fn by_http(&self) -> Result<(), Error> {
        let Ok(message) = std::str::from_utf8(&self.payload) else {
            return Err(Error::Failed(
                "HTTP publish failed: the message is no UTF-8 text, which REST needs; publish any \
                 bytes with --grpc or --direct"
                    .to_owned(),
            ));
        };
        let service = Service::new(self.context)?;
        let answer = rest::publish(&service, self.context.client()?, self.topic, message).await;
        let answer = answer.map_err(|error| error.during("HTTP publish failed"))?;
        answer.ok_of(service.base(), "publish error")?;
        let body = serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body.clone()));
        self.context.output.print(&body, |_| {
            format!("✅ Published via HTTP {}\n{}", self.source, answer.body.trim_end())
        })
    }

    async fn by_grpc(&self, address: Option<&str>) -> Result<(), Error> {
        let context = self.context;
        let url = grpc::address(&context.service_url, address)?;
        let spinner = progress::spinner(self.payload.len(), format!("publishing to {url}"));
        let published = async {
            let mut proxy = grpc::Proxy::connect(context, &url).await?;
            proxy.publish(context.client()?, self.topic, self.payload.clone()).await
        };
        let published = published.await;
        spinner.finish_and_clear();
        let published = published.map_err(|error| error.during("gRPC publish failed"))?;
        let body = json!({
            "message_id": published.message_id, "status": published.status, "topic": published.topic,
        });
        context.output.print(&body, |body| format!("✅ Published via gRPC {}\n{body}", self.source))
    }

    async fn direct(&self, global: &Global, expose_amount: u32) -> Result<(), Error> {
        let context = self.context;
        let sessions = sessions(global, context, self.topic, "publish", expose_amount)?;
        let published = direct::publish::publish(&sessions, self.topic, &self.payload).await?;
        let message_id = hex::encode(Sha256::digest(&self.payload));
        let body = json!({
            "message_id": message_id, "node": published.node.address,
            "region": published.node.region(), "status": "published", "topic": self.topic,
            "took_ms": published.took.as_secs_f64() * 1000.0,
        });
        context.output.print(&body, |_| published.line(&message_id))
    }
}

/// Sessions of the context's proxy for one use of one topic.
pub(crate) fn sessions(
    global: &Global,
    context: &Context,
    topic: &str,
    capability: &str,
    expose_amount: u32,
) -> Result<Sessions, Error> {
    let wish = Wish {
        client_id: context.client()?.to_owned(),
        topics: vec![topic.to_owned()],
        capabilities: vec![capability.to_owned()],
        expose_amount,
    };
    let auth = auth::file::path(global.auth_path.as_deref())?;
    Ok(Sessions::new(Service::new(context)?, wish, &auth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_given_in_one_way() {
        let text = |message: Option<&str>, file: Option<&str>| {
            let message = message.map(str::to_owned);
            content(message, file.map(Path::new)).map_err(|error| error.to_string())
        };
        assert_eq!(text(Some("hi"), None), Ok(("inline message".to_owned(), "hi".into())));
        for (message, file, says) in [
            (None, None, "either --message or --file must be provided"),
            (Some("a"), Some("b"), "only one of --message or --file should be used at a time"),
            (Some(""), None, "--message is empty"),
            (None, Some("/nowhere/at/all"), "failed to read file: /nowhere/at/all: No such file"),
            (None, Some("/"), "failed to read file: /: Is a directory"),
        ] {
            let error = text(message, file).expect_err(says);
            assert!(error.starts_with(says), "{error}");
        }
    }

    #[test]
    fn a_topic_has_a_name_of_bounded_length() {
        assert!(check_topic("t").is_ok());
        assert!(check_topic("").is_err() && check_topic(&"x".repeat(1025)).is_err());
    }
}
