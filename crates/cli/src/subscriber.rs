//! Reading what a node sends: the loop that all subscribers share, and what a single one prints.

use std::io;

use api::{
    Delivery,
    sidecar::{Response, ResponseType},
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Commands, status_text},
    clock::unix_ns,
    output, trace_text,
};

/// Why a stream is read no more.
#[derive(Debug)]
pub enum Ended {
    /// The program is to end.
    Stopped,
    /// The node closed it.
    Closed,
    /// It broke; what is known of it.
    Failed(String),
    /// What came cannot be written.
    Unwritable(io::Error),
}

/// Gives what comes to `take` until something ends it.
pub async fn read_all(
    commands: &mut Commands,
    stop: &CancellationToken,
    mut take: impl FnMut(&Response) -> io::Result<()>,
) -> Ended {
    loop {
        let response = stop.run_until_cancelled(commands.responses.message()).await;
        let taken = match response {
            None => return Ended::Stopped,
            Some(Ok(Some(response))) => take(&response),
            Some(Ok(None)) => return Ended::Closed,
            Some(Err(status)) => return Ended::Failed(status_text(&status)),
        };
        if let Err(error) = taken {
            return Ended::Unwritable(error);
        }
    }
}

/// Counts and prints what a node sends.
#[derive(Debug, Default)]
pub struct Subscriber {
    /// Messages received.
    pub received: u64,
}

impl Subscriber {
    /// Prints one response.
    ///
    /// # Errors
    ///
    /// Returns the error of stdout.
    pub fn take(&mut self, response: &Response) -> io::Result<()> {
        match response.command() {
            ResponseType::Message => self.message(&response.data),
            ResponseType::MessageTraceMumP2p => print(&trace_text::optimum(&response.data)),
            ResponseType::MessageTraceGossipSub => print(&trace_text::gossipsub(&response.data)),
            ResponseType::Unknown => {
                output::log(format!("Unknown response command: {}", response.command));
                Ok(())
            }
        }
    }

    fn message(&mut self, json: &[u8]) -> io::Result<()> {
        match Delivery::from_json(json) {
            Ok(delivery) => {
                self.received += 1;
                output::line(self.lines(unix_ns(), &delivery.message))
            }
            Err(error) => {
                output::log(format!("Error unmarshalling message: {error}"));
                Ok(())
            }
        }
    }

    /// Returns the line of a message and the empty one that follows.
    fn lines(&self, now_unix_ns: i64, payload: &[u8]) -> Vec<u8> {
        let (count, bytes) = (self.received, payload.len());
        let head = format!("Recv message: [{count}] [{now_unix_ns} {bytes}] ");
        [head.as_bytes(), &output::for_stdout(payload), b"\n"].concat()
    }
}

fn print(lines: &[String]) -> io::Result<()> {
    lines.iter().try_for_each(output::line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_printed_with_its_count_time_and_size_before_an_empty_line() {
        let subscriber = Subscriber { received: 3 };
        assert_eq!(subscriber.lines(42, b"hello"), b"Recv message: [3] [42 5] hello\n");
    }
}
