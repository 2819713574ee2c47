//! Keeps the streams of a peer shut until the peer is admitted.
//!
//! What it opens meanwhile is held and not read, so nothing it says is taken and nothing of ours is
//! said to it. Checking its messages one by one, or a list of barred peers, would not do: a message
//! that is ignored is remembered as seen, and then refused when an admitted peer brings it.

use std::task::{Context, Poll, Waker};

use libp2p::swarm::{
    ConnectionHandler, ConnectionHandlerEvent, SubstreamProtocol,
    handler::{ConnectionEvent, FullyNegotiatedInbound},
};

/// Streams held of one connection; a peer needs one, and a newer one takes the place of the oldest.
const HELD_MAX: usize = 2;

type Inbound<H> = FullyNegotiatedInbound<
    <H as ConnectionHandler>::InboundProtocol,
    <H as ConnectionHandler>::InboundOpenInfo,
>;

/// What a [`Gated`] handler is told.
#[derive(Debug)]
pub(crate) enum ToGated<T> {
    /// The peer is admitted.
    Open,
    /// Something for the handler inside.
    Inner(T),
}

/// A handler behind a gate that opens once.
pub(crate) struct Gated<H: ConnectionHandler> {
    inner: H,
    open: bool,
    held: Vec<Inbound<H>>,
    waker: Option<Waker>,
}

impl<H: ConnectionHandler> Gated<H> {
    pub(super) fn new(inner: H, open: bool) -> Self {
        Self { inner, open, held: Vec::new(), waker: None }
    }

    fn open(&mut self) {
        self.open = true;
        for stream in self.held.drain(..) {
            self.inner.on_connection_event(ConnectionEvent::FullyNegotiatedInbound(stream));
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl<H: ConnectionHandler> ConnectionHandler for Gated<H> {
    type FromBehaviour = ToGated<H::FromBehaviour>;
    type ToBehaviour = H::ToBehaviour;
    type InboundProtocol = H::InboundProtocol;
    type OutboundProtocol = H::OutboundProtocol;
    type InboundOpenInfo = H::InboundOpenInfo;
    type OutboundOpenInfo = H::OutboundOpenInfo;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, Self::InboundOpenInfo> {
        self.inner.listen_protocol()
    }

    fn connection_keep_alive(&self) -> bool {
        // A peer of the cluster stays connected, with or without a common topic.
        self.open
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<
        ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>,
    > {
        if self.open {
            return self.inner.poll(cx);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::ToBehaviour>> {
        self.inner.poll_close(cx)
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        match event {
            ToGated::Open => self.open(),
            ToGated::Inner(event) => self.inner.on_behaviour_event(event),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are passed on, also new ones")]
    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            '_,
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(stream) if !self.open => {
                if self.held.len() == HELD_MAX {
                    self.held.remove(0);
                }
                self.held.push(stream);
            }
            event => self.inner.on_connection_event(event),
        }
    }
}
