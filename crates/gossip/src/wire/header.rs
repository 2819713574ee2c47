//! The header of a message: the part of the wire format that is hashed and signed, so every value
//! has exactly one encoding.

use bytes::Bytes;
use rlnc::FRAGMENTS_MAX;

use super::{
    HEADER_BYTES_MAX, SIGNATURE_BYTES_MAX, WireError,
    reader::{Reader, in_range},
    writer::Sink,
};
use crate::{Header, PUBLISHER_BYTES_MAX, PublisherId, SignedHeader, TOPIC_BYTES_MAX};

/// The longest cluster id in bytes.
pub const CLUSTER_BYTES_MAX: usize = 256;

/// The longest public key in bytes, for keys that a publisher id does not contain. RSA with 2048
/// bits has 299; Ed25519 and secp256k1 need none.
pub const PUBLIC_KEY_BYTES_MAX: usize = 512;

/// The length of a root of commitments where there is one.
pub const ROOT_BYTES: usize = 20;

/// The most generations of a message: what a generation's index can count.
pub const GENERATIONS_MAX: u64 = 1 << 16;

/// What the longest header takes, field by field in their order.
const LONGEST: usize = (2 + CLUSTER_BYTES_MAX)
    + (2 + TOPIC_BYTES_MAX)
    + 10 // payload bytes
    + 2 // fragments
    + 4 // fragment bytes
    + (1 + PUBLISHER_BYTES_MAX)
    + (2 + PUBLIC_KEY_BYTES_MAX)
    + 10 // sequence
    + 10 // published
    + 32 // message id
    + (1 + ROOT_BYTES);
const _: () = assert!(LONGEST <= HEADER_BYTES_MAX);

/// Appends the encoding of `header`.
pub(crate) fn encode_header(header: &Header, out: &mut Vec<u8>) {
    put_header(header, out);
}

fn put_header(header: &Header, out: &mut impl Sink) {
    out.put_prefixed(&header.cluster);
    out.put_topic(&header.topic);
    out.put_varint(header.payload_bytes);
    out.put_varint(header.fragments);
    out.put_varint(header.fragment_bytes);
    out.put_prefixed(header.publisher.as_bytes());
    out.put_prefixed(header.public_key.as_deref().unwrap_or_default());
    out.put_varint(header.sequence);
    out.put_varint(header.published_unix_ns);
    out.put(&header.message.0);
    out.put_prefixed(&header.root);
}

/// Appends the encoding of `signed`.
pub(super) fn put_signed_header(signed: &SignedHeader, out: &mut impl Sink) {
    put_header(&signed.header, out);
    out.put_prefixed(&signed.signature);
}

/// Reads a header and its signature. Their bytes are copied: headers outlive their frames.
pub(super) fn take_signed_header(reader: &mut Reader) -> Result<SignedHeader, WireError> {
    let header = take_header(reader)?;
    let signature = reader.copy_prefixed("signature bytes", 1, SIGNATURE_BYTES_MAX)?;
    Ok(SignedHeader { header, signature })
}

fn take_header(reader: &mut Reader) -> Result<Header, WireError> {
    let fragment_bytes_max = u64::from(rlnc::FRAGMENT_BYTES_MAX);
    let header = Header {
        cluster: reader.copy_prefixed("cluster bytes", 0, CLUSTER_BYTES_MAX)?,
        topic: reader.take_topic()?,
        payload_bytes: reader.take_varint("payload bytes", 1, u64::MAX)?,
        fragments: reader.take_varint("fragments", 1, FRAGMENTS_MAX.into())? as u16,
        fragment_bytes: reader.take_varint("fragment bytes", 1, fragment_bytes_max)? as u32,
        publisher: take_publisher(reader)?,
        public_key: Some(reader.copy_prefixed("public key bytes", 0, PUBLIC_KEY_BYTES_MAX)?)
            .filter(|key| !key.is_empty()),
        sequence: reader.take_u64("sequence")?,
        published_unix_ns: reader.take_u64("publish time")?,
        message: reader.take_message_id()?,
        root: take_root(reader)?,
    };
    in_range("generations", header.generations(), 1, GENERATIONS_MAX)?;
    Ok(header)
}

fn take_publisher(reader: &mut Reader) -> Result<PublisherId, WireError> {
    let bytes = reader.copy_prefixed("publisher bytes", 1, PUBLISHER_BYTES_MAX)?;
    Ok(PublisherId::new(bytes)?)
}

fn take_root(reader: &mut Reader) -> Result<Bytes, WireError> {
    let bytes = reader.take_u64("root bytes")?;
    if bytes != 0 && bytes != ROOT_BYTES as u64 {
        return Err(WireError::RootLength { bytes });
    }
    reader.take("root", bytes as usize).map(|root| Bytes::copy_from_slice(&root))
}
