//! One connection: our outgoing streams when we picked it, the peer's when it did.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use gossip::wire::Frame;
use libp2p::{
    Stream,
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, SubstreamProtocol,
        handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

use crate::{
    frames::{FrameReader, FrameWriter, ReadError},
    upgrade::{Kind, Upgrade, Versions},
};

/// Frames read from a connection that the state has not taken yet. While the behaviour is busy the
/// rest stays below, where the peer's own flow control stops it. About 400 KiB a connection.
const INTAKE_FRAMES_MAX: usize = 16;

/// A place in the intake of a connection; free again when it is dropped.
pub(crate) type Place = OwnedSemaphorePermit;

/// What the behaviour asks of a connection.
#[derive(Debug)]
#[expect(unnameable_types, reason = "libp2p's traits ask for a public type; nobody names it")]
pub enum Command {
    /// The peer is admitted: read what it sends.
    Admit,
    /// Open our outgoing streams here.
    Open,
    /// Write a frame on an outgoing stream.
    Write(Kind, Frame),
}

/// What happened on a connection.
#[derive(Debug)]
#[expect(unnameable_types, reason = "libp2p's traits ask for a public type; nobody names it")]
pub enum Report {
    /// Our outgoing streams are open.
    Opened,
    /// They are not, or not any more.
    Lost(&'static str),
    /// A frame was handed over to what lies below.
    Written(Kind),
    /// The peer opened a stream; what it sent on an earlier one of this kind is void.
    Accepted(Kind),
    /// The peer sent a frame.
    Frame(Kind, Bytes, Place),
    /// The peer sent a length that no frame has.
    Malformed { length: usize },
}

type Outcome = ConnectionHandlerEvent<Upgrade, Kind, Report>;

/// Our two outgoing streams.
#[derive(Debug, Default)]
enum Outgoing {
    /// On another connection, or lost.
    #[default]
    None,
    /// Asked for.
    Opening { data: Option<FrameWriter<Stream>>, control: Option<FrameWriter<Stream>> },
    /// Both open.
    Open { data: FrameWriter<Stream>, control: FrameWriter<Stream> },
}

/// One connection.
#[derive(Debug)]
#[expect(unnameable_types, reason = "libp2p's traits ask for a public type; nobody names it")]
pub struct Handler {
    versions: Versions,
    admitted: bool,
    outgoing: Outgoing,
    /// The peer's streams; the newest of each kind. Not read before it is admitted.
    data: Option<FrameReader<Stream>>,
    control: Option<FrameReader<Stream>>,
    intake: PollSemaphore,
    /// The place of the next frame.
    place: Option<Place>,
    /// What is to be said or asked before anything else; at most a handful.
    pending: VecDeque<Outcome>,
    waker: Option<Waker>,
}

impl Handler {
    pub(crate) fn new(admitted: bool, versions: Versions) -> Self {
        Self {
            versions,
            admitted,
            outgoing: Outgoing::None,
            data: None,
            control: None,
            intake: PollSemaphore::new(Arc::new(Semaphore::new(INTAKE_FRAMES_MAX))),
            place: None,
            pending: VecDeque::new(),
            waker: None,
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn report(&mut self, report: Report) {
        self.pending.push_back(ConnectionHandlerEvent::NotifyBehaviour(report));
    }

    fn open(&mut self) {
        self.outgoing = Outgoing::Opening { data: None, control: None };
        for kind in [Kind::Control, Kind::Data] {
            let protocol = SubstreamProtocol::new(Upgrade::outbound(&self.versions, kind), kind);
            self.pending.push_back(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
    }

    fn lose(&mut self, why: &'static str) {
        if !matches!(std::mem::take(&mut self.outgoing), Outgoing::None) {
            self.report(Report::Lost(why));
        }
    }

    fn on_opened(&mut self, kind: Kind, stream: Stream) {
        let Outgoing::Opening { data, control } = &mut self.outgoing else { return };
        let writer = Some(FrameWriter::new(stream));
        match kind {
            Kind::Data => *data = writer,
            Kind::Control => *control = writer,
        }
        if data.is_none() || control.is_none() {
            return;
        }
        if let (Some(data), Some(control)) = (data.take(), control.take()) {
            self.outgoing = Outgoing::Open { data, control };
            self.report(Report::Opened);
        }
    }

    fn on_accepted(&mut self, kind: Kind, stream: Stream) {
        let reader = Some(FrameReader::new(stream));
        match kind {
            Kind::Data => self.data = reader,
            Kind::Control => self.control = reader,
        }
        self.report(Report::Accepted(kind));
    }

    /// Writes on one stream after the other, control first.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Option<Report> {
        let Outgoing::Open { data, control } = &mut self.outgoing else { return None };
        let written = match control.poll_written(cx) {
            Poll::Ready(result) => result.map(|()| Kind::Control),
            Poll::Pending => match data.poll_written(cx) {
                Poll::Ready(result) => result.map(|()| Kind::Data),
                Poll::Pending => return None,
            },
        };
        Some(written.map_or_else(
            |_| {
                self.outgoing = Outgoing::None;
                Report::Lost("the stream broke")
            },
            Report::Written,
        ))
    }

    /// Reads from one stream after the other, control first.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Option<Report> {
        if self.place.is_none() {
            let Poll::Ready(place) = self.intake.poll_acquire(cx) else { return None };
            self.place = place;
        }
        for (kind, slot) in [(Kind::Control, &mut self.control), (Kind::Data, &mut self.data)] {
            let Some(reader) = slot else { continue };
            match reader.poll_next(cx) {
                Poll::Ready(Ok(Some(frame))) => {
                    let place = self.place.take()?;
                    return Some(Report::Frame(kind, frame, place));
                }
                // The peer opens it again where it likes.
                Poll::Ready(Ok(None) | Err(ReadError::Io(_))) => *slot = None,
                Poll::Ready(Err(ReadError::Length(length))) => {
                    *slot = None;
                    return Some(Report::Malformed { length });
                }
                Poll::Pending => {}
            }
        }
        None
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Command;
    type ToBehaviour = Report;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Kind;

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        SubstreamProtocol::new(Upgrade::inbound(&self.versions), ())
    }

    fn on_behaviour_event(&mut self, command: Command) {
        match command {
            Command::Admit => self.admitted = true,
            Command::Open => self.open(),
            Command::Write(kind, frame) => {
                // A frame that comes after its stream was lost is lost with it.
                if let Outgoing::Open { data, control } = &mut self.outgoing {
                    match kind {
                        Kind::Data => data.push(frame),
                        Kind::Control => control.push(frame),
                    }
                }
            }
        }
        self.wake();
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only streams concern the protocol")]
    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Upgrade, Upgrade, (), Kind>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (kind, stream),
                ..
            }) => self.on_accepted(kind, stream),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (kind, stream),
                ..
            }) => self.on_opened(kind, stream),
            ConnectionEvent::DialUpgradeError(_) => self.lose("the peer refused a stream"),
            _ => {}
        }
        self.wake();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Some(outcome) = self.pending.pop_front() {
            return Poll::Ready(outcome);
        }
        if let Some(report) = self.poll_write(cx) {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(report));
        }
        if self.admitted
            && let Some(report) = self.poll_read(cx)
        {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(report));
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
