//! Properties of the whole format: what is encoded comes back, and nothing decodes that is not the
//! only encoding of what it decodes to.

use std::time::Duration;

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};
use rlnc::FRAGMENTS_MAX;

use super::*;
use crate::{COMMITMENT_BYTES, Commitment, Header, PUBLISHER_BYTES_MAX, PublisherId};

fn bytes(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), len).prop_map(Bytes::from)
}

fn topic() -> impl Strategy<Value = Topic> {
    prop_oneof![8 => "\\PC{1,20}", 1 => "[a-z]{1024}"].prop_map(|name| Topic::new(&name).unwrap())
}

fn header_hash() -> impl Strategy<Value = HeaderHash> {
    any::<[u8; 32]>().prop_map(HeaderHash)
}

fn generation() -> impl Strategy<Value = GenerationId> {
    (header_hash(), any::<u16>()).prop_map(|(header, index)| GenerationId { header, index })
}

fn acknowledgement() -> impl Strategy<Value = Acknowledgement> {
    (any::<u32>(), any::<u64>(), any::<u32>()).prop_map(|(epoch, bytes, waited)| Acknowledgement {
        epoch,
        bytes,
        waited: Duration::from_micros(waited.into()),
    })
}

prop_compose! {
    fn header()(
        cluster in bytes(0..=CLUSTER_BYTES_MAX),
        topic in topic(),
        payload_bytes in 1u64..=1 << 30,
        fragments in 1..=FRAGMENTS_MAX,
        fragment_bytes in 1u32 << 14..=1 << 24,
        publisher in bytes(1..=PUBLISHER_BYTES_MAX),
        public_key in option::of(bytes(1..=PUBLIC_KEY_BYTES_MAX)),
        (sequence, published_unix_ns) in any::<(u64, u64)>(),
        message in any::<[u8; 32]>(),
        root in prop_oneof![bytes(0), bytes(ROOT_BYTES)],
    ) -> Header {
        Header {
            cluster,
            topic,
            payload_bytes,
            fragments,
            fragment_bytes,
            publisher: PublisherId::new(publisher).unwrap(),
            public_key,
            sequence,
            published_unix_ns,
            message: MessageId(message),
            root,
        }
    }
}

fn signed_header() -> impl Strategy<Value = SignedHeader> {
    (header(), bytes(1..=SIGNATURE_BYTES_MAX))
        .prop_map(|(header, signature)| SignedHeader { header, signature })
}

fn piece() -> impl Strategy<Value = Piece> {
    let payload = prop_oneof![8 => bytes(1..200), 1 => bytes(PIECE_BYTES_MAX)];
    let start = (option::of(any::<u16>()), bytes(1..=256)).prop_map(|(publisher_index, vector)| {
        (0, Some(ShardStart { publisher_index, coefficients: vector }))
    });
    let later = (1u32..=(16 << 20) - PIECE_BYTES_MAX as u32).prop_map(|offset| (offset, None));
    (generation(), prop_oneof![start, later], payload)
        .prop_map(|(generation, (offset, start), bytes)| Piece { generation, offset, start, bytes })
}

fn fragment() -> impl Strategy<Value = Fragment> {
    let hash = any::<[u8; COMMITMENT_BYTES]>();
    let path = vec(hash.prop_map(Commitment), 0..=PATH_HASHES_MAX);
    let bytes = prop_oneof![bytes(1..100), Just(vec![7; PIECE_BYTES_MAX].into())];
    (generation(), 0..FRAGMENTS_MAX, any::<u8>(), path, bytes).prop_map(
        |(generation, index, hops, path, bytes)| Fragment { generation, index, hops, path, bytes },
    )
}

/// A piece, a fragment or neither.
fn payload() -> impl Strategy<Value = (Option<Piece>, Option<Fragment>)> {
    prop_oneof![
        Just((None, None)),
        piece().prop_map(|piece| (Some(piece), None)),
        fragment().prop_map(|fragment| (None, Some(fragment))),
    ]
}

fn bitmap() -> impl Strategy<Value = Bitmap> {
    vec(0..FRAGMENTS_MAX, 0..20).prop_map(|indices| indices.into_iter().collect())
}

fn data_frame() -> impl Strategy<Value = DataFrame> {
    let parts = (
        option::of(any::<u32>()),
        option::of(acknowledgement()),
        option::of(signed_header()),
        payload(),
    );
    parts
        .prop_map(|(epoch, acknowledgement, header, (piece, fragment))| DataFrame {
            epoch,
            acknowledgement,
            header,
            piece,
            fragment,
        })
        .prop_filter("carries something", |frame| *frame != DataFrame::default())
}

fn reason() -> impl Strategy<Value = RefuseReason> {
    prop::sample::select(control::REASONS.to_vec())
}

fn control() -> impl Strategy<Value = Control> {
    let news = (header_hash(), any::<[u8; 32]>())
        .prop_map(|(header, message)| News { header, message: MessageId(message) });
    prop_oneof![
        Just(Control::Hello),
        topic().prop_map(Control::Subscribe),
        topic().prop_map(Control::Unsubscribe),
        topic().prop_map(Control::Graft),
        (topic(), any::<u32>()).prop_map(|(topic, seconds)| Control::Prune {
            topic,
            backoff: Duration::from_secs(seconds.into())
        }),
        (topic(), vec(news, 1..8)).prop_map(|(topic, news)| Control::IHave { topic, news }),
        (generation(), 1..=u16::MAX)
            .prop_map(|(generation, shards)| Control::IWant { generation, shards }),
        vec(header_hash(), 1..8).prop_map(Control::IDontWant),
        (header_hash(), reason()).prop_map(|(header, reason)| Control::Refuse { header, reason }),
        header_hash().prop_map(Control::Gone),
        acknowledgement().prop_map(Control::Acknowledge),
        any::<u32>().prop_map(Control::Probe),
        any::<u32>().prop_map(Control::Echo),
        topic().prop_map(Control::DataGraft),
        (topic(), any::<u32>()).prop_map(|(topic, seconds)| Control::DataPrune {
            topic,
            backoff: Duration::from_secs(seconds.into())
        }),
        (topic(), any::<u8>(), any::<u8>()).prop_map(|(topic, part, parts)| {
            let part = part.checked_rem(parts).unwrap_or(0);
            Control::Feed { topic, part, parts }
        }),
        (generation(), bitmap())
            .prop_map(|(generation, fragments)| Control::Have { generation, fragments }),
        (generation(), bitmap(), 0..FRAGMENTS_MAX).prop_map(|(generation, mut fragments, one)| {
            fragments.insert(one);
            Control::Want { generation, fragments }
        }),
    ]
}

/// Whatever decodes must encode to the very same bytes.
fn assert_data_is_canonical(frame: &Bytes) {
    if let Ok(decoded) = DataFrame::decode(frame.clone()) {
        assert_eq!(&decoded.encode().to_bytes(), frame);
    }
}

fn assert_control_is_canonical(frame: &Bytes) {
    if let Ok(decoded) = decode_control(frame.clone()) {
        assert_eq!(&encode_control(&decoded), frame);
    }
}

fn mutated(frame: &Bytes, at: prop::sample::Index, byte: u8) -> Bytes {
    let mut frame = frame.to_vec();
    let at = at.index(frame.len());
    frame[at] = byte;
    frame.into()
}

proptest! {
    #[test]
    fn every_data_frame_comes_back(frame in data_frame()) {
        let encoded = frame.clone().encode();
        prop_assert!(encoded.len() <= FRAME_BYTES_MAX);
        prop_assert_eq!(DataFrame::decode(encoded.to_bytes()), Ok(frame));
    }

    #[test]
    fn every_control_frame_comes_back(entries in vec(control(), 1..8)) {
        let encoded = encode_control(&entries);
        prop_assert_eq!(encoded.len(), entries.iter().map(Control::encoded_len).sum::<usize>());
        prop_assert_eq!(decode_control(encoded), Ok(entries));
    }

    #[test]
    fn a_prefix_or_mutation_of_a_data_frame_is_refused_or_canonical(
        frame in data_frame(), at: prop::sample::Index, byte: u8,
    ) {
        let frame = frame.encode().to_bytes();
        assert_data_is_canonical(&frame.slice(..at.index(frame.len())));
        assert_data_is_canonical(&mutated(&frame, at, byte));
    }

    #[test]
    fn a_prefix_or_mutation_of_a_control_frame_is_refused_or_canonical(
        entries in vec(control(), 1..4), at: prop::sample::Index, byte: u8,
    ) {
        let frame = encode_control(&entries);
        assert_control_is_canonical(&frame.slice(..at.index(frame.len())));
        assert_control_is_canonical(&mutated(&frame, at, byte));
    }

    #[test]
    fn any_bytes_are_refused_or_canonical(frame in bytes(0..400)) {
        assert_data_is_canonical(&frame);
        assert_control_is_canonical(&frame);
    }

    #[test]
    fn what_a_writer_took_is_one_frame_of_these_entries(entries in vec(control(), 1..40)) {
        let mut writer = ControlWriter::default();
        let taken = entries.iter().take_while(|entry| writer.push(entry)).count();
        let frame = writer.finish();
        prop_assert!(frame.len() <= FRAME_BYTES_MAX);
        prop_assert_eq!(decode_control(frame), Ok(entries[..taken].to_vec()));
    }
}
