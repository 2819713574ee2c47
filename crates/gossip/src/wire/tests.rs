//! Each refusal once, and what is copied and what is not.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{Header, PublisherId, TOPIC_BYTES_MAX};

fn sample_header() -> Header {
    Header {
        cluster: Bytes::from_static(b"cluster"),
        topic: Topic::new("topic").unwrap(),
        payload_bytes: 1000,
        fragments: 4,
        fragment_bytes: 250,
        publisher: PublisherId::new(Bytes::from_static(b"publisher")).unwrap(),
        public_key: None,
        sequence: 5,
        published_unix_ns: 6,
        message: MessageId([7; 32]),
        root: Bytes::new(),
    }
}

fn sample_piece(offset: u32, len: usize) -> Piece {
    let generation = GenerationId { header: HeaderHash([1; 32]), index: 0 };
    let start = ShardStart { publisher_index: None, coefficients: Bytes::from_static(&[1; 4]) };
    let start = (offset == 0).then_some(start);
    Piece { generation, offset, start, bytes: vec![9; len].into() }
}

fn data_error(frame: DataFrame) -> WireError {
    DataFrame::decode(frame.encode().to_bytes()).unwrap_err()
}

fn header_error(change: impl FnOnce(&mut Header)) -> WireError {
    let mut header = sample_header();
    change(&mut header);
    let header = SignedHeader { header, signature: Bytes::from_static(b"signature") };
    data_error(DataFrame { header: Some(header), ..DataFrame::default() })
}

fn piece_error(piece: Piece) -> WireError {
    data_error(DataFrame { piece: Some(piece), ..DataFrame::default() })
}

fn out_of_range(what: &'static str, value: u64, min: u64, max: u64) -> WireError {
    WireError::OutOfRange { what, value, min, max }
}

#[test]
fn payload_and_coefficients_are_slices_of_the_frame() {
    let piece = Some(sample_piece(0, 100));
    let frame = DataFrame { piece, ..DataFrame::default() }.encode().to_bytes();
    let inside = |part: &Bytes| frame.as_ptr_range().contains(&part.as_ptr());
    let piece = DataFrame::decode(frame.clone()).unwrap().piece.unwrap();
    assert!(inside(&piece.bytes));
    assert!(inside(&piece.start.unwrap().coefficients));
}

#[test]
fn payload_is_moved_into_the_body_and_not_copied() {
    let piece = sample_piece(0, 100);
    let at = piece.bytes.as_ptr();
    let frame = DataFrame { piece: Some(piece), ..DataFrame::default() }.encode();
    assert_eq!(frame.body.as_ptr(), at);
}

#[test]
fn a_header_does_not_keep_its_frame_in_memory() {
    let header = SignedHeader { header: sample_header(), signature: Bytes::from_static(b"s") };
    let piece = Some(sample_piece(0, 100));
    let frame = DataFrame { header: Some(header), piece, ..DataFrame::default() };
    let frame = frame.encode().to_bytes();
    let outside = |part: &Bytes| !frame.as_ptr_range().contains(&part.as_ptr());
    let SignedHeader { header, signature } =
        DataFrame::decode(frame.clone()).unwrap().header.unwrap();
    assert!(outside(&signature) && outside(&header.cluster));
    assert!(outside(header.publisher.as_bytes()));
}

#[test]
fn a_frame_without_anything_is_refused() {
    assert_eq!(DataFrame::decode(Bytes::new()), Err(WireError::Empty));
    assert_eq!(data_error(DataFrame::default()), WireError::Empty);
    assert_eq!(decode_control(Bytes::new()), Err(WireError::Empty));
}

#[test]
fn a_frame_over_the_bound_is_refused() {
    let frame = Bytes::from(vec![1; FRAME_BYTES_MAX + 1]);
    let error = WireError::TooLong { bytes: FRAME_BYTES_MAX + 1, max: FRAME_BYTES_MAX };
    assert_eq!(DataFrame::decode(frame.clone()), Err(error.clone()));
    assert_eq!(decode_control(frame), Err(error));
}

#[test]
fn unknown_and_contradicting_flags_are_refused() {
    for flags in [0b1000_1000, 0b1001_0000, 0b0001_0000, 0b0010_1000, 0b0011_0000] {
        let frame = Bytes::copy_from_slice(&[flags, 0, 0, 0]);
        assert_eq!(DataFrame::decode(frame), Err(WireError::Flags(flags)));
    }
}

#[test]
fn bytes_after_the_end_of_a_data_frame_are_refused() {
    let frame = Bytes::from_static(&[1, 7, 0, 0]);
    assert_eq!(DataFrame::decode(frame), Err(WireError::Trailing { bytes: 2 }));
}

#[test]
fn a_padded_number_is_refused() {
    let frame = Bytes::from_static(&[1, 0x87, 0]);
    assert_eq!(DataFrame::decode(frame), Err(WireError::Varint("epoch")));
}

#[test]
fn a_header_out_of_bounds_is_refused_with_its_numbers() {
    let long = |len: usize| Bytes::from(vec![1; len]);
    assert_eq!(
        header_error(|h| h.payload_bytes = 0),
        out_of_range("payload bytes", 0, 1, u64::MAX)
    );
    assert_eq!(header_error(|h| h.fragments = 0), out_of_range("fragments", 0, 1, 256));
    assert_eq!(header_error(|h| h.fragments = 257), out_of_range("fragments", 257, 1, 256));
    assert_eq!(
        header_error(|h| h.fragment_bytes = 0),
        out_of_range("fragment bytes", 0, 1, 1 << 24)
    );
    assert_eq!(
        header_error(|h| h.fragment_bytes = (1 << 24) + 1),
        out_of_range("fragment bytes", (1 << 24) + 1, 1, 1 << 24)
    );
    assert_eq!(
        header_error(|h| h.payload_bytes = 65_536 * 1000 + 1),
        out_of_range("generations", 65_537, 1, 65_536)
    );
    assert_eq!(header_error(|h| h.cluster = long(257)), out_of_range("cluster bytes", 257, 0, 256));
    assert_eq!(
        header_error(|h| h.public_key = Some(long(513))),
        out_of_range("public key bytes", 513, 0, 512)
    );
    assert_eq!(header_error(|h| h.root = long(19)), WireError::RootLength { bytes: 19 });
}

#[test]
fn a_header_of_65_536_generations_is_taken() {
    let header = Header { payload_bytes: 65_536 * 1000, ..sample_header() };
    let header = SignedHeader { header, signature: Bytes::from_static(b"signature") };
    let frame = DataFrame { header: Some(header), ..DataFrame::default() };
    assert_eq!(DataFrame::decode(frame.clone().encode().to_bytes()), Ok(frame));
}

#[test]
fn a_signature_out_of_bounds_is_refused() {
    for len in [0, SIGNATURE_BYTES_MAX + 1] {
        let header = SignedHeader { header: sample_header(), signature: vec![1; len].into() };
        assert_eq!(
            data_error(DataFrame { header: Some(header), ..DataFrame::default() }),
            out_of_range("signature bytes", len as u64, 1, 128)
        );
    }
}

#[test]
fn a_piece_out_of_bounds_is_refused() {
    assert_eq!(piece_error(sample_piece(0, 0)), out_of_range("piece bytes", 0, 1, 16_384));
    assert_eq!(
        piece_error(sample_piece(5, 16_385)),
        out_of_range("piece bytes", 16_385, 1, 16_384)
    );
    assert_eq!(
        piece_error(sample_piece((16 << 20) - 9, 10)),
        out_of_range("end of the piece", (16 << 20) + 1, 1, 16 << 20)
    );
    assert_eq!(
        piece_error(Piece { start: None, ..sample_piece(0, 1) }),
        out_of_range("offset", 0, 1, u32::MAX.into())
    );
    for len in [0, 257] {
        let mut piece = sample_piece(0, 1);
        piece.start.as_mut().unwrap().coefficients = vec![1; len].into();
        assert_eq!(piece_error(piece), out_of_range("coefficients", len as u64, 1, 256));
    }
}

#[test]
fn a_topic_out_of_bounds_is_refused() {
    let subscribe = |len: &[u8], name: &[u8]| {
        let frame = [&[2], len, name].concat();
        decode_control(frame.into()).unwrap_err()
    };
    assert_eq!(subscribe(&[0], b""), out_of_range("topic bytes", 0, 1, 1024));
    assert_eq!(subscribe(&[0x81, 0x08], &[b'a'; 1025]), out_of_range("topic bytes", 1025, 1, 1024));
    assert_eq!(subscribe(&[2], &[0xff, 0xfe]), WireError::TopicNotUtf8);
    assert_eq!(subscribe(&[5], b"abc"), WireError::Truncated("topic bytes"));
}

#[test]
fn a_topic_of_the_full_length_is_taken() {
    let entries = [Control::Subscribe(Topic::new(&"t".repeat(TOPIC_BYTES_MAX)).unwrap())];
    assert_eq!(decode_control(encode_control(&entries)).unwrap(), entries);
}

#[test]
fn unknown_tags_and_reasons_are_refused() {
    for tag in [0, 19, 255] {
        let what = "the tag of an entry";
        let error = decode_control(Bytes::copy_from_slice(&[tag])).unwrap_err();
        assert_eq!(error, WireError::UnknownTag { what, tag });
    }
    for tag in [0, 12, 255] {
        let frame = [&[9][..], &[1; 32], &[tag]].concat();
        let what = "the reason of a refusal";
        assert_eq!(decode_control(frame.into()), Err(WireError::UnknownTag { what, tag }));
    }
}

#[test]
fn empty_or_too_long_lists_are_refused() {
    let what = "headers of an IDONTWANT";
    let empty = encode_control(&[Control::IDontWant(Vec::new())]);
    assert_eq!(decode_control(empty), Err(out_of_range(what, 0, 1, 512)));
    let long = encode_control(&[Control::IDontWant(vec![HeaderHash([1; 32]); 513])]);
    assert_eq!(decode_control(long), Err(out_of_range(what, 513, 1, 512)));
    let news = vec![News { header: HeaderHash([1; 32]), message: MessageId([2; 32]) }; 257];
    let long = encode_control(&[Control::IHave { topic: Topic::new("t").unwrap(), news }]);
    assert_eq!(decode_control(long), Err(out_of_range("messages of an IHAVE", 257, 1, 256)));
}

#[test]
fn a_count_without_its_items_is_refused() {
    let frame = Bytes::from_static(&[8, 0x80, 0x04, 1, 2, 3]);
    assert_eq!(decode_control(frame), Err(WireError::Truncated("headers of an IDONTWANT")));
}

#[test]
fn an_iwant_of_no_shards_is_refused() {
    let generation = GenerationId { header: HeaderHash([1; 32]), index: 0 };
    let frame = encode_control(&[Control::IWant { generation, shards: 0 }]);
    assert_eq!(decode_control(frame), Err(out_of_range("shards wanted", 0, 1, 65_535)));
}

#[test]
fn entries_over_the_bound_of_a_frame_are_refused_and_never_written() {
    let mut writer = ControlWriter::default();
    let written = (0..2000).take_while(|_| writer.push(&Control::Hello)).count();
    assert_eq!(written, CONTROL_ENTRIES_MAX);
    assert_eq!(decode_control(writer.finish()).unwrap().len(), CONTROL_ENTRIES_MAX);
    let frame = encode_control(&vec![Control::Hello; CONTROL_ENTRIES_MAX + 1]);
    assert_eq!(decode_control(frame), Err(out_of_range("control entries", 1025, 1, 1024)));
}

#[test]
fn a_backoff_is_rounded_up_to_whole_seconds_and_a_wait_down_to_microseconds() {
    let topic = Topic::new("t").unwrap();
    let backoff = Duration::from_millis(1500);
    let acknowledgement =
        Acknowledgement { epoch: 1, bytes: 2, waited: Duration::from_nanos(3999) };
    let entries =
        [Control::Prune { topic: topic.clone(), backoff }, Control::Acknowledge(acknowledgement)];
    let acknowledgement = Acknowledgement { waited: Duration::from_micros(3), ..acknowledgement };
    let rounded = vec![
        Control::Prune { topic, backoff: Duration::from_secs(2) },
        Control::Acknowledge(acknowledgement),
    ];
    assert_eq!(decode_control(encode_control(&entries)), Ok(rounded));
}
