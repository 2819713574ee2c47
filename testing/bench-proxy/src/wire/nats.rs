//! The text protocol of NATS, as far as a subscriber and a publisher need it.

use anyhow::{Context as _, Result, bail};

use super::framing::{Framer, Head, Part};

/// The subject that everything is about; as long as the topic of the proxy.
pub(crate) const SUBJECT: &str = crate::TOPIC;

/// What the server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A message of so many bytes follows.
    Message(usize),
    /// The server wants to know whether the client is there.
    Ping,
    /// What was asked before the ping is done.
    Pong,
    /// A command is done; only a client that asked for it is told.
    Done,
    /// What the server is.
    Info,
    /// Something is wrong.
    Error,
}

impl Head for Line {
    /// The server tells of itself in a line that grows with its addresses.
    const BYTES_MAX: usize = 32 << 10;

    fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        let Some(end) = memchr::memchr(b'\n', bytes) else { return Ok(None) };
        let line = bytes[..end].trim_ascii_end();
        let head = match line {
            [b'M', b'S', b'G', b' ', rest @ ..] => {
                let length = rest.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
                let length = std::str::from_utf8(length)?;
                Self::Message(length.parse().context("the length of a message is no number")?)
            }
            b"PING" => Self::Ping,
            b"PONG" => Self::Pong,
            b"+OK" => Self::Done,
            [b'I', b'N', b'F', b'O', b' ', ..] => Self::Info,
            [b'-', b'E', b'R', b'R', ..] => Self::Error,
            _ => bail!("not understood: {}", String::from_utf8_lossy(line)),
        };
        if head == Self::Error {
            bail!("the server says {}", String::from_utf8_lossy(line));
        }
        Ok(Some((head, end + 1)))
    }

    fn body_bytes(&self) -> usize {
        match self {
            // Its line end comes after it.
            Self::Message(bytes) => bytes + 2,
            Self::Ping | Self::Pong | Self::Done | Self::Info | Self::Error => 0,
        }
    }
}

/// The receiving side of a connection.
pub(crate) struct Lines {
    framer: Framer<Line>,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self { framer: Framer::new() }
    }

    /// Gives `take` the parts of what comes; the server's pings are answered in `answers`.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        answers: &mut Vec<u8>,
        mut take: impl FnMut(Part<'_, Line>) -> Result<()>,
    ) -> Result<()> {
        self.framer.feed(bytes, |part| {
            if part.head == Line::Ping {
                answers.extend_from_slice(b"PONG\r\n");
            }
            take(part)
        })
    }
}

/// Returns how a client begins; a verbose one is told of each command that is done.
pub(crate) fn connect(is_verbose: bool) -> String {
    format!("CONNECT {{\"verbose\":{is_verbose},\"pedantic\":false,\"protocol\":1}}\r\n")
}

/// Returns how a subscriber begins. The pong tells it that it is subscribed.
pub(crate) fn subscribe() -> Vec<u8> {
    format!("{}SUB {SUBJECT} 1\r\nPING\r\n", connect(false)).into_bytes()
}

/// Adds a published message.
pub(crate) fn write_publish(payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("PUB {SUBJECT} {}\r\n", payload.len()).as_bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::{super::framing::tests::frames, *};

    #[test]
    fn lines_and_messages_are_told_apart_wherever_chunks_begin() {
        // A payload that looks like a command is none.
        let stream =
            b"INFO {\"port\":1}\r\nPONG\r\nMSG a.b 1 6\r\nPING\r\n\r\nMSG a 12 0\r\n\r\nPING\r\n";
        for chunk_bytes in 1..=stream.len() {
            let heads: Vec<Line> = frames(stream, chunk_bytes)
                .expect("sound")
                .into_iter()
                .map(|(head, _)| head)
                .collect();
            let expected = [Line::Info, Line::Pong, Line::Message(6), Line::Message(0), Line::Ping];
            assert_eq!(heads, expected, "chunks of {chunk_bytes}");
        }
    }

    #[test]
    fn an_error_of_the_server_is_one() {
        let error = frames::<Line>(b"-ERR 'Slow Consumer'\r\n", 5).expect_err("an error");
        assert!(error.to_string().contains("Slow Consumer"), "{error}");
        frames::<Line>(b"MSG a 1 x\r\n", 5).expect_err("no length");
    }
}
