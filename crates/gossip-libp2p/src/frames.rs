//! Frames on a stream: the length as an unsigned varint, then the frame.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{AsyncRead, AsyncWrite};
use gossip::wire::{FRAME_BYTES_MAX, Frame};
use thiserror::Error;

/// Why a stream gives no more frames.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    /// The stream broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The length in front of a frame is not one.
    #[error(
        "the length in front of a frame is {0}; 1 to {FRAME_BYTES_MAX} in shortest form is allowed"
    )]
    Length(usize),
}

/// Reads frames. Each is allocated by itself, at its length, so that a slice of it that is kept
/// keeps no more than that.
#[derive(Debug)]
pub(crate) struct FrameReader<S> {
    stream: S,
    length: usize,
    length_bits: u32,
    frame: Option<BytesMut>,
    filled: usize,
}

impl<S: AsyncRead + Unpin> FrameReader<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, length: 0, length_bits: 0, frame: None, filled: 0 }
    }

    /// Returns the next frame; `None` when the peer closed the stream between two frames.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, ReadError>> {
        if self.frame.is_none() && !ready!(self.poll_length(cx))? {
            return Poll::Ready(Ok(None));
        }
        loop {
            let Some(frame) = self.frame.as_mut() else { return Poll::Ready(Ok(None)) };
            if self.filled == frame.len() {
                return Poll::Ready(Ok(self.frame.take().map(BytesMut::freeze)));
            }
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut frame[self.filled..]))?;
            if read == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
            }
            self.filled += read;
        }
    }

    /// Reads the length and makes room for the frame; `false` at the end of the stream.
    fn poll_length(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ReadError>> {
        loop {
            let mut byte = [0];
            if ready!(Pin::new(&mut self.stream).poll_read(cx, &mut byte))? == 0 {
                return Poll::Ready(match self.length_bits {
                    0 => Ok(false),
                    _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                });
            }
            self.length |= usize::from(byte[0] & 0x7f) << self.length_bits;
            self.length_bits += 7;
            if self.length > FRAME_BYTES_MAX || self.length_bits > 21 {
                return Poll::Ready(Err(ReadError::Length(self.length)));
            }
            if byte[0] & 0x80 == 0 {
                // Zero, or not the shortest form.
                if byte[0] == 0 {
                    return Poll::Ready(Err(ReadError::Length(self.length)));
                }
                self.frame = Some(BytesMut::zeroed(self.length));
                (self.length, self.length_bits, self.filled) = (0, 0, 0);
                return Poll::Ready(Ok(true));
            }
        }
    }
}

/// Writes frames, in order.
#[derive(Debug)]
pub(crate) struct FrameWriter<S> {
    stream: S,
    queue: VecDeque<Frame>,
    /// What is left of the frame being written.
    current: Option<Frame>,
    unflushed: bool,
}

impl<S: AsyncWrite + Unpin> FrameWriter<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, queue: VecDeque::new(), current: None, unflushed: false }
    }

    /// Queues a frame. How many may wait is the caller's to bound.
    pub(crate) fn push(&mut self, frame: Frame) {
        self.queue.push_back(frame);
    }

    /// Writes what is queued; ready each time a frame has been handed over whole. Pending when
    /// there is nothing to write or no room below.
    pub(crate) fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.current.is_none() {
                self.current = self.queue.pop_front().map(with_length);
            }
            let Some(frame) = self.current.as_mut() else {
                if self.unflushed {
                    ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            };
            let part = if frame.head.is_empty() { &mut frame.body } else { &mut frame.head };
            if part.is_empty() {
                self.current = None;
                self.unflushed = true;
                return Poll::Ready(Ok(()));
            }
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, part))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            part.advance(written);
        }
    }
}

/// Puts the length in front of the head.
fn with_length(frame: Frame) -> Frame {
    let mut head = BytesMut::with_capacity(frame.head.len() + 3);
    let mut length = frame.len();
    while length >= 0x80 {
        head.extend_from_slice(&[(length & 0x7f) as u8 | 0x80]);
        length >>= 7;
    }
    head.extend_from_slice(&[length as u8]);
    head.extend_from_slice(&frame.head);
    Frame { head: head.freeze(), body: frame.body }
}

#[cfg(test)]
mod tests {
    use futures::{executor::block_on, future::poll_fn, io::Cursor};

    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Vec<Bytes>, ReadError> {
        let mut reader = FrameReader::new(Cursor::new(bytes.to_vec()));
        let mut frames = Vec::new();
        while let Some(frame) = block_on(poll_fn(|cx| reader.poll_next(cx)))? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn what_is_written_is_read_for_every_length_at_an_edge() {
        let mut writer = FrameWriter::new(Cursor::new(Vec::new()));
        let lengths = [1, 2, 127, 128, 129, 16_383, 16_384, FRAME_BYTES_MAX];
        for length in lengths {
            let bytes = Bytes::from(vec![length as u8; length]);
            let (head, body) = (bytes.slice(..length / 3), bytes.slice(length / 3..));
            writer.push(Frame { head, body });
            block_on(poll_fn(|cx| writer.poll_written(cx))).expect("a cursor takes all");
        }
        let frames = read_all(writer.stream.get_ref()).expect("own frames");
        assert_eq!(frames.iter().map(Bytes::len).collect::<Vec<_>>(), lengths);
        assert!(frames.iter().all(|frame| frame.iter().all(|&byte| byte == frame.len() as u8)));
    }

    #[test]
    fn a_length_of_zero_padded_or_above_the_bound_is_refused_before_anything_is_allocated() {
        for bytes in
            [&[0][..], &[0x81, 0, 7], &[0xff, 0xff, 0xff, 0x7f], &[0x80, 0x80, 0x80, 0x80, 1]]
        {
            assert!(matches!(read_all(bytes), Err(ReadError::Length(_))), "{bytes:?}");
        }
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_broken_and_one_that_ends_between_is_not() {
        assert_eq!(read_all(&[2, 7, 7]).expect("whole"), [Bytes::from_static(&[7, 7])]);
        assert!(matches!(read_all(&[2, 7]), Err(ReadError::Io(_))));
        assert!(matches!(read_all(&[0x82]), Err(ReadError::Io(_))));
    }
}
