//! Frames of the control stream: entries one after another, each a tag and what belongs to it.

use std::time::Duration;

use bytes::Bytes;
use rlnc::FRAGMENTS_MAX;

use super::{
    Bitmap, Control, FRAME_BYTES_MAX, News, RefuseReason, WireError, acknowledgement,
    reader::{Reader, in_range},
    writer::{Count, Sink},
};
use crate::{GenerationId, HeaderHash, TOPIC_BYTES_MAX, Topic};

/// The most entries of a control frame.
pub const CONTROL_ENTRIES_MAX: usize = 1024;

/// The most messages that one [`Control::IHave`] names.
pub const IHAVE_NEWS_MAX: usize = 256;

/// The most headers that one [`Control::IDontWant`] names.
pub const IDONTWANT_HEADERS_MAX: usize = 512;

const HELLO: u8 = 1;
const SUBSCRIBE: u8 = 2;
const UNSUBSCRIBE: u8 = 3;
const GRAFT: u8 = 4;
const PRUNE: u8 = 5;
const IHAVE: u8 = 6;
const IWANT: u8 = 7;
const IDONTWANT: u8 = 8;
const REFUSE: u8 = 9;
const GONE: u8 = 10;
const ACKNOWLEDGE: u8 = 11;
const PROBE: u8 = 12;
const ECHO: u8 = 13;
const DATA_GRAFT: u8 = 14;
const DATA_PRUNE: u8 = 15;
const FEED: u8 = 16;
const HAVE: u8 = 17;
const WANT: u8 = 18;

/// The longest entries fit into a frame.
const _: () = assert!(1 + 2 + TOPIC_BYTES_MAX + 2 + IHAVE_NEWS_MAX * 64 <= FRAME_BYTES_MAX);
const _: () = assert!(1 + 2 + IDONTWANT_HEADERS_MAX * 32 <= FRAME_BYTES_MAX);

impl Control {
    /// Returns how many bytes the entry takes in a frame.
    pub fn encoded_len(&self) -> usize {
        let mut count = Count::default();
        put_entry(self, &mut count);
        count.0
    }
}

/// Fills one control frame, up to the bounds of a frame.
#[derive(Clone, Debug, Default)]
pub struct ControlWriter {
    bytes: Vec<u8>,
    entries: usize,
}

impl ControlWriter {
    /// Appends `entry` and returns true; returns false and changes nothing if the frame has no
    /// room for it. An empty frame has room for every entry within the bounds.
    #[must_use]
    pub fn push(&mut self, entry: &Control) -> bool {
        let fits = self.entries < CONTROL_ENTRIES_MAX
            && self.bytes.len() + entry.encoded_len() <= FRAME_BYTES_MAX;
        if fits {
            put_entry(entry, &mut self.bytes);
            self.entries += 1;
        }
        fits
    }

    /// Returns whether nothing was appended; an empty frame must not be sent.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the frame.
    pub fn finish(self) -> Bytes {
        self.bytes.into()
    }
}

/// Encodes `entries` as one frame; see [`ControlWriter`] for as many as fit into one.
///
/// Entries beyond the bounds of the format encode into a frame that decoding refuses.
pub fn encode_control(entries: &[Control]) -> Bytes {
    let mut bytes = Vec::with_capacity(entries.iter().map(Control::encoded_len).sum());
    for entry in entries {
        put_entry(entry, &mut bytes);
    }
    bytes.into()
}

/// Decodes a control frame; never empty.
///
/// # Errors
///
/// Returns [`WireError`] for everything that [`encode_control`] does not make of valid entries:
/// what decodes, encodes to the same bytes.
pub fn decode_control(frame: Bytes) -> Result<Vec<Control>, WireError> {
    let mut reader = Reader::new(frame, FRAME_BYTES_MAX)?;
    let mut entries = Vec::new();
    while reader.remaining() > 0 {
        if entries.len() == CONTROL_ENTRIES_MAX {
            let (value, max) = (entries.len() as u64 + 1, entries.len() as u64);
            return Err(WireError::OutOfRange { what: "control entries", value, min: 1, max });
        }
        entries.push(take_entry(&mut reader)?);
    }
    Ok(entries)
}

fn put_entry(entry: &Control, out: &mut impl Sink) {
    match entry {
        Control::Hello => out.put(&[HELLO]),
        Control::Subscribe(topic) => put_tagged_topic(SUBSCRIBE, topic, out),
        Control::Unsubscribe(topic) => put_tagged_topic(UNSUBSCRIBE, topic, out),
        Control::Graft(topic) => put_tagged_topic(GRAFT, topic, out),
        Control::Prune { topic, backoff } => {
            put_tagged_topic(PRUNE, topic, out);
            out.put_varint(whole_seconds(*backoff));
        }
        Control::IHave { topic, news } => {
            put_tagged_topic(IHAVE, topic, out);
            out.put_varint(news.len() as u64);
            for News { header, message } in news {
                out.put(&header.0);
                out.put(&message.0);
            }
        }
        Control::IWant { generation, shards } => {
            out.put(&[IWANT]);
            out.put_generation(generation);
            out.put_varint(*shards);
        }
        Control::IDontWant(headers) => {
            out.put(&[IDONTWANT]);
            out.put_varint(headers.len() as u64);
            for header in headers {
                out.put(&header.0);
            }
        }
        Control::Refuse { header, reason } => {
            out.put(&[REFUSE]);
            out.put(&header.0);
            out.put(&[reason_tag(*reason)]);
        }
        Control::Gone(header) => {
            out.put(&[GONE]);
            out.put(&header.0);
        }
        Control::Acknowledge(acknowledgement) => {
            out.put(&[ACKNOWLEDGE]);
            acknowledgement::put(acknowledgement, out);
        }
        Control::Probe(_)
        | Control::Echo(_)
        | Control::DataGraft(_)
        | Control::DataPrune { .. }
        | Control::Feed { .. }
        | Control::Have { .. }
        | Control::Want { .. } => put_adaptive(entry, out),
    }
}

/// Appends an entry that only profile `adaptive` has.
fn put_adaptive(entry: &Control, out: &mut impl Sink) {
    match entry {
        Control::Probe(number) => put_tagged_number(PROBE, *number, out),
        Control::Echo(number) => put_tagged_number(ECHO, *number, out),
        Control::DataGraft(topic) => put_tagged_topic(DATA_GRAFT, topic, out),
        Control::DataPrune { topic, backoff } => {
            put_tagged_topic(DATA_PRUNE, topic, out);
            out.put_varint(whole_seconds(*backoff));
        }
        Control::Feed { topic, part, parts } => {
            put_tagged_topic(FEED, topic, out);
            out.put(&[*part, *parts]);
        }
        Control::Have { generation, fragments } => put_bitmap(HAVE, generation, fragments, out),
        Control::Want { generation, fragments } => put_bitmap(WANT, generation, fragments, out),
        Control::Hello
        | Control::Subscribe(_)
        | Control::Unsubscribe(_)
        | Control::Graft(_)
        | Control::Prune { .. }
        | Control::IHave { .. }
        | Control::IWant { .. }
        | Control::IDontWant(_)
        | Control::Refuse { .. }
        | Control::Gone(_)
        | Control::Acknowledge(_) => unreachable!("entries of every profile are written above"),
    }
}

fn put_tagged_number(tag: u8, number: u32, out: &mut impl Sink) {
    out.put(&[tag]);
    out.put_varint(number);
}

fn put_bitmap(tag: u8, generation: &GenerationId, fragments: &Bitmap, out: &mut impl Sink) {
    out.put(&[tag]);
    out.put_generation(generation);
    fragments.put(out);
}

fn put_tagged_topic(tag: u8, topic: &Topic, out: &mut impl Sink) {
    out.put(&[tag]);
    out.put_topic(topic);
}

/// Rounds up, so that a backoff is never shorter than meant.
fn whole_seconds(backoff: Duration) -> u32 {
    let up = u64::from(backoff.subsec_nanos() > 0);
    u32::try_from(backoff.as_secs().saturating_add(up)).unwrap_or(u32::MAX)
}

fn take_entry(reader: &mut Reader) -> Result<Control, WireError> {
    Ok(match reader.take_u8("the tag of an entry")? {
        HELLO => Control::Hello,
        SUBSCRIBE => Control::Subscribe(reader.take_topic()?),
        UNSUBSCRIBE => Control::Unsubscribe(reader.take_topic()?),
        GRAFT => Control::Graft(reader.take_topic()?),
        PRUNE => Control::Prune {
            topic: reader.take_topic()?,
            backoff: Duration::from_secs(reader.take_u32("backoff seconds", 0)?.into()),
        },
        IHAVE => Control::IHave { topic: reader.take_topic()?, news: take_news(reader)? },
        IWANT => Control::IWant {
            generation: reader.take_generation()?,
            shards: reader.take_u16("shards wanted", 1)?,
        },
        IDONTWANT => Control::IDontWant(take_headers(reader)?),
        REFUSE => {
            Control::Refuse { header: reader.take_header_hash()?, reason: take_reason(reader)? }
        }
        GONE => Control::Gone(reader.take_header_hash()?),
        ACKNOWLEDGE => Control::Acknowledge(acknowledgement::take(reader)?),
        PROBE => Control::Probe(reader.take_u32("number of a probe", 0)?),
        ECHO => Control::Echo(reader.take_u32("number of an echo", 0)?),
        DATA_GRAFT => Control::DataGraft(reader.take_topic()?),
        DATA_PRUNE => Control::DataPrune {
            topic: reader.take_topic()?,
            backoff: Duration::from_secs(reader.take_u32("backoff seconds", 0)?.into()),
        },
        FEED => take_feed(reader)?,
        HAVE => Control::Have {
            generation: reader.take_generation()?,
            fragments: Bitmap::take(reader)?,
        },
        WANT => {
            let generation = reader.take_generation()?;
            let fragments = Bitmap::take(reader)?;
            in_range("fragments wanted", fragments.len().into(), 1, FRAGMENTS_MAX.into())?;
            Control::Want { generation, fragments }
        }
        tag => return Err(WireError::UnknownTag { what: "the tag of an entry", tag }),
    })
}

fn take_feed(reader: &mut Reader) -> Result<Control, WireError> {
    let topic = reader.take_topic()?;
    let part = reader.take_u8("the part of a feed")?;
    let parts = reader.take_u8("the parts of a feed")?;
    in_range("part of a feed", part.into(), 0, parts.into())?;
    Ok(Control::Feed { topic, part, parts })
}

fn take_news(reader: &mut Reader) -> Result<Vec<News>, WireError> {
    let count = take_count(reader, "messages of an IHAVE", IHAVE_NEWS_MAX, 64)?;
    (0..count)
        .map(|_| {
            let header = reader.take_header_hash()?;
            Ok(News { header, message: reader.take_message_id()? })
        })
        .collect()
}

fn take_headers(reader: &mut Reader) -> Result<Vec<HeaderHash>, WireError> {
    let count = take_count(reader, "headers of an IDONTWANT", IDONTWANT_HEADERS_MAX, 32)?;
    (0..count).map(|_| reader.take_header_hash()).collect()
}

/// Takes how many items of `item_bytes` follow, and checks that they are there before anything
/// is reserved for them.
fn take_count(
    reader: &mut Reader,
    what: &'static str,
    max: usize,
    item_bytes: usize,
) -> Result<usize, WireError> {
    let count = reader.take_varint(what, 1, max as u64)? as usize;
    if count * item_bytes > reader.remaining() {
        return Err(WireError::Truncated(what));
    }
    Ok(count)
}

pub(super) const REASONS: [RefuseReason; 11] = [
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

fn reason_tag(reason: RefuseReason) -> u8 {
    match reason {
        RefuseReason::NotSubscribed => 1,
        RefuseReason::Busy => 2,
        RefuseReason::TooManyClaims => 3,
        RefuseReason::Seen => 4,
        RefuseReason::Replayed => 5,
        RefuseReason::Barred => 6,
        RefuseReason::OtherCluster => 7,
        RefuseReason::TooLarge => 8,
        RefuseReason::Shape => 9,
        RefuseReason::NoHeader => 10,
        RefuseReason::Polluted => 11,
    }
}

fn take_reason(reader: &mut Reader) -> Result<RefuseReason, WireError> {
    let what = "the reason of a refusal";
    let tag = reader.take_u8(what)?;
    let reason = REASONS.into_iter().find(|reason| reason_tag(*reason) == tag);
    reason.ok_or(WireError::UnknownTag { what, tag })
}
