//! Frames in a stream of bytes that comes in chunks: only the heads are read, the bodies are passed
//! through.

use anyhow::{Result, ensure};

/// What stands before the body of a frame.
pub(crate) trait Head: Copy {
    /// The most bytes that a head has.
    const BYTES_MAX: usize;

    /// Reads a head; returns it and its bytes, or none if it is not whole yet.
    fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>>;

    /// Bytes that follow.
    fn body_bytes(&self) -> usize;
}

/// A part of a frame, as it came.
pub(crate) struct Part<'a, H> {
    pub(crate) head: H,
    pub(crate) body: &'a [u8],
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
}

/// Where the stream is.
pub(crate) struct Framer<H> {
    /// The beginning of a head that is not whole yet.
    begun: Vec<u8>,
    /// The frame that is being read, and how much of its body is to come.
    open: Option<(H, usize)>,
}

impl<H: Head> Framer<H> {
    pub(crate) fn new() -> Self {
        Self { begun: Vec::new(), open: None }
    }

    /// Takes the next bytes of the stream, and gives `take` the parts of frames that are in them.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(Part<'_, H>) -> Result<()>,
    ) -> Result<()> {
        if let Some((head, missing)) = self.open {
            let (body, rest) = bytes.split_at(missing.min(bytes.len()));
            let missing = missing - body.len();
            self.open = (missing > 0).then_some((head, missing));
            bytes = rest;
            take(Part { head, body, is_first: false, is_last: missing == 0 })?;
        }
        while !bytes.is_empty() {
            let Some((head, used)) = self.head(bytes)? else { return Ok(()) };
            bytes = &bytes[used..];
            let (body, rest) = bytes.split_at(head.body_bytes().min(bytes.len()));
            let missing = head.body_bytes() - body.len();
            self.open = (missing > 0).then_some((head, missing));
            bytes = rest;
            take(Part { head, body, is_first: true, is_last: missing == 0 })?;
        }
        Ok(())
    }

    /// Returns the next head and how many of `bytes` belong to it. What is not whole is kept.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<(H, usize)>> {
        if self.begun.is_empty() {
            let head = H::parse(bytes)?;
            if head.is_none() {
                ensure!(bytes.len() < H::BYTES_MAX, "the head of a frame does not end");
                self.begun.extend_from_slice(bytes);
            }
            return Ok(head);
        }
        let held_bytes = self.begun.len();
        let more = &bytes[..bytes.len().min(H::BYTES_MAX - held_bytes)];
        self.begun.extend_from_slice(more);
        let Some((head, used_bytes)) = H::parse(&self.begun)? else {
            ensure!(self.begun.len() < H::BYTES_MAX, "the head of a frame does not end");
            return Ok(None);
        };
        self.begun.clear();
        Ok(Some((head, used_bytes - held_bytes)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns the frames in `stream` when it comes in chunks of so many bytes.
    pub(crate) fn frames<H: Head>(stream: &[u8], chunk_bytes: usize) -> Result<Vec<(H, Vec<u8>)>> {
        let mut framer = Framer::<H>::new();
        let mut whole = Vec::new();
        let mut open: Option<Vec<u8>> = None;
        for chunk in stream.chunks(chunk_bytes) {
            framer.feed(chunk, |part| {
                assert_eq!(part.is_first, open.is_none());
                open.get_or_insert_default().extend_from_slice(part.body);
                if part.is_last {
                    whole.push((part.head, open.take().unwrap_or_default()));
                }
                Ok(())
            })?;
        }
        Ok(whole)
    }

    /// One byte that says how many follow; 255 is followed by no end.
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Short(u8);

    impl Head for Short {
        const BYTES_MAX: usize = 3;

        fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
            Ok(match bytes {
                [255, _, 0, ..] => Some((Self(bytes[1]), 3)),
                [255, ..] | [] => None,
                [length, ..] => Some((Self(*length), 1)),
            })
        }

        fn body_bytes(&self) -> usize {
            usize::from(self.0)
        }
    }

    #[test]
    fn frames_are_the_same_wherever_chunks_begin() {
        let stream = b"\x03abc\x00\xff\x02\x00de\x01f\x00";
        let expected: Vec<(Short, Vec<u8>)> = [&b"abc"[..], b"", b"de", b"f", b""]
            .map(|body| (Short(body.len() as u8), body.to_vec()))
            .into();
        for chunk_bytes in 1..=stream.len() {
            let read = frames::<Short>(stream, chunk_bytes).expect("sound");
            assert_eq!(read, expected, "chunks of {chunk_bytes}");
        }
    }

    #[test]
    fn a_head_that_does_not_end_is_an_error() {
        for chunk_bytes in 1..4 {
            frames::<Short>(b"\xff\x02\x01\x00", chunk_bytes).expect_err("no end");
        }
    }
}
