//! Routes what happens, and decides.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;

use crate::{
    ClientId, Config, ConnectionId, Input, MessageId, NodeId, Output, Recipient, Refusal, Stats,
    Topic,
    clients::{Audience, Clients},
    messages::{Message, Messages},
    recent::Recent,
};

/// The state of a proxy; see the crate's contract.
#[derive(Debug)]
pub struct Broker {
    config: Config,
    nodes: BTreeSet<NodeId>,
    source: Option<NodeId>,
    clients: Clients,
    messages: Messages,
    /// Messages that were decided.
    decided: Recent,
    outbox: VecDeque<Output>,
    stats: Stats,
}

impl Broker {
    /// Makes a broker without nodes and clients.
    pub fn new(config: Config) -> Self {
        Self {
            nodes: BTreeSet::new(),
            source: None,
            clients: Clients::default(),
            messages: Messages::new(config.secret),
            decided: Recent::new(config.remember, config.limits.remembered_max, config.secret),
            outbox: VecDeque::new(),
            stats: Stats::default(),
            config,
        }
    }

    /// Subscribes a client; a second time only its threshold changes. Without a threshold, or with
    /// 0, [`Config::threshold`] holds.
    ///
    /// # Errors
    ///
    /// Returns [`Refusal`] for a threshold that is no share, or at a bound.
    pub fn subscribe(
        &mut self,
        now: Instant,
        client: &ClientId,
        topic: &Topic,
        threshold: Option<f64>,
    ) -> Result<(), Refusal> {
        let threshold = threshold.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Refusal::Threshold(threshold));
        }
        let threshold = if threshold == 0.0 { self.config.threshold } else { threshold };
        let subscribed = self.clients.subscribe(now, &self.config.limits, client, topic, threshold);
        match subscribed {
            Ok(true) => self.outbox.push_back(Output::Join(topic.clone())),
            Ok(false) => {}
            Err(error) => {
                self.stats.subscriptions_refused += 1;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes a connection of a client, which need not have subscribed anything yet.
    ///
    /// # Errors
    ///
    /// Returns [`Refusal::Clients`] at the bound on clients; the driver closes the connection.
    pub fn connect(&mut self, client: ClientId, connection: ConnectionId) -> Result<(), Refusal> {
        let taken = self.clients.connect(&self.config.limits, client, connection);
        self.stats.connections_refused += u64::from(taken.is_err());
        taken
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::NodeUp(node) => self.on_node_up(node),
            Input::NodeDown(node) => self.on_node_down(now, node),
            Input::Heard { node, message, topic, payload } => {
                self.on_heard(now, node, message, topic, payload);
            }
            Input::Fetched { node, message, payload } => {
                self.on_fetched(now, node, message, payload);
            }
            Input::Disconnected(connection) => self.clients.disconnect(now, connection),
        }
    }

    /// Does what is due; a call before [`Broker::poll_timeout`] does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.messages.due_fetch(now) {
            self.fetch(id);
        }
        while let Some((_, id)) = self.messages.first_deadline().filter(|(at, _)| *at <= now) {
            self.on_deadline(now, id);
        }
        let ttl = self.config.subscription_ttl;
        while self.clients.longest_alone().is_some_and(|since| since + ttl <= now) {
            self.stats.clients_expired += 1;
            let left = self.clients.remove_longest_alone();
            self.outbox.extend(left.into_iter().map(Output::Leave));
        }
    }

    /// Returns when [`Broker::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let decision = self.messages.first_deadline().map(|(at, _)| at);
        let alone = self.clients.longest_alone().map(|since| since + self.config.subscription_ttl);
        [decision, self.messages.next_fetch(), alone].into_iter().flatten().min()
    }

    /// Returns what is to be done, until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// Returns the counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Returns the topics that any client subscribed, in order.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.clients.topics()
    }

    /// Returns what `client` subscribed, in order, with its thresholds.
    pub fn topics_of(&self, client: &str) -> impl Iterator<Item = (&Topic, f64)> {
        self.clients.topics_of(client)
    }

    /// Returns the clients that have a connection, in order.
    pub fn connected(&self) -> impl Iterator<Item = &ClientId> {
        self.clients.connected()
    }

    /// Returns all clients that have subscriptions or connections, in order.
    pub fn known(&self) -> impl Iterator<Item = &ClientId> {
        self.clients.known()
    }

    /// Returns whether a client has a connection.
    pub fn is_connected(&self, client: &str) -> bool {
        self.clients.is_connected(client)
    }

    /// Returns every subscription with its threshold, by client.
    pub fn thresholds(&self) -> impl Iterator<Item = (ClientId, Topic, f64)> {
        self.clients.thresholds()
    }

    /// Returns how many clients have subscriptions or connections.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Returns the connected nodes, in order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.iter().copied()
    }

    /// Returns messages that are not decided: topic, when first heard, by how many nodes.
    pub fn undecided(&self) -> impl Iterator<Item = (MessageId, &Topic, Instant, usize)> {
        let messages = self.messages.iter();
        messages
            .map(|(id, message)| (*id, &message.topic, message.first_heard, message.nodes.len()))
    }

    fn on_node_up(&mut self, node: NodeId) {
        self.nodes.insert(node);
        if self.source.is_none() {
            self.source = Some(node);
            self.outbox.push_back(Output::Source(node));
        }
    }

    fn on_node_down(&mut self, now: Instant, node: NodeId) {
        if !self.nodes.remove(&node) {
            return;
        }
        if self.source == Some(node) {
            self.source = self.nodes.first().copied();
            self.outbox.extend(self.source.map(Output::Source));
        }
        // Of fewer nodes, fewer are enough.
        for id in self.messages.ids() {
            self.decide(now, id);
        }
    }

    fn on_heard(
        &mut self,
        now: Instant,
        node: NodeId,
        id: MessageId,
        topic: Topic,
        payload: Option<Bytes>,
    ) {
        if self.messages.get(&id).is_none() {
            if self.decided.contains(now, &id) {
                self.stats.repeats += 1;
                return;
            }
            if !self.clients.is_wanted(&topic) {
                self.stats.unwanted += 1;
                return;
            }
            self.make_room(now, payload.as_ref().map_or(0, Bytes::len));
            self.stats.messages += 1;
            self.messages.add(now, id, topic, now + self.config.fallback_delay);
        }
        let Some(message) = self.messages.get_mut(&id) else { return };
        if message.nodes.insert(node) && message.nodes.len() > 1 {
            self.stats.repeats += 1;
        }
        if let Some(payload) = payload {
            self.messages.keep_payload(&id, payload);
        }
        self.decide(now, id);
    }

    fn on_fetched(&mut self, now: Instant, node: NodeId, id: MessageId, payload: Option<Bytes>) {
        let Some(message) = self.messages.get_mut(&id) else { return };
        if message.fetching == Some(node) {
            message.fetching = None;
        }
        let Some(payload) = payload else { return self.fetch(id) };
        self.make_room(now, payload.len());
        self.messages.keep_payload(&id, payload);
        self.decide(now, id);
    }

    /// Decides messages at once until there is room for another of so many bytes.
    fn make_room(&mut self, now: Instant, bytes: usize) {
        let (count_max, bytes_max) =
            (self.config.limits.pending_max, self.config.limits.pending_bytes_max);
        while self.messages.len() >= count_max || self.messages.payload_bytes() + bytes > bytes_max
        {
            let Some((_, id)) = self.messages.first_deadline() else { return };
            self.stats.decided_early += 1;
            self.finish(now, id);
        }
    }

    /// Serves the clients for which enough nodes told of a message; all of them once it is late.
    fn decide(&mut self, now: Instant, id: MessageId) {
        let Some(message) = self.messages.get(&id) else { return };
        let (heard, active) = (self.heard(message), self.nodes.len());
        if message.served.is_empty() && message.payload.is_some() {
            // The way of almost every message: enough for everybody at once.
            let audience = self.clients.audience(&message.topic);
            if heard >= required(audience.threshold_max, active) {
                self.serve_all(&id, &audience);
                return self.forget(now, id);
            }
        }
        let waiting = self.clients.subscribers(&message.topic);
        let waiting = waiting.filter(|(client, _)| !message.served.contains(*client));
        let enough: Vec<(ClientId, bool)> = waiting
            .map(|(client, threshold)| (client.clone(), heard >= required(threshold, active)))
            .collect();
        let all = enough.len();
        let ready: Vec<_> =
            enough.into_iter().filter(|(_, enough)| *enough || message.is_late).collect();
        if !ready.is_empty() && message.payload.is_none() {
            if message.fetching.is_none() {
                self.messages.fetch_at(&id, now + self.config.fetch_delay);
            }
            return;
        }
        let everybody = ready.len() == all;
        self.serve(&id, ready);
        if everybody {
            self.forget(now, id);
        }
    }

    /// Returns how many of the connected nodes told of a message.
    fn heard(&self, message: &Message) -> usize {
        message.nodes.intersection(&self.nodes).count()
    }

    /// The time of the fallback is over, or that of the payload.
    fn on_deadline(&mut self, now: Instant, id: MessageId) {
        let Some(message) = self.messages.get(&id) else { return };
        if message.payload.is_some() || message.is_late {
            return self.finish(now, id);
        }
        let give_up = message.first_heard + self.config.give_up_delay;
        self.messages.make_late(&id, give_up.max(now));
        self.fetch(id);
    }

    /// Serves whoever waits with what there is, and forgets the message.
    fn finish(&mut self, now: Instant, id: MessageId) {
        let Some(message) = self.messages.get(&id) else { return };
        let (heard, active) = (self.heard(message), self.nodes.len());
        if message.payload.is_some() {
            let waiting = self.clients.subscribers(&message.topic);
            let waiting = waiting.filter(|(client, _)| !message.served.contains(*client));
            let enough = |threshold| heard >= required(threshold, active);
            let waiting: Vec<_> =
                waiting.map(|(client, threshold)| (client.clone(), enough(threshold))).collect();
            self.serve(&id, waiting);
        } else {
            self.stats.payloads_missing += 1;
        }
        self.forget(now, id);
    }

    /// Gives a message whose payload is here to everybody who subscribed its topic.
    fn serve_all(&mut self, id: &MessageId, audience: &Audience) {
        self.stats.unattended += audience.unattended;
        self.deliver(id, Arc::clone(&audience.recipients), audience.connections, false);
    }

    /// Gives a message whose payload is here to some clients; each with whether enough nodes told
    /// of it.
    fn serve(&mut self, id: &MessageId, clients: Vec<(ClientId, bool)>) {
        let Some(message) = self.messages.get_mut(id) else { return };
        message.served.extend(clients.iter().map(|(client, _)| client.clone()));
        let (mut enough, mut fallback) = (Vec::new(), Vec::new());
        for (client, is_enough) in clients {
            let connections = self.clients.connections(&client);
            if connections.is_empty() {
                self.stats.unattended += 1;
            } else {
                let recipients = if is_enough { &mut enough } else { &mut fallback };
                recipients.push(Recipient { client, connections });
            }
        }
        self.stats.fallback_deliveries += fallback.len() as u64;
        for (recipients, is_fallback) in [(enough, false), (fallback, true)] {
            let connections = recipients.iter().map(|r| r.connections.len() as u64).sum();
            self.deliver(id, recipients.into(), connections, is_fallback);
        }
    }

    fn deliver(
        &mut self,
        id: &MessageId,
        recipients: Arc<[Recipient]>,
        connections: u64,
        is_fallback: bool,
    ) {
        let Some(message) = self.messages.get(id) else { return };
        let Some(payload) = message.payload.clone().filter(|_| connections > 0) else { return };
        let topic = message.topic.clone();
        self.stats.deliveries += connections;
        let message = *id;
        self.outbox.push_back(Output::Deliver { recipients, message, topic, payload, is_fallback });
    }

    fn forget(&mut self, now: Instant, id: MessageId) {
        self.messages.remove(&id);
        self.stats.forgotten_early += u64::from(self.decided.insert(now, id));
    }

    /// Fetches a payload from a node that told of the message and was not asked yet.
    fn fetch(&mut self, id: MessageId) {
        let Some(message) = self.messages.get_mut(&id) else { return };
        if message.payload.is_some() || message.fetching.is_some() {
            return;
        }
        let mut known = message.nodes.intersection(&self.nodes);
        let Some(&node) = known.find(|node| !message.asked.contains(node)) else { return };
        message.asked.insert(node);
        message.fetching = Some(node);
        self.stats.fetches += 1;
        self.outbox.push_back(Output::Fetch { node, message: id });
    }
}

/// Returns how many of the active nodes must tell of a message: the share, rounded up, and at least
/// one.
fn required(threshold: f64, active: usize) -> usize {
    // 0.1 x 30 is a little more than 3 in binary.
    ((threshold * active as f64 - 1e-9).ceil() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::required;

    #[test]
    fn a_threshold_is_a_share_of_the_active_nodes_rounded_up() {
        for (threshold, active, nodes) in [
            (0.7, 4, 3),
            (0.1, 4, 1),
            (1.0, 4, 4),
            (0.5, 4, 2),
            (0.51, 4, 3),
            (0.1, 30, 3),
            (1.0, 0, 1),
            (0.01, 1, 1),
        ] {
            assert_eq!(required(threshold, active), nodes, "{threshold} of {active}");
        }
    }
}
