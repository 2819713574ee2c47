//! WebSocket frames of a client without extensions.

use anyhow::{Result, bail, ensure};

use super::framing::{Framer, Head, Part};

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// In the second byte: a mask follows; the length does.
const MASKED: u8 = 0x80;
const LENGTH_IN_2_BYTES: u8 = 126;
const LENGTH_IN_8_BYTES: u8 = 127;

/// The longest body of a control frame.
const CONTROL_BYTES_MAX: usize = 125;

/// A fixed key, so that the answer to it is known without a hash (both are those of RFC 6455).
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The head of a frame from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    code: u8,
    is_final: bool,
    body_bytes: usize,
}

impl Head for FrameHead {
    const BYTES_MAX: usize = 10;

    fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        ensure!(first & 0x70 == 0, "a WebSocket frame with an extension that nobody asked for");
        ensure!(second & MASKED == 0, "a masked WebSocket frame from a server");
        let (body_bytes, head_bytes) = match *second {
            LENGTH_IN_2_BYTES => match rest.first_chunk() {
                Some(length) => (usize::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(None),
            },
            LENGTH_IN_8_BYTES => match rest.first_chunk() {
                Some(length) => (usize::try_from(u64::from_be_bytes(*length))?, 10),
                None => return Ok(None),
            },
            short => (usize::from(short), 2),
        };
        let head = Self { code: first & 0x0f, is_final: first & 0x80 != 0, body_bytes };
        Ok(Some((head, head_bytes)))
    }

    fn body_bytes(&self) -> usize {
        self.body_bytes
    }
}

/// The receiving side of a connection.
pub(crate) struct Frames {
    framer: Framer<FrameHead>,
    /// The body of a control frame so far.
    control: Vec<u8>,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self { framer: Framer::new(), control: Vec::new() }
    }

    /// Gives `take` the parts of text and binary frames, with the bytes of the frame's body, and
    /// adds what the server is to be answered to `answers`.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        answers: &mut Vec<u8>,
        mut take: impl FnMut(Part<'_, usize>) -> Result<()>,
    ) -> Result<()> {
        let Self { framer, control } = self;
        framer.feed(bytes, |part| {
            let Part { head, body, is_first, is_last } = part;
            match head.code {
                CONTINUATION | TEXT | BINARY => {
                    // Neither server cuts a message into frames, so a frame is a message.
                    ensure!(head.is_final && head.code != CONTINUATION, "a message in fragments");
                    return take(Part { head: head.body_bytes, body, is_first, is_last });
                }
                PING | PONG | CLOSE => {}
                other => bail!("a WebSocket frame of unknown kind {other}"),
            }
            ensure!(head.body_bytes <= CONTROL_BYTES_MAX, "a control frame that is too long");
            control.extend_from_slice(body);
            if is_last {
                let body = std::mem::take(control);
                match head.code {
                    PING => write_frame(PONG, &body, answers),
                    CLOSE => bail!("the server closed the WebSocket: {}", close_reason(&body)),
                    _ => {}
                }
            }
            Ok(())
        })
    }
}

fn close_reason(body: &[u8]) -> String {
    match body {
        [high, low, text @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            format!("{code} {}", String::from_utf8_lossy(text))
        }
        _ => "no reason given".to_owned(),
    }
}

/// Adds a binary frame as a client writes it.
pub(crate) fn write_binary(body: &[u8], out: &mut Vec<u8>) {
    write_frame(BINARY, body, out);
}

fn write_frame(code: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(0x80 | code);
    match body.len() {
        short @ 0..126 => out.push(MASKED | short as u8),
        long @ 126..=0xffff => {
            out.push(MASKED | LENGTH_IN_2_BYTES);
            out.extend_from_slice(&(long as u16).to_be_bytes());
        }
        longer => {
            out.push(MASKED | LENGTH_IN_8_BYTES);
            out.extend_from_slice(&(longer as u64).to_be_bytes());
        }
    }
    // A client must mask; a mask of zeros leaves the body as it is.
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(body);
}

/// Returns the request that opens a WebSocket.
pub(crate) fn upgrade(host: &str, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
    .into_bytes()
}

/// Checks the head of the answer.
pub(crate) fn check_upgraded(head: &str) -> Result<()> {
    let is_switched = head.split(' ').nth(1) == Some("101");
    let is_accepted = head.lines().any(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == ACCEPT
        })
    });
    ensure!(is_switched && is_accepted, "no WebSocket was opened: {head}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as a server writes it.
    pub(crate) fn from_server(code: u8, body: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        write_frame(code, body, &mut frame);
        let mask_at = frame.len() - body.len() - 4;
        frame.drain(mask_at..mask_at + 4);
        frame[1] &= 0x7f;
        frame
    }

    #[test]
    fn messages_are_counted_wherever_chunks_begin_and_pings_are_answered() {
        let bodies = [vec![b'a'; 5], Vec::new(), vec![b'b'; 300], vec![b'c'; 70_000]];
        let mut stream = from_server(PING, b"there?");
        for body in &bodies {
            stream.extend(from_server(TEXT, body));
        }
        for chunk_bytes in [1, 2, 3, 7, 125, 299, 4096, 65_537, stream.len()] {
            let (mut frames, mut answers) = (Frames::new(), Vec::new());
            let (mut read, mut body) = (Vec::new(), Vec::new());
            for chunk in stream.chunks(chunk_bytes) {
                let take = |part: Part<'_, usize>| {
                    body.extend_from_slice(part.body);
                    if part.is_last {
                        assert_eq!(part.head, body.len());
                        read.push(std::mem::take(&mut body));
                    }
                    Ok(())
                };
                frames.feed(chunk, &mut answers, take).expect("sound");
            }
            assert_eq!(read, bodies, "chunks of {chunk_bytes}");
            assert_eq!(answers, b"\x8a\x86\0\0\0\0there?");
        }
    }

    #[test]
    fn a_close_says_why() {
        let stream = from_server(CLOSE, b"\x03\xf1too slow");
        let error = Frames::new().feed(&stream, &mut Vec::new(), |_| Ok(())).expect_err("closed");
        assert!(error.to_string().ends_with("1009 too slow"), "{error}");
    }

    #[test]
    fn an_answer_to_another_key_opens_nothing() {
        let head = |accept: &str| format!("HTTP/1.1 101 Yes\r\nsec-websocket-accept: {accept}\r\n");
        check_upgraded(&head(ACCEPT)).expect("the right answer");
        check_upgraded(&head("AAAA")).expect_err("the wrong answer");
        check_upgraded("HTTP/1.1 404 Not Found\r\n").expect_err("no answer");
    }
}
