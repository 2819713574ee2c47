//! What a subscriber prints.

use std::time::{SystemTime, UNIX_EPOCH};

use api::{
    Delivery,
    sidecar::{Response, ResponseType},
};

use crate::{output, trace_text};

/// Counts and prints what a node sends.
#[derive(Debug, Default)]
pub struct Subscriber {
    /// Messages received.
    pub received: u64,
}

impl Subscriber {
    /// Prints one response.
    pub fn take(&mut self, response: &Response) {
        match response.command() {
            ResponseType::Message => self.message(&response.data),
            ResponseType::MessageTraceMumP2p => {
                for line in trace_text::optimum(&response.data) {
                    output::line(&line);
                }
            }
            ResponseType::MessageTraceGossipSub => {
                output::log("GossipSub trace received but handler not implemented");
            }
            ResponseType::Unknown => {
                output::log(&format!("Unknown response command: {}", response.command));
            }
        }
    }

    fn message(&mut self, json: &[u8]) {
        match Delivery::from_json(json) {
            Ok(delivery) => {
                self.received += 1;
                output::line(&format!("{}\n", self.line(unix_ns(), &delivery.message)));
            }
            Err(error) => output::log(&format!("Error unmarshalling message: {error}")),
        }
    }

    fn line(&self, now_unix_ns: u128, payload: &[u8]) -> String {
        let (count, bytes) = (self.received, payload.len());
        let text = String::from_utf8_lossy(payload);
        format!("Recv message: [{count}] [{now_unix_ns} {bytes}] {text}")
    }
}

/// Returns the time, Unix nanoseconds.
pub fn unix_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_printed_with_its_count_time_and_size() {
        let subscriber = Subscriber { received: 3 };
        assert_eq!(subscriber.line(42, b"hello"), "Recv message: [3] [42 5] hello");
    }
}
