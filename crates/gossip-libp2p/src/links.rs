//! What the behaviour knows of each connected peer: connections, and room in the writers.

use std::collections::BTreeMap;

use gossip::Direction;
use libp2p::{PeerId, swarm::ConnectionId};

use crate::upgrade::Kind;

/// Data frames in a writer: the one being written and one more.
const DATA_FRAMES_MAX: u8 = 2;

/// Control frames in a writer.
const CONTROL_FRAMES_MAX: u8 = 4;

/// How often our streams may be lost on one connection before it is closed.
const LOSSES_MAX: u8 = 8;

/// The connected peers.
pub(crate) type Links = BTreeMap<PeerId, Link>;

/// One peer.
#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) admitted: bool,
    /// Who opened the first connection.
    pub(crate) direction: Option<Direction>,
    /// Its connections, oldest first, and how often our streams were lost on each.
    connections: Vec<(ConnectionId, u8)>,
    /// Where our outgoing streams are, or are being opened.
    active: Option<ConnectionId>,
    /// Whether they were open before: then they open anew.
    opened_before: bool,
    /// Where the peer's streams are.
    accepted_data: Option<ConnectionId>,
    accepted_control: Option<ConnectionId>,
    pub(crate) data: Writer,
    pub(crate) control: Writer,
}

/// Room in a writer, and whether the state has something for it.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    room: u8,
    pub(crate) ready: bool,
}

impl Writer {
    /// Returns whether a frame is to be fetched now.
    pub(crate) fn wants_frame(&self) -> bool {
        self.ready && self.room > 0
    }
}

impl Link {
    pub(crate) fn add(&mut self, connection: ConnectionId, direction: Direction) {
        self.direction.get_or_insert(direction);
        self.connections.push((connection, 0));
    }

    /// Removes a connection; returns whether others are left.
    pub(crate) fn remove(&mut self, connection: ConnectionId) -> bool {
        self.connections.retain(|(other, _)| *other != connection);
        if self.active == Some(connection) {
            self.lose();
        }
        !self.connections.is_empty()
    }

    pub(crate) fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.connections.iter().map(|(connection, _)| *connection)
    }

    pub(crate) fn active(&self) -> Option<ConnectionId> {
        self.active
    }

    /// Picks the connection to open our streams on, the oldest, if none is picked.
    pub(crate) fn pick(&mut self) -> Option<ConnectionId> {
        if self.active.is_some() || !self.admitted {
            return None;
        }
        self.active = self.connections.first().map(|(connection, _)| *connection);
        self.active
    }

    /// Our streams are open; returns whether they were before.
    pub(crate) fn opened(&mut self) -> bool {
        self.data = Writer { room: DATA_FRAMES_MAX, ready: self.data.ready };
        self.control = Writer { room: CONTROL_FRAMES_MAX, ready: self.control.ready };
        std::mem::replace(&mut self.opened_before, true)
    }

    /// What the state said of readiness is void.
    pub(crate) fn forget_ready(&mut self) {
        self.data.ready = false;
        self.control.ready = false;
    }

    /// Our streams are gone. Returns whether that happened too often on this connection.
    pub(crate) fn lose(&mut self) -> bool {
        let lost = self.active.take();
        self.data.room = 0;
        self.control.room = 0;
        let counted = self.connections.iter_mut().find(|(other, _)| Some(*other) == lost);
        counted.is_some_and(|(_, losses)| {
            *losses += 1;
            *losses > LOSSES_MAX
        })
    }

    pub(crate) fn writer(&mut self, kind: Kind) -> &mut Writer {
        match kind {
            Kind::Data => &mut self.data,
            Kind::Control => &mut self.control,
        }
    }

    pub(crate) fn writing(&mut self, kind: Kind) {
        self.writer(kind).room -= 1;
    }

    pub(crate) fn written(&mut self, kind: Kind) {
        self.writer(kind).room += 1;
    }

    pub(crate) fn accept(&mut self, kind: Kind, connection: ConnectionId) {
        *self.accepted_mut(kind) = Some(connection);
    }

    /// Returns whether frames of this kind from this connection count: those of an earlier stream
    /// on another connection are void.
    pub(crate) fn accepts(&self, kind: Kind, connection: ConnectionId) -> bool {
        let accepted = match kind {
            Kind::Data => self.accepted_data,
            Kind::Control => self.accepted_control,
        };
        accepted == Some(connection)
    }

    fn accepted_mut(&mut self, kind: Kind) -> &mut Option<ConnectionId> {
        match kind {
            Kind::Data => &mut self.accepted_data,
            Kind::Control => &mut self.accepted_control,
        }
    }
}
