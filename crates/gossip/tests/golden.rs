//! The wire format against vectors in `golden/`: bytes in hex, `#` begins a comment.
//!
//! The vectors hold for one major version of the protocol: they change on purpose only, together
//! with `docs/protocol.md`. `UPDATE_GOLDEN=1 cargo test -p gossip --test golden` writes those that
//! differ anew, without comments; whoever does so checks each byte by hand and says what it is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::PathBuf, time::Duration};

use bytes::Bytes;
use gossip::{
    COMMITMENT_BYTES, Commitment, GenerationId, Header, HeaderHash, MessageId, PublisherId,
    SignedHeader, Topic,
    wire::{
        Acknowledgement, Bitmap, Control, DataFrame, Fragment, News, Piece, RefuseReason,
        ShardStart, decode_control, encode_control,
    },
};

/// Checks that the vector `name` is `encoded`.
fn assert_golden(name: &str, encoded: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.hex"));
    let text = fs::read_to_string(&path).unwrap_or_default();
    let encoded = hex::encode(encoded);
    let golden = text
        .lines()
        .filter_map(|line| line.split('#').next())
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect::<String>();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        if golden != encoded {
            fs::write(&path, encoded + "\n").unwrap();
        }
        return;
    }
    assert_eq!(encoded, golden, "{name}: left is what is encoded, right the vector");
}

fn assert_data(name: &str, frame: &DataFrame) {
    let encoded = frame.clone().encode().to_bytes();
    assert_golden(name, &encoded);
    assert_eq!(DataFrame::decode(encoded).as_ref(), Ok(frame), "{name}");
}

fn assert_control(name: &str, entries: &[Control]) {
    let encoded = encode_control(entries);
    assert_golden(name, &encoded);
    assert_eq!(decode_control(encoded).as_deref(), Ok(entries), "{name}");
}

fn topic() -> Topic {
    Topic::new("topic").unwrap()
}

/// A header as profile `documented` makes it.
fn header() -> Header {
    Header {
        cluster: Bytes::from_static(b"test"),
        topic: topic(),
        payload_bytes: 1000,
        fragments: 4,
        fragment_bytes: 250,
        publisher: PublisherId::new(Bytes::from_static(&[0xaa, 0xbb, 0xcc])).unwrap(),
        public_key: None,
        sequence: 100_000_000_000_000_000,
        published_unix_ns: 300,
        message: MessageId([0x11; 32]),
        root: Bytes::new(),
    }
}

/// A header that has every optional part and the largest shape.
fn header_full() -> Header {
    Header {
        cluster: Bytes::new(),
        topic: Topic::new("üé").unwrap(),
        payload_bytes: 1 << 32,
        fragments: 256,
        fragment_bytes: 1 << 24,
        publisher: PublisherId::new(Bytes::from_static(&[1])).unwrap(),
        public_key: Some(Bytes::from_static(&[0xde, 0xad, 0xbe, 0xef])),
        sequence: u64::MAX,
        published_unix_ns: 0,
        message: MessageId([0x22; 32]),
        root: Bytes::from_static(&[0x33; 20]),
    }
}

fn signed(header: Header) -> SignedHeader {
    SignedHeader { header, signature: Bytes::from_static(b"QRST") }
}

fn generation(header: [u8; 32], index: u16) -> GenerationId {
    GenerationId { header: HeaderHash(header), index }
}

fn start(publisher_index: Option<u16>, coefficients: &'static [u8]) -> ShardStart {
    ShardStart { publisher_index, coefficients: Bytes::from_static(coefficients) }
}

#[test]
fn headers_and_their_hashes_are_the_golden_ones() {
    for (name, header) in [("header", header()), ("header_full", header_full())] {
        assert_golden(name, &header.signed_text());
        assert_golden(&format!("{name}_hash"), &header.hash().0);
    }
}

#[test]
fn data_frames_are_the_golden_ones() {
    let acknowledgement =
        Acknowledgement { epoch: u32::MAX, bytes: 16_384, waited: Duration::from_millis(2) };
    assert_data("data_epoch", &DataFrame { epoch: Some(7), ..DataFrame::default() });
    assert_data(
        "data_acknowledgement",
        &DataFrame { acknowledgement: Some(acknowledgement), ..DataFrame::default() },
    );

    let piece = Piece {
        generation: generation(header().hash().0, 0),
        offset: 0,
        start: Some(start(Some(5), &[1, 2, 3, 4])),
        bytes: Bytes::from_static(&[0xa0, 0xa1, 0xa2, 0xa3]),
    };
    assert_data(
        "data_header_and_first_piece",
        &DataFrame { header: Some(signed(header())), piece: Some(piece), ..DataFrame::default() },
    );

    let piece = Piece {
        generation: generation([0x44; 32], 257),
        offset: 0,
        start: Some(start(None, &[0xff, 0])),
        bytes: Bytes::from_static(&[0xb0]),
    };
    assert_data(
        "data_recoded_first_piece",
        &DataFrame { piece: Some(piece), ..DataFrame::default() },
    );

    let piece = Piece {
        generation: generation([0x44; 32], 0),
        offset: 16_384,
        start: None,
        bytes: Bytes::from_static(&[0xc0, 0xc1]),
    };
    assert_data("data_later_piece", &DataFrame { piece: Some(piece), ..DataFrame::default() });

    let everything = DataFrame {
        epoch: Some(1),
        acknowledgement: Some(Acknowledgement {
            epoch: 2,
            bytes: 3,
            waited: Duration::from_micros(4),
        }),
        header: Some(signed(header_full())),
        piece: Some(Piece {
            generation: generation([0x55; 32], u16::MAX),
            offset: 0,
            start: Some(start(Some(0), &[1])),
            bytes: Bytes::from_static(&[0xd0, 0xd1]),
        }),
        ..DataFrame::default()
    };
    assert_data("data_everything", &everything);
}

#[test]
fn data_frames_of_profile_adaptive_are_the_golden_ones() {
    let fragment = Fragment {
        generation: generation([0x44; 32], 2),
        index: 200,
        hops: 1,
        path: vec![Commitment([0xe0; COMMITMENT_BYTES]), Commitment([0xe1; COMMITMENT_BYTES])],
        bytes: Bytes::from_static(&[0xf0, 0xf1]),
    };
    let frame = DataFrame { fragment: Some(fragment.clone()), ..DataFrame::default() };
    assert_data("data_fragment", &frame);
    let header = Header { root: Bytes::from_static(&[0x33; 20]), ..header() };
    let frame = DataFrame {
        header: Some(signed(header)),
        fragment: Some(Fragment { path: Vec::new(), ..fragment }),
        ..DataFrame::default()
    };
    assert_data("data_header_and_fragment", &frame);
}

#[test]
fn control_frames_of_profile_adaptive_are_the_golden_ones() {
    let fragments: Bitmap = [0, 9, 64, 255].into_iter().collect();
    let generation = generation([0x66; 32], 1);
    let frames = [
        ("probe", Control::Probe(300)),
        ("echo", Control::Echo(300)),
        ("data_graft", Control::DataGraft(topic())),
        ("data_prune", Control::DataPrune { topic: topic(), backoff: Duration::from_mins(1) }),
        ("feed", Control::Feed { topic: topic(), part: 3, parts: 16 }),
        ("have", Control::Have { generation, fragments }),
        ("want", Control::Want { generation, fragments: [7].into_iter().collect() }),
    ];
    for (name, entry) in frames {
        assert_control(&format!("control_{name}"), &[entry]);
    }
}

#[test]
fn control_frames_are_the_golden_ones() {
    let one = HeaderHash([0x66; 32]);
    let two = HeaderHash([0x88; 32]);
    let news = vec![
        News { header: one, message: MessageId([0x77; 32]) },
        News { header: two, message: MessageId([0x99; 32]) },
    ];
    let acknowledgement =
        Acknowledgement { epoch: 7, bytes: 16_384, waited: Duration::from_millis(2) };
    let frames = [
        ("hello", Control::Hello),
        ("subscribe", Control::Subscribe(topic())),
        ("unsubscribe", Control::Unsubscribe(topic())),
        ("graft", Control::Graft(topic())),
        ("prune", Control::Prune { topic: topic(), backoff: Duration::from_mins(1) }),
        ("ihave", Control::IHave { topic: topic(), news }),
        ("iwant", Control::IWant { generation: generation([0x66; 32], 1), shards: 300 }),
        ("idontwant", Control::IDontWant(vec![one, two])),
        ("gone", Control::Gone(one)),
        ("acknowledge", Control::Acknowledge(acknowledgement)),
    ];
    for (name, entry) in frames {
        assert_control(&format!("control_{name}"), &[entry]);
    }
}

#[test]
fn refusals_are_the_golden_ones() {
    let reasons = [
        RefuseReason::NotSubscribed,
        RefuseReason::Busy,
        RefuseReason::TooManyClaims,
        RefuseReason::Seen,
        RefuseReason::Replayed,
        RefuseReason::Barred,
        RefuseReason::OtherCluster,
        RefuseReason::TooLarge,
        RefuseReason::Shape,
        RefuseReason::NoHeader,
        RefuseReason::Polluted,
    ];
    let header = HeaderHash([0x66; 32]);
    assert_control("control_refuse", &reasons.map(|reason| Control::Refuse { header, reason }));
}
