//! HTTP/2 as a gRPC client without a library: one that counts messages costs a fraction of one that
//! decodes them, and the generator has one core for a thousand subscribers.

use anyhow::{Result, bail, ensure};

use super::framing::{Framer, Head, Part};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACKNOWLEDGED: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

const SETTING_PUSH: u16 = 2;
const SETTING_STREAM_WINDOW: u16 = 4;

/// Window of a stream and of the connection: the sockets limit the server, as with the sample
/// client, whose windows are 1 GiB.
const WINDOW_BYTES: u32 = (1 << 31) - 1;
/// The window that a connection begins with.
const WINDOW_BYTES_AT_FIRST: u32 = 65_535;
/// After so much both windows are filled up again.
const WINDOW_STEP_BYTES: u32 = 1 << 28;

/// Control frames that are read are shorter; headers that are longer are not looked at.
const CONTROL_BYTES_MAX: usize = 4096;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    body_bytes: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Head for FrameHead {
    const BYTES_MAX: usize = 9;

    fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        let Some([a, b, c, kind, flags, stream @ ..]) = bytes.first_chunk::<9>() else {
            return Ok(None);
        };
        let body_bytes = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let stream = u32::from_be_bytes(*stream) & (u32::MAX >> 1);
        Ok(Some((Self { body_bytes, kind: *kind, flags: *flags, stream }, 9)))
    }

    fn body_bytes(&self) -> usize {
        self.body_bytes
    }
}

/// The head of a gRPC message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageHead {
    pub(crate) body_bytes: usize,
}

impl Head for MessageHead {
    const BYTES_MAX: usize = 5;

    fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        let Some([is_compressed, length @ ..]) = bytes.first_chunk::<5>() else {
            return Ok(None);
        };
        ensure!(*is_compressed == 0, "a compressed gRPC message that nobody asked for");
        Ok(Some((Self { body_bytes: u32::from_be_bytes(*length) as usize }, 5)))
    }

    fn body_bytes(&self) -> usize {
        self.body_bytes
    }
}

/// What happens on the stream of the call.
pub(crate) enum Event<'a> {
    /// The server began to answer.
    Headers,
    /// A part of a gRPC message.
    Message(Part<'a, MessageHead>),
    /// The server ended the call.
    End,
}

/// The receiving side of a connection that has one call at a time.
pub(crate) struct Frames {
    framer: Framer<FrameHead>,
    messages: Framer<MessageHead>,
    /// The body of a control frame so far.
    control: Vec<u8>,
    /// Received since the windows were last filled up.
    received: u32,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self { framer: Framer::new(), messages: Framer::new(), control: Vec::new(), received: 0 }
    }

    /// Tells `take` what happens, and adds what the server is to be answered to `answers`.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        answers: &mut Vec<u8>,
        mut take: impl FnMut(Event<'_>) -> Result<()>,
    ) -> Result<()> {
        let Self { framer, messages, control, received } = self;
        framer.feed(bytes, |Part { head, body, is_last, .. }| {
            ensure!(
                head.flags & PADDED == 0 || !matches!(head.kind, DATA | HEADERS),
                "a padded frame"
            );
            if head.kind == DATA {
                *received += body.len() as u32;
                messages.feed(body, |part| take(Event::Message(part)))?;
            } else if control.len() < CONTROL_BYTES_MAX {
                control.extend_from_slice(body);
            }
            if !is_last {
                return Ok(());
            }
            if *received >= WINDOW_STEP_BYTES {
                let step = std::mem::take(received).to_be_bytes();
                for stream in [0, head.stream] {
                    write_frame(WINDOW_UPDATE, 0, stream, &step, answers);
                }
            }
            match head.kind {
                HEADERS if head.flags & END_STREAM == 0 => take(Event::Headers)?,
                HEADERS | DATA if head.flags & END_STREAM != 0 => take(Event::End)?,
                SETTINGS if head.flags & ACKNOWLEDGED == 0 => {
                    write_frame(SETTINGS, ACKNOWLEDGED, 0, &[], answers);
                }
                PING if head.flags & ACKNOWLEDGED == 0 => {
                    write_frame(PING, ACKNOWLEDGED, 0, control, answers);
                }
                RESET => bail!("the server reset the stream: {:?}", control.as_slice()),
                GO_AWAY => bail!(
                    "the server ends the connection: {}",
                    String::from_utf8_lossy(control.get(8..).unwrap_or_default())
                ),
                _ => {}
            }
            control.clear();
            Ok(())
        })
    }
}

fn write_frame(kind: u8, flags: u8, stream: u32, body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(body);
}

/// Returns how a client begins.
pub(crate) fn hello() -> Vec<u8> {
    let mut settings = Vec::new();
    for (setting, value) in [(SETTING_PUSH, 0), (SETTING_STREAM_WINDOW, WINDOW_BYTES)] {
        settings.extend_from_slice(&setting.to_be_bytes());
        settings.extend_from_slice(&value.to_be_bytes());
    }
    let mut out = PREFACE.to_vec();
    write_frame(SETTINGS, 0, 0, &settings, &mut out);
    let more = (WINDOW_BYTES - WINDOW_BYTES_AT_FIRST).to_be_bytes();
    write_frame(WINDOW_UPDATE, 0, 0, &more, &mut out);
    out
}

/// Adds the beginning of a call: its headers and first message. A call that `ends` sends no more.
pub(crate) fn write_call(stream: u32, path: &str, message: &[u8], ends: bool, out: &mut Vec<u8>) {
    // Indexed fields of the static table: POST, http. Then literals without indexing: path (4) and
    // authority (1) by their indexes, the others by name; all shorter than 127 bytes.
    let mut headers = vec![0x83, 0x86, 0x04];
    write_literal(path, &mut headers);
    headers.push(0x01);
    write_literal("localhost", &mut headers);
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")] {
        headers.push(0);
        write_literal(name, &mut headers);
        write_literal(value, &mut headers);
    }
    write_frame(HEADERS, END_HEADERS, stream, &headers, out);
    let mut body = vec![0];
    body.extend_from_slice(&(message.len() as u32).to_be_bytes());
    body.extend_from_slice(message);
    write_frame(DATA, if ends { END_STREAM } else { 0 }, stream, &body, out);
}

fn write_literal(text: &str, out: &mut Vec<u8>) {
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server answers to a call: its settings, a ping, headers, three messages in frames
    /// whose borders are not theirs, trailers.
    fn answer() -> Vec<u8> {
        let mut data = Vec::new();
        for body in [&[b'a'; 3][..], &[], &[b'b'; 400]] {
            data.push(0);
            data.extend_from_slice(&(body.len() as u32).to_be_bytes());
            data.extend_from_slice(body);
        }
        let mut stream = Vec::new();
        write_frame(SETTINGS, 0, 0, &[], &mut stream);
        write_frame(PING, 0, 0, b"12345678", &mut stream);
        write_frame(HEADERS, END_HEADERS, 1, b"\x88", &mut stream);
        for piece in data.chunks(6) {
            write_frame(DATA, 0, 1, piece, &mut stream);
        }
        write_frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x88", &mut stream);
        stream
    }

    #[test]
    fn messages_are_counted_across_frames_and_chunks() {
        let stream = answer();
        for chunk_bytes in [1, 2, 5, 8, 9, 14, 100, stream.len()] {
            let (mut frames, mut answers) = (Frames::new(), Vec::new());
            let (mut lengths, mut headers, mut ends) = (Vec::new(), 0, 0);
            for chunk in stream.chunks(chunk_bytes) {
                let take = |event: Event<'_>| {
                    match event {
                        Event::Headers => headers += 1,
                        Event::Message(part) if part.is_last => lengths.push(part.head.body_bytes),
                        Event::Message(_) => {}
                        Event::End => ends += 1,
                    }
                    Ok(())
                };
                frames.feed(chunk, &mut answers, take).expect("sound");
            }
            assert_eq!((lengths, headers, ends), (vec![3, 0, 400], 1, 1), "of {chunk_bytes}");
            let mut expected = Vec::new();
            write_frame(SETTINGS, ACKNOWLEDGED, 0, &[], &mut expected);
            write_frame(PING, ACKNOWLEDGED, 0, b"12345678", &mut expected);
            assert_eq!(answers, expected);
        }
    }

    #[test]
    fn a_server_that_goes_is_an_error() {
        let mut stream = Vec::new();
        write_frame(GO_AWAY, 0, 0, b"\0\0\0\0\0\0\0\x0btoo_many_pings", &mut stream);
        let error = Frames::new().feed(&stream, &mut Vec::new(), |_| Ok(())).expect_err("gone");
        assert!(error.to_string().ends_with("too_many_pings"), "{error}");
    }
}
