//! What only profile `adaptive` sends: each refusal once.

use rlnc::FRAGMENTS_MAX;

use super::*;
use crate::{COMMITMENT_BYTES, Commitment};

const GENERATION: GenerationId = GenerationId { header: HeaderHash([1; 32]), index: 3 };

fn fragment(index: u16, bytes: usize) -> Fragment {
    with_path(index, bytes, 6)
}

fn with_path(index: u16, bytes: usize, hashes: usize) -> Fragment {
    let path = vec![Commitment([6; COMMITMENT_BYTES]); hashes];
    Fragment { generation: GENERATION, index, hops: 2, path, bytes: vec![9; bytes].into() }
}

fn error(frame: DataFrame) -> WireError {
    DataFrame::decode(frame.encode().to_bytes()).expect_err("it is out of bounds")
}

fn out_of_range(what: &'static str, value: u64, min: u64, max: u64) -> WireError {
    WireError::OutOfRange { what, value, min, max }
}

#[test]
fn a_fragment_out_of_bounds_is_refused() {
    let with = |fragment| DataFrame { fragment: Some(fragment), ..DataFrame::default() };
    assert_eq!(error(with(fragment(0, 0))), out_of_range("fragment bytes", 0, 1, 16_384));
    let long = PIECE_BYTES_MAX + 1;
    assert_eq!(error(with(fragment(0, long))), out_of_range("fragment bytes", 16_385, 1, 16_384));
    let beyond = fragment(FRAGMENTS_MAX, 1);
    assert_eq!(error(with(beyond)), out_of_range("index of a fragment", 256, 0, 255));
}

#[test]
fn a_path_out_of_bounds_is_refused() {
    let with = |fragment| DataFrame { fragment: Some(fragment), ..DataFrame::default() };
    assert_eq!(error(with(with_path(0, 1, 25))), out_of_range("hashes of a path", 25, 0, 24));
    let frame = with(with_path(0, 1, 24)).encode().to_bytes();
    assert!(DataFrame::decode(frame.clone()).is_ok());
    let cut = DataFrame::decode(frame.slice(..frame.len() - 2));
    assert_eq!(cut, Err(WireError::Truncated("the hashes of a path")));
}

#[test]
fn a_flag_that_means_nothing_is_refused() {
    let frame = DataFrame { fragment: Some(fragment(1, 1)), ..DataFrame::default() };
    let mut bytes = frame.encode().to_bytes().to_vec();
    bytes[0] |= 1 << 7;
    assert_eq!(DataFrame::decode(bytes.into()), Err(WireError::Flags(0b1100_0000)));
}

#[test]
fn a_fragment_is_a_slice_of_its_frame() {
    let frame = DataFrame { fragment: Some(fragment(1, 100)), ..DataFrame::default() };
    let frame = frame.encode().to_bytes();
    let decoded = DataFrame::decode(frame.clone()).expect("a sound frame");
    let bytes = decoded.fragment.expect("it has a fragment").bytes;
    assert!(frame.as_ptr_range().contains(&bytes.as_ptr()));
}

#[test]
fn a_bitmap_that_is_padded_or_too_long_is_refused_and_an_empty_one_is_had_but_not_wanted() {
    let entry = |tag: u8, bitmap: &[u8]| {
        let frame = [&[tag][..], &[1; 32], &[3], bitmap].concat();
        decode_control(frame.into())
    };
    let have = |indices: &[u16]| {
        let fragments = indices.iter().copied().collect();
        Ok(vec![Control::Have { generation: GENERATION, fragments }])
    };
    assert_eq!(entry(17, &[0]), have(&[]));
    assert_eq!(entry(17, &[2, 1, 128]), have(&[0, 15]));
    assert_eq!(entry(17, &[2, 1, 0]), Err(WireError::BitmapPadding));
    assert_eq!(entry(17, &[33]), Err(out_of_range("bytes of a bitmap", 33, 0, 32)));
    assert_eq!(entry(18, &[0]), Err(out_of_range("fragments wanted", 0, 1, 256)));
}

#[test]
fn a_part_that_there_is_not_is_refused() {
    let feed = |part: u8, parts: u8| decode_control(vec![16, 1, b't', part, parts].into());
    assert!(feed(0, 0).is_ok(), "nothing more is to be sent unasked");
    assert!(feed(15, 16).is_ok());
    assert!(feed(16, 16).is_ok(), "others feed it");
    assert_eq!(feed(17, 16), Err(out_of_range("part of a feed", 17, 0, 16)));
    assert_eq!(feed(1, 0), Err(out_of_range("part of a feed", 1, 0, 0)));
}
