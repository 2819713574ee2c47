//! The schema of a webhook: a template of Go's `text/template` that makes JSON of a message.

use std::collections::HashMap;

use bytes::Bytes;
use gtmpl_ng::{Context, Func, FuncError, Limits, Template, Value};
use jiff::Timestamp;

use super::go_time;

/// The longest body that is made, in bytes.
const BODY_BYTES_MAX: usize = 256 << 20;

/// The longest schema, in bytes.
const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// A message as a template sees it: the fields of the contract, section 4.3.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// `.Message`
    pub(crate) payload: Bytes,
    /// `.Timestamp`
    pub(crate) timestamp: Timestamp,
    /// `.Topic`
    pub(crate) topic: String,
    /// `.ClientID`
    pub(crate) client_id: String,
    /// `.MessageID`
    pub(crate) message_id: &'static str,
}

/// A template that makes JSON.
pub(crate) struct Schema(Template);

impl Schema {
    /// Reads a template and tries it on a message.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(format!("{} bytes, at most {SCHEMA_BYTES_MAX} are allowed", text.len()));
        }
        let limits = Limits::default()
            .with_output_bytes(BODY_BYTES_MAX)
            .with_function_output(BODY_BYTES_MAX);
        let mut template = Template::with_limits(limits);
        template.add_func("json", json as Func);
        template.add_func("formatTime", format_time as Func);
        template.add_func("unixTime", unix_time as Func);
        template.parse(methods_to_functions(text)).map_err(|error| error.to_string())?;
        let schema = Self(template);
        schema.render(&Event {
            payload: Bytes::from_static(b"message"),
            timestamp: Timestamp::UNIX_EPOCH,
            topic: "topic".to_owned(),
            client_id: "client".to_owned(),
            message_id: "ws-msg",
        })?;
        Ok(schema)
    }

    /// Makes the JSON of a message.
    ///
    /// # Errors
    ///
    /// Returns what is wrong if it is none: most often the message has quotes or ends of lines in
    /// it, which only the function `json` escapes.
    pub(crate) fn render(&self, event: &Event) -> Result<String, String> {
        let text = |text: &str| Value::String(text.to_owned());
        let fields = HashMap::from([
            ("Message".to_owned(), text(&String::from_utf8_lossy(&event.payload))),
            ("Timestamp".to_owned(), text(&go_time::written(event.timestamp))),
            ("Topic".to_owned(), text(&event.topic)),
            ("ClientID".to_owned(), text(&event.client_id)),
            ("MessageID".to_owned(), text(event.message_id)),
        ]);
        let body = self.0.render(&Context::from(Value::Object(fields)));
        let body = body.map_err(|error| format!("webhook template: {error}"))?;
        match serde_json::from_str::<serde::de::IgnoredAny>(&body) {
            Ok(_) => Ok(body),
            Err(error) => Err(format!(
                "webhook template must produce valid JSON: {error} ({{{{json .Message}}}} writes a \
                 message with quotes around it and escaped)"
            )),
        }
    }
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schema")
    }
}

/// Writes the methods of Go's time that schemas use as functions: the template library calls none
/// with arguments.
fn methods_to_functions(text: &str) -> String {
    text.replace(".Timestamp.Format ", "formatTime .Timestamp ")
        .replace(".Timestamp.UnixMilli", "unixTime .Timestamp 1000")
        .replace(".Timestamp.UnixNano", "unixTime .Timestamp 1000000000")
        .replace(".Timestamp.Unix", "unixTime .Timestamp 1")
}

/// Writes a value as JSON, text with quotes around it.
fn json(arguments: &[Value]) -> Result<Value, FuncError> {
    let [value] = arguments else { return Err(FuncError::ExactlyXArgs("json".to_owned(), 1)) };
    // Every field is text; what functions make of it is written as it would be printed.
    Ok(Value::String(serde_json::Value::from(value.to_string()).to_string()))
}

fn time(function: &str, arguments: &[Value]) -> Result<(Timestamp, String), FuncError> {
    let [Value::String(time), argument] = arguments else {
        return Err(FuncError::ExactlyXArgs(function.to_owned(), 2));
    };
    let time =
        go_time::read(time).ok_or_else(|| FuncError::Generic(format!("{time:?} is no time")))?;
    Ok((time, argument.to_string()))
}

fn format_time(arguments: &[Value]) -> Result<Value, FuncError> {
    let (time, layout) = time("Format", arguments)?;
    Ok(Value::String(go_time::format(time, &layout)))
}

fn unix_time(arguments: &[Value]) -> Result<Value, FuncError> {
    let (time, per_second) = time("Unix", arguments)?;
    let per_second: i128 = per_second.parse().unwrap_or(1);
    Ok(Value::String((time.as_nanosecond() * per_second / 1_000_000_000).to_string()))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn event(message: &str) -> Event {
        Event {
            payload: Bytes::copy_from_slice(message.as_bytes()),
            timestamp: "2026-01-02T03:04:05.678Z".parse().expect("a time"),
            topic: "t".to_owned(),
            client_id: "auth0|u1".to_owned(),
            message_id: "ws-msg",
        }
    }

    fn rendered(schema: &str, message: &str) -> serde_json::Value {
        let schema = Schema::parse(schema).expect(schema);
        serde_json::from_str(&schema.render(&event(message)).expect("JSON")).expect("JSON")
    }

    #[test]
    fn the_fields_of_a_message_are_filled_in() {
        let schema = r#"{"text":"{{.Message}}","at":"{{ .Timestamp }}","topic":"{{.Topic}}",
            "from":"{{.ClientID}}","id":"{{.MessageID}}"}"#;
        assert_eq!(
            rendered(schema, "hello"),
            json!({
                "text": "hello", "at": "2026-01-02 03:04:05.678 +0000 UTC", "topic": "t",
                "from": "auth0|u1", "id": "ws-msg",
            })
        );
    }

    #[test]
    fn times_are_formatted_by_gos_methods() {
        let schema = r#"{"at":"{{.Timestamp.Format "2006-01-02T15:04:05Z07:00"}}","s":{{.Timestamp.Unix}},"ms":{{.Timestamp.UnixMilli}}}"#;
        let expected =
            json!({"at": "2026-01-02T03:04:05Z", "s": 1_767_323_045, "ms": 1_767_323_045_678_i64});
        assert_eq!(rendered(schema, "m"), expected);
    }

    #[test]
    fn pipelines_conditions_and_trimmed_blanks_work_as_in_go() {
        let schema = r#"{ {{- if eq .Topic "t"}}"mine":{{.Message | printf "%q"}}{{else}}"other":1{{end -}} }"#;
        assert_eq!(rendered(schema, "a\"b"), json!({"mine": "a\"b"}));
    }

    #[test]
    fn a_message_with_quotes_needs_the_function_json() {
        let plain = Schema::parse(r#"{"text":"{{.Message}}"}"#).expect("sound");
        let error = plain.render(&event("say \"hi\"")).expect_err("no JSON");
        assert!(error.starts_with("webhook template must produce valid JSON: "), "{error}");
        assert_eq!(
            rendered(r#"{"text":{{json .Message}}}"#, "say \"hi\"\n\u{1}"),
            json!({"text": "say \"hi\"\n\u{1}"})
        );
    }

    #[test]
    fn what_is_no_schema_is_refused_with_a_reason() {
        for wrong in [
            "{{.Message",
            "{{.Nothing.There}}x",
            r#"{"a":{{nofunction .Message}}}"#,
            "{{.Message}}",
            r#"{"a":{{range 1000000000}}1{{end}}}"#,
            &"x".repeat(SCHEMA_BYTES_MAX + 1),
        ] {
            assert!(Schema::parse(wrong).is_err(), "{wrong:.40}");
        }
    }
}
