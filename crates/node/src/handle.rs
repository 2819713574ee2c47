//! How everybody else talks to the task that owns the swarm: through bounded channels.

use bytes::Bytes;
use gossip::{MessageId, PublishError, Topic};
use libp2p::{Multiaddr, PeerId};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::{hub::StreamId, picture::Picture};

/// Commands that wait for the event loop. It takes them in microseconds.
const COMMANDS_MAX: usize = 256;

/// Publishes that wait for the event loop, with their payloads. Few: who waits for a place is
/// served in order, and what waits is memory.
const PUBLISHES_MAX: usize = 4;

/// The node is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the node is shutting down")]
pub struct Closed;

/// A picture of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Subscribed topics, in order.
    pub topics: Vec<String>,
    /// Where the node listens for peers, without its peer id.
    pub addresses: Vec<Multiaddr>,
    /// Peers that take part, in order.
    pub peers: Vec<PeerStatus>,
    /// What happened since the start.
    pub counters: Counters,
}

/// Counters of a node. All but the two numbers of open connections only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that peers opened, now.
    pub connections_inbound: usize,
    /// Connections that this node opened, now.
    pub connections_outbound: usize,
    /// Connections not let in: a bound was reached or the peer is barred.
    pub connections_denied: u64,
    /// Inbound connections that failed before they stood, those above included.
    pub connections_failed: u64,
    /// Messages not published because they were empty, too long, or on one topic too many.
    pub publishes_refused: u64,
    /// Topics not subscribed because there were too many.
    pub subscriptions_refused: u64,
    /// Trace events given up because readers were slow.
    pub traces_dropped: u64,
    /// Messages given up because readers were slow, per reader.
    pub messages_dropped: u64,
    /// Answers given up because publishers did not read them.
    pub answers_dropped: u64,
    /// Commands refused for want of a valid ticket.
    pub tickets_refused: u64,
    /// Requests of sidecar streams that could not be read, and ended their stream.
    pub requests_unreadable: u64,
    /// Commands that mean nothing: unknown, or with a topic that can be none.
    pub commands_ignored: u64,
    /// Sidecar streams refused because there were too many.
    pub streams_refused: u64,
    /// Times that the topics could not be written to disk.
    pub topic_dump_failures: u64,
}

/// A picture of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub peer: PeerId,
    /// Where it is connected from or to.
    pub address: Multiaddr,
    /// Topics it subscribed.
    pub topics: Vec<String>,
    /// Topics in whose mesh it is.
    pub mesh: Vec<String>,
}

/// Something the event loop is asked for that it always takes at once.
#[derive(Debug)]
pub(crate) enum Command {
    Subscribe(Topic),
    /// Subscribe for a holder, for as long as it has a stream and a while longer.
    Lease {
        holder: String,
        topic: Topic,
    },
    Unsubscribe(Topic),
    /// End the lease of one holder.
    Release {
        holder: String,
        topic: Topic,
    },
    Status(oneshot::Sender<Status>),
    Picture(oneshot::Sender<Box<Picture>>),
}

/// Who wants to know what became of a publish.
#[derive(Debug)]
pub(crate) enum ReplyTo {
    /// A reader: it is sent the trace.
    Stream(StreamId),
    /// A caller in this process.
    Caller(oneshot::Sender<Result<MessageId, PublishError>>),
}

/// A message to be published, taken when there is room.
#[derive(Debug)]
pub(crate) struct PublishCommand {
    pub(crate) topic: Topic,
    pub(crate) payload: Bytes,
    pub(crate) reply_to: ReplyTo,
    /// Who holds the topic if the node joins it by this.
    pub(crate) holder: Option<String>,
    /// Told when the event loop has taken it.
    pub(crate) taken: oneshot::Sender<()>,
}

/// The event loop's ends of the channels.
#[derive(Debug)]
pub(crate) struct Commands {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) publishes: mpsc::Receiver<PublishCommand>,
}

/// Talks to the event loop of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    publishes: mpsc::Sender<PublishCommand>,
}

impl Handle {
    /// Makes a handle and what the event loop needs of it.
    pub(crate) fn new() -> (Self, Commands) {
        let (commands, commands_end) = mpsc::channel(COMMANDS_MAX);
        let (publishes, publishes_end) = mpsc::channel(PUBLISHES_MAX);
        let ends = Commands { commands: commands_end, publishes: publishes_end };
        (Self { commands, publishes }, ends)
    }

    /// Subscribes a topic for the node. A second time changes nothing.
    ///
    /// # Errors
    ///
    /// Returns [`Closed`] when the node is shutting down.
    pub async fn subscribe(&self, topic: Topic) -> Result<(), Closed> {
        self.commands.send(Command::Subscribe(topic)).await.map_err(|_| Closed)
    }

    /// Subscribes a topic for a holder.
    pub(crate) async fn lease(&self, holder: String, topic: Topic) -> Result<(), Closed> {
        self.commands.send(Command::Lease { holder, topic }).await.map_err(|_| Closed)
    }

    /// Ends the node's subscription of a topic.
    ///
    /// # Errors
    ///
    /// Returns [`Closed`] when the node is shutting down.
    pub async fn unsubscribe(&self, topic: Topic) -> Result<(), Closed> {
        self.commands.send(Command::Unsubscribe(topic)).await.map_err(|_| Closed)
    }

    /// Ends one holder's lease of a topic.
    pub(crate) async fn release(&self, holder: String, topic: Topic) -> Result<(), Closed> {
        self.commands.send(Command::Release { holder, topic }).await.map_err(|_| Closed)
    }

    /// Returns a picture of the node.
    ///
    /// # Errors
    ///
    /// Returns [`Closed`] when the node is shutting down.
    pub async fn status(&self) -> Result<Status, Closed> {
        let (reply, status) = oneshot::channel();
        self.commands.send(Command::Status(reply)).await.map_err(|_| Closed)?;
        status.await.map_err(|_| Closed)
    }

    /// Returns a picture with everything that pages and metrics show.
    ///
    /// # Errors
    ///
    /// Returns [`Closed`] when the node is shutting down.
    pub(crate) async fn picture(&self) -> Result<Box<Picture>, Closed> {
        let (reply, picture) = oneshot::channel();
        self.commands.send(Command::Picture(reply)).await.map_err(|_| Closed)?;
        picture.await.map_err(|_| Closed)
    }

    /// Publishes a message and returns its id, or why it was not published. Waits for room.
    ///
    /// # Errors
    ///
    /// Returns [`Closed`] when the node is shutting down.
    pub async fn publish(
        &self,
        topic: Topic,
        payload: Bytes,
    ) -> Result<Result<MessageId, PublishError>, Closed> {
        let (reply, result) = oneshot::channel();
        self.publish_for(topic, payload, ReplyTo::Caller(reply), None).await?;
        result.await.map_err(|_| Closed)
    }

    /// Waits until the event loop has taken a publish, so that what the same caller asks next comes
    /// after it.
    pub(crate) async fn publish_for(
        &self,
        topic: Topic,
        payload: Bytes,
        reply_to: ReplyTo,
        holder: Option<String>,
    ) -> Result<(), Closed> {
        let (taken, was_taken) = oneshot::channel();
        let command = PublishCommand { topic, payload, reply_to, holder, taken };
        self.publishes.send(command).await.map_err(|_| Closed)?;
        was_taken.await.map_err(|_| Closed)
    }
}
