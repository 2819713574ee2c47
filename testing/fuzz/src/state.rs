//! Operations into a state: what the world, hostile peers included, can do to a node, and what
//! must hold whatever it does.

mod messages;
mod stage;

use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use gossip::{
    Input, Outcome, Publish, Stats, Topic,
    wire::{Acknowledgement, Control, DataFrame, News, RefuseReason, encode_control},
};

use self::{messages::Pool, stage::Stage};

/// The most operations of one run; more take long and find nothing new.
const OPERATIONS_MAX: usize = 200;

/// One thing that happens. Small numbers name peers, topics and messages; they wrap around.
#[derive(Arbitrary, Clone, Debug)]
pub enum Operation {
    /// A peer is admitted.
    Connect(u8),
    /// The streams to a peer open anew.
    ResetStreams(u8),
    /// A peer's last connection is gone.
    Disconnect(u8),
    /// The application joins a topic.
    Subscribe(u8),
    /// The application leaves a topic.
    Unsubscribe(u8),
    /// The application publishes.
    Publish {
        /// On which topic.
        topic: u8,
        /// Which of the payloads.
        payload: u8,
    },
    /// Any bytes on the data stream.
    RawData(u8, Vec<u8>),
    /// Any bytes on the control stream.
    RawControl(u8, Vec<u8>),
    /// Control entries that make sense, if perhaps not now.
    Control(u8, Vec<Entry>),
    /// A data frame that makes sense, if perhaps not now.
    Data(u8, Frame),
    /// A peer brings a message as it should: the header, then whole shards.
    Bring(u8, Bringing),
    /// A peer's writers take all there is.
    Serve(u8),
    /// A peer's writer has room for data.
    NextData(u8),
    /// A peer's writer has room for control.
    NextControl(u8),
    /// The oldest job given out comes back.
    FinishJob {
        /// Not as its result.
        failed: bool,
    },
    /// Time passes, timers included.
    Wait {
        /// In hundredths of a second.
        centiseconds: u16,
    },
    /// Traces are wanted or not.
    Trace(bool),
}

/// A control entry.
#[derive(Arbitrary, Clone, Debug)]
#[expect(missing_docs, reason = "each is the entry of the protocol with that name")]
pub enum Entry {
    Hello,
    Subscribe(u8),
    Unsubscribe(u8),
    Graft(u8),
    Prune(u8, u16),
    IHave { topic: u8, messages: Vec<(u8, bool)> },
    IWant { message: u8, index: u16, shards: u16 },
    IDontWant(Vec<u8>),
    Refuse { message: u8, reason: u8 },
    Gone(u8),
    Acknowledge { epoch: u32, bytes: u64, waited_micros: u32 },
}

/// A data frame.
#[derive(Arbitrary, Clone, Debug)]
pub struct Frame {
    epoch: Option<u8>,
    acknowledgement: Option<(u32, u64, u32)>,
    message: u8,
    header: bool,
    piece: Option<Piece>,
}

/// A piece of a shard.
#[derive(Arbitrary, Clone, Debug)]
pub struct Piece {
    /// Which of the pieces of the shard.
    number: u8,
    coefficients: Vec<u8>,
    publisher_index: Option<u16>,
    index: u8,
    /// Not what the coefficients say.
    corrupt: bool,
    /// Cut short.
    cut: Option<u16>,
}

/// A message brought as it should be.
#[derive(Arbitrary, Clone, Debug)]
pub struct Bringing {
    message: u8,
    /// How many shards.
    shards: u8,
    /// Which combinations; 0 stands for the fragments themselves.
    salt: u8,
    /// The publisher's own shards, with their numbers.
    numbered: bool,
    /// The last of them is not what its coefficients say.
    corrupt: bool,
}

/// Runs `operations` against one state and checks after each that what must hold, holds. Returns
/// the counters of the state, so that a corpus can be checked for what it reaches.
#[must_use]
pub fn run(operations: Vec<Operation>) -> Stats {
    let pool = Pool::new();
    let mut stage = Stage::new();
    for operation in operations.into_iter().take(OPERATIONS_MAX) {
        apply(&pool, &mut stage, operation);
        stage.check();
    }
    stage.finish()
}

fn apply(pool: &Pool, stage: &mut Stage, operation: Operation) {
    match operation {
        Operation::Connect(peer) => stage.connect(peer),
        Operation::ResetStreams(peer) => stage.reset_streams(peer),
        Operation::Disconnect(peer) => stage.disconnect(peer),
        Operation::Subscribe(topic) => stage.input(Input::Subscribe(topic_of(topic))),
        Operation::Unsubscribe(topic) => stage.input(Input::Unsubscribe(topic_of(topic))),
        Operation::Publish { topic, payload } => {
            let payload = messages::published(payload);
            let topic = topic_of(topic);
            let publish = Publish { ticket: 0, topic, payload, published_unix_ns: 0 };
            stage.input(Input::Publish(publish));
        }
        Operation::RawData(peer, bytes) => stage.input(Input::Data(peer_of(peer), bytes.into())),
        Operation::RawControl(peer, bytes) => {
            stage.input(Input::Control(peer_of(peer), bytes.into()));
        }
        Operation::Control(peer, entries) => {
            let entries: Vec<Control> = entries
                .iter()
                .take(16)
                .map(|entry| control(pool, stage, peer_of(peer), entry))
                .collect();
            stage.input(Input::Control(peer_of(peer), encode_control(&entries)));
        }
        Operation::Data(peer, frame) => {
            let frame = data(pool, stage, peer_of(peer), &frame);
            stage.input(Input::Data(peer_of(peer), frame.encode().to_bytes()));
        }
        Operation::Bring(peer, bringing) => bring(pool, stage, peer_of(peer), &bringing),
        Operation::Serve(peer) => stage.serve(peer_of(peer)),
        Operation::NextData(peer) => stage.next_data(peer_of(peer)),
        Operation::NextControl(peer) => stage.next_control(peer_of(peer)),
        Operation::FinishJob { failed } => stage.finish_job(failed.then_some(Outcome::Failed)),
        Operation::Wait { centiseconds } => {
            stage.wait(Duration::from_millis(u64::from(centiseconds) * 10));
        }
        Operation::Trace(on) => stage.input(Input::Tracing(on)),
    }
}

/// Four peers: enough to fill a small mesh, few enough to meet again.
fn peer_of(number: u8) -> u32 {
    u32::from(number % 4)
}

fn topic_of(number: u8) -> Topic {
    Topic::new(["a", "b", "c"][usize::from(number % 3)]).expect("short topics")
}

fn control(pool: &Pool, stage: &Stage, peer: u32, entry: &Entry) -> Control {
    let hash = |number: u8| pool.hash(stage, number);
    match entry {
        Entry::Hello => Control::Hello,
        Entry::Subscribe(topic) => Control::Subscribe(topic_of(*topic)),
        Entry::Unsubscribe(topic) => Control::Unsubscribe(topic_of(*topic)),
        Entry::Graft(topic) => Control::Graft(topic_of(*topic)),
        Entry::Prune(topic, seconds) => Control::Prune {
            topic: topic_of(*topic),
            backoff: Duration::from_secs((*seconds).into()),
        },
        Entry::IHave { topic, messages } => {
            let news = messages.iter().take(64).map(|(number, honest)| {
                let message = pool.message_id(if *honest { *number } else { number ^ 1 });
                News { header: hash(*number), message }
            });
            Control::IHave { topic: topic_of(*topic), news: news.collect() }
        }
        Entry::IWant { message, index, shards } => {
            let generation = gossip::GenerationId { header: hash(*message), index: *index };
            Control::IWant { generation, shards: *shards }
        }
        Entry::IDontWant(messages) => {
            Control::IDontWant(messages.iter().take(64).map(|number| hash(*number)).collect())
        }
        Entry::Refuse { message, reason } => {
            Control::Refuse { header: hash(*message), reason: reason_of(*reason) }
        }
        Entry::Gone(message) => Control::Gone(hash(*message)),
        Entry::Acknowledge { epoch, bytes, waited_micros } => {
            Control::Acknowledge(acknowledgement(stage, peer, *epoch, *bytes, *waited_micros))
        }
    }
}

/// An even epoch stands for what was really sent: an acknowledgement that can be right.
fn acknowledgement(
    stage: &Stage,
    peer: u32,
    epoch: u32,
    bytes: u64,
    waited_micros: u32,
) -> Acknowledgement {
    let waited = Duration::from_micros(waited_micros.into());
    if epoch.is_multiple_of(2) {
        let (epoch, sent) = stage.sent(peer);
        return Acknowledgement { epoch, bytes: bytes % (sent + 1), waited };
    }
    Acknowledgement { epoch, bytes, waited }
}

fn reason_of(number: u8) -> RefuseReason {
    [
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
    ][usize::from(number % 11)]
}

fn data(pool: &Pool, stage: &Stage, peer: u32, frame: &Frame) -> DataFrame {
    let message = pool.crafted(frame.message);
    DataFrame {
        epoch: frame.epoch.map(u32::from),
        acknowledgement: frame
            .acknowledgement
            .map(|(epoch, bytes, waited)| acknowledgement(stage, peer, epoch, bytes, waited)),
        header: frame.header.then(|| message.signed.clone()),
        piece: frame.piece.as_ref().map(|piece| message.piece(piece)),
        ..DataFrame::default()
    }
}

fn bring(pool: &Pool, stage: &mut Stage, peer: u32, bringing: &Bringing) {
    let message = pool.crafted(bringing.message);
    let shards = bringing.shards % 6 + 1;
    for shard in 0..shards {
        for number in 0..message.pieces() {
            let vector = |place: u8| match bringing.salt {
                0 => u8::from(shard % 4 == place),
                salt => salt.wrapping_mul(shard * 7 + place * 29 + 1) ^ place,
            };
            let piece = Piece {
                number,
                coefficients: (0..4).map(vector).collect(),
                publisher_index: bringing.numbered.then_some(shard.into()),
                index: 0,
                corrupt: bringing.corrupt && shard + 1 == shards,
                cut: None,
            };
            let header = (shard == 0 && number == 0).then(|| message.signed.clone());
            let piece = Some(message.piece(&piece));
            let frame = DataFrame { header, piece, ..DataFrame::default() };
            stage.input(Input::Data(peer, frame.encode().to_bytes()));
        }
    }
}

impl Piece {
    /// Returns the vector of the shard, one coefficient for each of `fragments`.
    fn vector(&self, fragments: u16) -> Bytes {
        let mut vector = self.coefficients.clone();
        vector.resize(usize::from(fragments), 0);
        vector.into()
    }
}
