//! What the swarm asks of the behaviour: passed on to the library's, with handlers behind a gate.

use std::task::{Context, Poll};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm,
    },
};

use super::{
    Behaviour, Event, Inner,
    gate::{Gated, ToGated},
};

/// The library does not export what its handlers tell.
type FromHandler = THandlerOutEvent<Inner>;

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Gated<THandler<Inner>>;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let inner =
            self.inner.handle_established_inbound_connection(connection, peer, local, remote)?;
        Ok(Gated::new(inner, self.admitted.contains(&peer)))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let inner = self
            .inner
            .handle_established_outbound_connection(connection, peer, address, role, port)?;
        Ok(Gated::new(inner, self.admitted.contains(&peer)))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the swarm's events are an open list")]
    fn on_swarm_event(&mut self, event: FromSwarm) {
        match &event {
            FromSwarm::ConnectionEstablished(new) => {
                self.connections.entry(new.peer_id).or_default().push(new.connection_id);
            }
            FromSwarm::ConnectionClosed(closed) => {
                if closed.remaining_established == 0 {
                    self.connections.remove(&closed.peer_id);
                    self.admitted.remove(&closed.peer_id);
                } else if let Some(open) = self.connections.get_mut(&closed.peer_id) {
                    open.retain(|connection| *connection != closed.connection_id);
                }
            }
            _ => {}
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        if let FromHandler::Message { invalid_messages, .. } = &event {
            for (message, error) in invalid_messages {
                self.on_invalid(peer, message, *error);
            }
        }
        self.inner.on_connection_handler_event(peer, connection, event);
        self.note_arrivals(peer);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Poll::Ready(action);
            }
            match self.inner.poll(cx) {
                Poll::Ready(ToSwarm::GenerateEvent(event)) => self.on_library_event(event),
                Poll::Ready(action) => {
                    let action = action.map_in(ToGated::Inner);
                    return Poll::Ready(action.map_out(|_| unreachable!("taken above")));
                }
                Poll::Pending if !self.arrivals.is_empty() => self.reject_arrivals(),
                Poll::Pending if self.heartbeat.poll_tick(cx).is_ready() => self.beat(),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
