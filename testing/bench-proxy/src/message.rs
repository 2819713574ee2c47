//! What is published: a stamp that says which message it is and when it left, and filler; and the
//! same as a node delivers it.

use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use api::Delivery;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;

use crate::TOPIC;

/// The node that the sidecar claims to be, and where its messages come from.
pub(crate) const NODE: &str = "12D3KooWD5RtEPmMR9Yb2ku5VuxqK7Yj1Y5Gv8DmffJ6Ei8maU44";

/// What a payload begins with; a multiple of three, so that its base64 stands by itself.
const STAMP_BYTES: usize = 12;
const STAMP_DIGITS: usize = STAMP_BYTES / 3 * 4;
const ID_DIGITS: usize = 64;

const ID_KEY: &[u8] = br#""message_id":""#;
const PAYLOAD_KEY: &[u8] = br#""message":""#;

/// Which message of a run, and when it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) number: u32,
    /// Since the clock's beginning.
    pub(crate) nanoseconds: u64,
}

impl Stamp {
    fn to_bytes(self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[..4].copy_from_slice(&self.number.to_be_bytes());
        bytes[4..].copy_from_slice(&self.nanoseconds.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; STAMP_BYTES]) -> Self {
        let [a, b, c, d, time @ ..] = bytes;
        Self { number: u32::from_be_bytes([a, b, c, d]), nanoseconds: u64::from_be_bytes(time) }
    }
}

/// What the stamps of a run count from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn nanoseconds(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// The payloads of a run, all of one length.
pub(crate) struct Payloads {
    clock: Clock,
    next: u32,
    payload: Vec<u8>,
}

impl Payloads {
    pub(crate) fn new(clock: Clock, bytes: usize) -> Self {
        Self { clock, next: 0, payload: vec![b'x'; bytes.max(STAMP_BYTES)] }
    }

    /// Returns the next stamp, of now.
    fn stamp(&mut self) -> Stamp {
        let stamp = Stamp { number: self.next, nanoseconds: self.clock.nanoseconds() };
        self.next += 1;
        stamp
    }

    /// Returns the next payload.
    pub(crate) fn next(&mut self) -> &[u8] {
        let stamp = self.stamp().to_bytes();
        self.payload[..STAMP_BYTES].copy_from_slice(&stamp);
        &self.payload
    }
}

/// The payloads of a run as a node delivers them: JSON that is made once, and patched for each.
pub(crate) struct Deliveries {
    payloads: Payloads,
    with_payload: Patched,
    without_payload: Patched,
}

/// JSON, and where in it what differs from message to message stands.
struct Patched {
    json: Bytes,
    id_at: usize,
    stamp_at: Option<usize>,
}

impl Patched {
    fn new(json: Bytes) -> Result<Self> {
        let after = |key| memchr::memmem::find(&json, key).map(|at| at + key.len());
        let id_at = after(ID_KEY).context("a delivery without an id")?;
        let stamp_at = after(PAYLOAD_KEY);
        Ok(Self { json, id_at, stamp_at })
    }

    fn make(&self, stamp: Stamp) -> Result<Bytes> {
        let mut json = self.json.to_vec();
        hex::encode_to_slice(id(stamp.number), &mut json[self.id_at..self.id_at + ID_DIGITS])?;
        if let Some(at) = self.stamp_at {
            STANDARD.encode_slice(stamp.to_bytes(), &mut json[at..at + STAMP_DIGITS])?;
        }
        Ok(json.into())
    }
}

impl Deliveries {
    pub(crate) fn new(clock: Clock, bytes: usize) -> Result<Self> {
        let payloads = Payloads::new(clock, bytes);
        let delivery = Delivery {
            source_node_id: NODE.to_owned(),
            upstream_peer_id: NODE.to_owned(),
            topic: TOPIC.to_owned(),
            message_id: "0".repeat(ID_DIGITS),
            message: Bytes::copy_from_slice(&payloads.payload),
        };
        Ok(Self {
            payloads,
            with_payload: Patched::new(delivery.to_json())?,
            without_payload: Patched::new(delivery.to_json_without_payload())?,
        })
    }

    /// Returns the stamp of the next message.
    pub(crate) fn next(&mut self) -> Stamp {
        self.payloads.stamp()
    }

    /// Returns the JSON of a message, with or without its payload.
    pub(crate) fn json(&self, stamp: Stamp, has_payload: bool) -> Result<Bytes> {
        if has_payload { &self.with_payload } else { &self.without_payload }.make(stamp)
    }
}

/// Returns the id of a message. The node's is the hash of the payload, which here would cost more
/// than all else; this one is as unlike its neighbours (the finish of `SplitMix64`).
fn id(number: u32) -> [u8; 32] {
    let mut mixed = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mut id = [0; 32];
    for (place, turn) in id.chunks_exact_mut(8).zip(0_u32..) {
        place.copy_from_slice(&mixed.rotate_left(turn * 16).to_be_bytes());
    }
    id
}

/// How a face of a server delivers a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// In JSON, alone or inside a gRPC message.
    Json,
    /// The payload as it is.
    Raw,
}

impl Form {
    /// Looks at the beginning of what came; returns the stamp, or none for what is no delivery.
    ///
    /// # Errors
    ///
    /// When the server says that messages were lost, or a delivery has no stamp.
    pub(crate) fn read(self, body: &[u8]) -> Result<Option<Stamp>> {
        match self {
            Self::Raw => {
                let stamp = body.first_chunk().context("a message without a stamp")?;
                Ok(Some(Stamp::from_bytes(*stamp)))
            }
            Self::Json => {
                let Some(at) = memchr::memmem::find(body, PAYLOAD_KEY) else {
                    ensure_nothing_lost(body)?;
                    return Ok(None);
                };
                let digits = body.get(at + PAYLOAD_KEY.len()..).unwrap_or_default();
                let digits = digits.get(..STAMP_DIGITS).context("a message without a stamp")?;
                let stamp = STANDARD.decode(digits)?;
                match <[u8; STAMP_BYTES]>::try_from(stamp) {
                    Ok(stamp) => Ok(Some(Stamp::from_bytes(stamp))),
                    Err(_) => bail!("a stamp of another length"),
                }
            }
        }
    }
}

fn ensure_nothing_lost(body: &[u8]) -> Result<()> {
    let is_loss = memchr::memmem::find(body, b"lost").is_some();
    ensure!(!is_loss, "the server lost messages: {}", String::from_utf8_lossy(body).trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patched_delivery_is_one_that_a_node_could_have_made() {
        let mut deliveries = Deliveries::new(Clock::start(), 100).expect("sound");
        let stamp = deliveries.next();
        let first = deliveries.json(stamp, true).expect("sound");
        let stamp = deliveries.next();
        let second = deliveries.json(stamp, true).expect("sound");
        let without = deliveries.json(stamp, false).expect("sound");
        let delivery = Delivery::from_json(&second).expect("JSON");
        assert_eq!(delivery.message.len(), 100);
        assert_eq!(delivery.to_json(), second);
        assert_eq!(delivery.to_json_without_payload(), without);
        let earlier = Delivery::from_json(&first).expect("JSON");
        assert_ne!(delivery.message_id, earlier.message_id);
        assert_eq!(Form::Json.read(&second).expect("sound"), Some(stamp));
        assert_eq!(Form::Raw.read(&delivery.message).expect("sound"), Some(stamp));
        assert_eq!(Form::Json.read(&first).expect("sound").map(|stamp| stamp.number), Some(0));
    }

    #[test]
    fn a_notice_of_losses_is_an_error_and_another_frame_is_no_delivery() {
        let error = Form::Json.read(br#"{"lost":{"messages":3}}"#).expect_err("lost");
        assert!(error.to_string().contains("\"messages\":3"), "{error}");
        assert_eq!(Form::Json.read(b"{}").expect("sound"), None);
        Form::Json.read(br#"{"message":"eA=="}"#).expect_err("no stamp");
        Form::Raw.read(b"x").expect_err("no stamp");
    }
}
