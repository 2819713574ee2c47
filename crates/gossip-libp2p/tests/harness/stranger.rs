//! A peer of another make: it opens one stream, writes what it likes, and reads nothing.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    task::{Context, Poll},
};

use futures::{AsyncWriteExt as _, future::BoxFuture};
use libp2p::{
    Multiaddr, OutboundUpgrade, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder,
    core::{Endpoint, UpgradeInfo, transport::PortUse, upgrade::DeniedUpgrade},
    noise,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, OneShotHandler,
        SubstreamProtocol, THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
    tcp, yamux,
};

/// What it writes, on a stream of which protocol.
#[derive(Clone, Debug)]
pub struct Writes {
    pub protocol: StreamProtocol,
    pub bytes: Vec<u8>,
}

impl UpgradeInfo for Writes {
    type Info = StreamProtocol;
    type InfoIter = std::iter::Once<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(self.protocol.clone())
    }
}

/// Keeps the stream.
#[derive(Debug)]
pub struct Written(#[expect(dead_code, reason = "held so that the stream stays open")] Stream);

impl OutboundUpgrade<Stream> for Writes {
    type Output = Written;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Written>>;

    fn upgrade_outbound(self, mut stream: Stream, _: StreamProtocol) -> Self::Future {
        Box::pin(async move {
            stream.write_all(&self.bytes).await?;
            stream.flush().await?;
            Ok(Written(stream))
        })
    }
}

/// Writes once on every connection.
pub struct Stranger {
    writes: Writes,
    due: VecDeque<(PeerId, ConnectionId)>,
    held: Vec<Written>,
}

#[derive(Debug)]
pub struct Opened(Option<Written>);

impl From<Written> for Opened {
    fn from(written: Written) -> Self {
        Self(Some(written))
    }
}

impl From<Infallible> for Opened {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

type Handler = OneShotHandler<DeniedUpgrade, Writes, Opened>;

impl Stranger {
    pub fn swarm(writes: Writes) -> Swarm<Self> {
        SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .expect("noise works")
            .with_behaviour(|_| Self { writes, due: VecDeque::new(), held: Vec::new() })
            .expect("a behaviour")
            .build()
    }

    fn handler() -> Handler {
        OneShotHandler::new(
            SubstreamProtocol::new(DeniedUpgrade, ()),
            libp2p::swarm::OneShotHandlerConfig::default(),
        )
    }
}

impl NetworkBehaviour for Stranger {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Self::handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        self.due.push_back((peer, connection));
        Ok(Self::handler())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        if let Ok(Opened(Some(written))) = event {
            self.held.push(written);
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        let Some((peer_id, connection)) = self.due.pop_front() else { return Poll::Pending };
        let handler = NotifyHandler::One(connection);
        Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler, event: self.writes.clone() })
    }
}
