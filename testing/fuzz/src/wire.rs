//! Bytes into the decoders of frames: they are refused, or they are the only encoding of what
//! they decode to.

use bytes::Bytes;
use gossip::wire::{
    CONTROL_ENTRIES_MAX, Control, ControlWriter, DataFrame, FRAME_BYTES_MAX, PIECE_BYTES_MAX,
    decode_control, encode_control,
};

/// Decodes a data frame.
pub fn data(bytes: &[u8]) {
    let Ok(frame) = DataFrame::decode(Bytes::copy_from_slice(bytes)) else { return };
    assert!(bytes.len() <= FRAME_BYTES_MAX);
    if let Some(piece) = &frame.piece {
        assert!((1..=PIECE_BYTES_MAX).contains(&piece.bytes.len()));
        assert_eq!(piece.start.is_some(), piece.offset == 0);
    }
    if let Some(fragment) = &frame.fragment {
        assert!(frame.piece.is_none() && fragment.index < 256);
        assert!((1..=PIECE_BYTES_MAX).contains(&fragment.bytes.len()));
    }
    if let Some(signed) = &frame.header {
        assert!((1..=1 << 16).contains(&signed.header.generations()));
    }
    assert_eq!(frame.encode().to_bytes(), bytes);
}

/// Decodes a control frame.
pub fn control(bytes: &[u8]) {
    let Ok(entries) = decode_control(Bytes::copy_from_slice(bytes)) else { return };
    assert!((1..=CONTROL_ENTRIES_MAX).contains(&entries.len()));
    assert_eq!(encode_control(&entries), bytes);
    assert_eq!(entries.iter().map(Control::encoded_len).sum::<usize>(), bytes.len());
    let mut writer = ControlWriter::default();
    assert!(entries.iter().all(|entry| writer.push(entry)));
    assert_eq!(writer.finish(), bytes);
}
