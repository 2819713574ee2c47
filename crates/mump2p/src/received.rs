//! A message that was received, and what becomes of it: printed, kept, passed on.

use std::{borrow::Cow, io::IsTerminal as _, time::Instant};

use api::Delivery;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cli::clock::unix_ns;
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    Error, Output, debug_line, output,
    persist::Persist,
    webhook::{Webhook, template::Event},
};

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// WebSocket of a proxy.
    WebSocket,
    /// gRPC of a proxy.
    Grpc,
    /// gRPC of a node.
    Direct,
}

impl Protocol {
    /// Returns its name in debug lines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "WebSocket",
            Self::Grpc => "gRPC",
            Self::Direct => "gRPC-direct",
        }
    }

    /// Returns what webhooks are told as the id of a message (the contract, section 4.3).
    fn message_id(self) -> &'static str {
        match self {
            Self::WebSocket => "ws-msg",
            Self::Grpc | Self::Direct => "grpc-msg",
        }
    }
}

/// What becomes of messages.
#[derive(Debug)]
pub(crate) struct Sink {
    topic: String,
    client_id: String,
    output: Output,
    is_terminal: bool,
    debug: Option<String>,
    protocol: Protocol,
    persist: Option<Persist>,
    webhook: Option<Webhook>,
    begin: Instant,
    count: u64,
    no_text: u64,
    lost: u64,
}

impl Sink {
    /// Makes one. `debug` is the address of this machine to show in debug lines, none for no such
    /// lines; `protocol` is how messages come.
    pub(crate) fn new(
        topic: &str,
        client_id: &str,
        output: Output,
        debug: Option<String>,
        protocol: Protocol,
    ) -> Self {
        Self {
            topic: topic.to_owned(),
            client_id: client_id.to_owned(),
            output,
            is_terminal: std::io::stdout().is_terminal(),
            debug,
            protocol,
            persist: None,
            webhook: None,
            begin: Instant::now(),
            count: 0,
            no_text: 0,
            lost: 0,
        }
    }

    /// Keeps messages in a file too.
    pub(crate) fn keep(&mut self, persist: Persist) {
        self.persist = Some(persist);
    }

    /// Passes messages on to a webhook too.
    pub(crate) fn pass_on(&mut self, webhook: Webhook) {
        self.webhook = Some(webhook);
    }

    /// Direct mode has lines of its own.
    fn is_direct(&self) -> bool {
        self.protocol == Protocol::Direct
    }

    /// Tells whether it prints debug lines.
    pub(crate) fn has_debug(&self) -> bool {
        self.debug.is_some()
    }

    /// Prints what is no message: among them for people, else beside them.
    pub(crate) fn status(&self, text: &str) -> Result<(), Error> {
        match self.output {
            Output::Table => output::plain_line(text),
            Output::Json | Output::Yaml => {
                output::note(text);
                Ok(())
            }
        }
    }

    /// Says that the sender gave up messages because they were not read fast enough.
    pub(crate) fn lost(&mut self, messages: u64) {
        self.lost += messages;
        output::note(&format!(
            "{messages} messages were lost: they came faster than they were read"
        ));
    }

    /// Takes a message. Those of other topics are none of ours: a client gets all it subscribed.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be printed or kept.
    pub(crate) fn take(&mut self, delivery: &Delivery) -> Result<(), Error> {
        if !delivery.topic.is_empty() && delivery.topic != self.topic {
            return Ok(());
        }
        if self.is_direct() && self.output == Output::Table && !is_text(&delivery.message) {
            self.no_text += 1;
            return Ok(());
        }
        self.count += 1;
        self.print(delivery)?;
        if let Some(persist) = &mut self.persist {
            let topic = (self.protocol == Protocol::WebSocket).then_some(&*self.topic);
            persist.append(Timestamp::now(), topic, &delivery.message)?;
        }
        if let Some(webhook) = &mut self.webhook {
            webhook.offer(Event {
                payload: delivery.message.clone(),
                timestamp: Timestamp::now(),
                topic: self.topic.clone(),
                client_id: self.client_id.clone(),
                message_id: self.protocol.message_id(),
            });
        }
        Ok(())
    }

    fn print(&self, delivery: &Delivery) -> Result<(), Error> {
        if let Some(address) = &self.debug {
            let Self { count, topic, protocol, .. } = self;
            let line = debug_line::received(*count, address, unix_ns(), topic, delivery, *protocol);
            self.status(&line)?;
        }
        match self.output {
            Output::Table if self.is_direct() => {
                let text = String::from_utf8_lossy(&delivery.message);
                output::line(&format!("[{}] {}", self.topic, self.shown(&text)))
            }
            Output::Table if self.is_terminal => {
                output::line(&self.shown(&String::from_utf8_lossy(&delivery.message)))
            }
            Output::Table => output::bytes(&delivery.message),
            Output::Json => output::line(&self.json(delivery).to_string()),
            Output::Yaml => {
                let yaml = yaml_serde::to_string(&self.json(delivery))
                    .map_err(|error| Error::Failed(error.to_string()))?;
                output::line(&format!("---\n{}", yaml.trim_end()))
            }
        }
    }

    /// On a terminal, what would steer it is written out.
    fn shown<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
        if !self.is_terminal || !text.contains(steers) {
            return Cow::Borrowed(text);
        }
        let written = text
            .chars()
            .map(|c| if steers(c) { c.escape_default().to_string() } else { c.to_string() });
        Cow::Owned(written.collect())
    }

    fn json(&self, delivery: &Delivery) -> serde_json::Value {
        let mut value = json!({
            "topic": self.topic,
            "received_at": Timestamp::now().to_string(),
            "protocol": self.protocol.name(),
            "message_id": hex::encode(Sha256::digest(&delivery.message)),
            "source_node_id": delivery.source_node_id,
        });
        match std::str::from_utf8(&delivery.message) {
            Ok(text) => value["message"] = json!(text),
            Err(_) => value["message_base64"] = json!(STANDARD.encode(&delivery.message)),
        }
        value
    }

    /// Waits until what was taken is passed on, and says what was lost.
    pub(crate) async fn finish(self) {
        let is_direct = self.is_direct();
        if let Some(webhook) = self.webhook {
            webhook.finish().await;
        }
        if self.no_text > 0 {
            let count = self.no_text;
            output::note(&format!(
                "{count} messages were no text and are not shown; --output json shows them in base64"
            ));
        }
        if is_direct {
            let line = ended(self.count, self.begin.elapsed());
            // At the end a reader who is gone does not matter.
            let _closed = match self.output {
                Output::Table => output::line(&line),
                Output::Json | Output::Yaml => {
                    output::note(&line);
                    Ok(())
                }
            };
        }
    }
}

/// What is printed at the end of direct mode.
fn ended(count: u64, took: std::time::Duration) -> String {
    let rate = count as f64 / took.as_secs_f64().max(0.001);
    let took = api::go_duration::written(std::time::Duration::from_millis(took.as_millis() as u64));
    format!("Disconnected — {count} messages in {took} ({rate:.1} msg/s)")
}

/// Tells whether a payload is what direct mode shows (the contract, section 4.3): text that is not
/// empty and steers no terminal. Ends of lines and tabs are text here.
fn is_text(payload: &[u8]) -> bool {
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    !payload.is_empty() && std::str::from_utf8(payload).is_ok_and(|text| text.chars().all(is_text))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn direct_mode_shows_text_only() {
        for (payload, shown) in [
            (&b"hello"[..], true),
            ("h\u{e9}llo\n\tworld".as_bytes(), true),
            (b"", false),
            (b"\xff\xfe", false),
            (b"\x1b[2J", false),
            (b"a\0b", false),
        ] {
            assert_eq!(is_text(payload), shown, "{payload:?}");
        }
    }

    #[test]
    fn a_terminal_is_not_steered_by_messages() {
        let mut sink = Sink::new("t", "c", Output::Table, None, Protocol::Grpc);
        sink.is_terminal = true;
        assert_eq!(sink.shown("a\tb\nc"), "a\tb\nc");
        assert_eq!(sink.shown("\u{1b}[2Ja"), "\\u{1b}[2Ja");
        sink.is_terminal = false;
        assert_eq!(sink.shown("\u{1b}[2Ja"), "\u{1b}[2Ja");
    }

    #[test]
    fn json_has_text_as_text_and_other_bytes_in_base64() {
        let sink = Sink::new("t", "c", Output::Json, None, Protocol::Grpc);
        let json =
            |payload: &'static [u8]| sink.json(&Delivery::of_frame(Bytes::from_static(payload)));
        assert_eq!(json(b"hi")["message"], "hi");
        let bytes = json(b"\xff");
        assert!(bytes["message_base64"] == "/w==" && bytes.get("message").is_none());
    }

    #[test]
    fn the_end_of_direct_mode_tells_count_time_and_rate() {
        let line = ended(5, std::time::Duration::from_micros(2_500_400));
        assert_eq!(line, "Disconnected — 5 messages in 2.5s (2.0 msg/s)");
    }
}
