//! Frames of the data stream: a byte of flags, what the flags announce, and payload to the end.

use bytes::Bytes;
use rlnc::FRAGMENTS_MAX;

use super::{
    DataFrame, FRAME_BYTES_MAX, Fragment, Frame, HEADER_BYTES_MAX, PATH_HASHES_MAX,
    PIECE_BYTES_MAX, Piece, SIGNATURE_BYTES_MAX, ShardStart, WireError, acknowledgement,
    header::{put_signed_header, take_signed_header},
    reader::{Reader, in_range},
    writer::Sink,
};
use crate::{COMMITMENT_BYTES, Commitment};

const EPOCH: u8 = 1;
const ACKNOWLEDGEMENT: u8 = 1 << 1;
const HEADER: u8 = 1 << 2;
const PIECE: u8 = 1 << 3;
/// The piece is the first of its shard. Only with [`PIECE`].
const START: u8 = 1 << 4;
/// The shard has its publisher's index. Only with [`START`].
const PUBLISHER_INDEX: u8 = 1 << 5;
/// The payload is a fragment, and no shard. Not with [`PIECE`].
const FRAGMENT: u8 = 1 << 6;
/// Means nothing yet.
const UNUSED: u8 = 1 << 7;

/// What the longest frame takes, part by part in their order.
const LONGEST: usize = 1
    + 5 // epoch
    + (5 + 10 + 5) // acknowledgement
    + (HEADER_BYTES_MAX + 2 + SIGNATURE_BYTES_MAX)
    + (32 + 3) // generation
    + (2 + 1 + 1 + PATH_HASHES_MAX * COMMITMENT_BYTES) // fragment; longer than a shard's start
    + PIECE_BYTES_MAX;
const _: () = assert!(PATH_HASHES_MAX * COMMITMENT_BYTES > 3 + 2 + FRAGMENTS_MAX as usize);
const _: () = assert!(LONGEST <= FRAME_BYTES_MAX);

impl DataFrame {
    /// Encodes the frame. Its payload is moved into [`Frame::body`], not copied.
    ///
    /// A value beyond the bounds of the format encodes into a frame that decoding refuses.
    pub fn encode(self) -> Frame {
        let Self { epoch, acknowledgement, header, piece, fragment } = self;
        let start = piece.as_ref().and_then(|piece| piece.start.as_ref());
        let flags = [
            (epoch.is_some(), EPOCH),
            (acknowledgement.is_some(), ACKNOWLEDGEMENT),
            (header.is_some(), HEADER),
            (piece.is_some(), PIECE),
            (start.is_some(), START),
            (start.is_some_and(|start| start.publisher_index.is_some()), PUBLISHER_INDEX),
            (fragment.is_some(), FRAGMENT),
        ];
        let flags = flags.into_iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit);

        let mut head = Vec::with_capacity(64);
        head.put(&[flags]);
        if let Some(epoch) = epoch {
            head.put_varint(epoch);
        }
        if let Some(acknowledgement) = acknowledgement {
            acknowledgement::put(&acknowledgement, &mut head);
        }
        if let Some(header) = header {
            put_signed_header(&header, &mut head);
        }
        debug_assert!(piece.is_none() || fragment.is_none(), "a frame has one payload");
        let body = match (piece, fragment) {
            (Some(piece), _) => put_piece(piece, &mut head),
            (None, Some(fragment)) => put_fragment(fragment, &mut head),
            (None, None) => Bytes::new(),
        };
        Frame { head: head.into(), body }
    }

    /// Decodes a frame. Payload and coefficients are slices of `frame`.
    ///
    /// # Errors
    ///
    /// Returns [`WireError`] for everything that [`DataFrame::encode`] does not make of a valid
    /// value: what decodes, encodes to the same bytes.
    pub fn decode(frame: Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(frame, FRAME_BYTES_MAX)?;
        let flags = reader.take_u8("the flags")?;
        let has = |flag| flags & flag != 0;
        let contradiction = (has(START) && !has(PIECE))
            || (has(PUBLISHER_INDEX) && !has(START))
            || (has(PIECE) && has(FRAGMENT))
            || has(UNUSED);
        if contradiction {
            return Err(WireError::Flags(flags));
        }
        if flags == 0 {
            return Err(WireError::Empty);
        }
        let epoch = has(EPOCH).then(|| reader.take_u32("epoch", 0)).transpose()?;
        let acknowledgement =
            has(ACKNOWLEDGEMENT).then(|| acknowledgement::take(&mut reader)).transpose()?;
        let header = has(HEADER).then(|| take_signed_header(&mut reader)).transpose()?;
        let (mut piece, mut fragment) = (None, None);
        if has(PIECE) {
            piece = Some(take_piece(reader, has(START), has(PUBLISHER_INDEX))?);
        } else if has(FRAGMENT) {
            fragment = Some(take_fragment(reader)?);
        } else {
            reader.finish()?;
        }
        Ok(Self { epoch, acknowledgement, header, piece, fragment })
    }
}

/// Appends everything of `fragment` but its bytes, which it returns.
fn put_fragment(fragment: Fragment, out: &mut impl Sink) -> Bytes {
    let Fragment { generation, index, hops, path, bytes } = fragment;
    out.put_generation(&generation);
    out.put_varint(index);
    out.put(&[hops]);
    out.put_varint(path.len() as u64);
    for hash in &path {
        out.put(&hash.0);
    }
    bytes
}

fn take_fragment(mut reader: Reader) -> Result<Fragment, WireError> {
    let generation = reader.take_generation()?;
    let index_max = u64::from(FRAGMENTS_MAX) - 1;
    let index = reader.take_varint("index of a fragment", 0, index_max)? as u16;
    let hops = reader.take_u8("the hops of a fragment")?;
    let hashes = reader.take_varint("hashes of a path", 0, PATH_HASHES_MAX as u64)?;
    let path = (0..hashes)
        .map(|_| reader.take_array("the hashes of a path").map(Commitment))
        .collect::<Result<_, _>>()?;
    in_range("fragment bytes", reader.remaining() as u64, 1, PIECE_BYTES_MAX as u64)?;
    Ok(Fragment { generation, index, hops, path, bytes: reader.into_rest() })
}

/// Appends everything of `piece` but its bytes, which it returns.
fn put_piece(piece: Piece, out: &mut impl Sink) -> Bytes {
    let Piece { generation, offset, start, bytes } = piece;
    out.put_generation(&generation);
    if let Some(ShardStart { publisher_index, coefficients }) = start {
        debug_assert_eq!(offset, 0, "only the first piece of a shard carries its coefficients");
        if let Some(index) = publisher_index {
            out.put_varint(index);
        }
        out.put_prefixed(&coefficients);
    } else {
        out.put_varint(offset);
    }
    bytes
}

fn take_piece(mut reader: Reader, first: bool, publisher_index: bool) -> Result<Piece, WireError> {
    let generation = reader.take_generation()?;
    let (offset, start) = if first {
        let publisher_index =
            publisher_index.then(|| reader.take_u16("publisher index", 0)).transpose()?;
        let coefficients = reader.take_prefixed("coefficients", 1, FRAGMENTS_MAX.into())?;
        (0, Some(ShardStart { publisher_index, coefficients }))
    } else {
        (reader.take_u32("offset", 1)?, None)
    };
    let len = reader.remaining();
    in_range("piece bytes", len as u64, 1, PIECE_BYTES_MAX as u64)?;
    let end = u64::from(offset) + len as u64;
    in_range("end of the piece", end, 1, u64::from(rlnc::FRAGMENT_BYTES_MAX))?;
    Ok(Piece { generation, offset, start, bytes: reader.into_rest() })
}
