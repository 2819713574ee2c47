//! Clients: what they subscribed, and over which connections they are given it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use crate::{ClientId, ConnectionId, Limits, Recipient, Refusal, Topic};

#[derive(Debug, Default)]
struct Client {
    /// Threshold by topic.
    topics: BTreeMap<Topic, f64>,
    connections: BTreeSet<ConnectionId>,
    /// Since when it has no connection.
    alone_since: Option<Instant>,
}

/// Everybody who subscribed a topic, put together once for many messages.
#[derive(Clone, Debug)]
pub(crate) struct Audience {
    /// Those with connections.
    pub(crate) recipients: Arc<[Recipient]>,
    /// How many have none.
    pub(crate) unattended: u64,
    /// Connections of all of them.
    pub(crate) connections: u64,
    /// The highest threshold.
    pub(crate) threshold_max: f64,
}

/// All clients.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    all: BTreeMap<ClientId, Client>,
    subscribers: BTreeMap<Topic, BTreeSet<ClientId>>,
    connections: BTreeMap<ConnectionId, ClientId>,
    /// Clients without a connection, the one alone for longest first.
    alone: BTreeSet<(Instant, ClientId)>,
    /// Of topics whose subscribers did not change since.
    audiences: BTreeMap<Topic, Audience>,
}

impl Clients {
    /// Subscribes a client, or gives it another threshold; returns whether the topic is new here.
    pub(crate) fn subscribe(
        &mut self,
        now: Instant,
        limits: &Limits,
        id: &ClientId,
        topic: &Topic,
        threshold: f64,
    ) -> Result<bool, Refusal> {
        let topic_is_new = !self.subscribers.contains_key(topic);
        match self.all.get(id) {
            Some(client) if client.topics.contains_key(topic) => {}
            _ if topic_is_new && self.subscribers.len() >= limits.topics_max => {
                return Err(Refusal::Topics(self.subscribers.len()));
            }
            Some(client) if client.topics.len() >= limits.topics_per_client_max => {
                return Err(Refusal::ClientTopics(client.topics.len()));
            }
            None if self.all.len() >= limits.clients_max => {
                return Err(Refusal::Clients(self.all.len()));
            }
            Some(_) | None => {}
        }
        if !self.all.contains_key(id) {
            self.alone.insert((now, id.clone()));
            let client = Client { alone_since: Some(now), ..Client::default() };
            self.all.insert(id.clone(), client);
        }
        if let Some(client) = self.all.get_mut(id) {
            client.topics.insert(topic.clone(), threshold);
        }
        self.audiences.remove(topic);
        self.subscribers.entry(topic.clone()).or_default().insert(id.clone());
        Ok(topic_is_new)
    }

    /// Takes a connection.
    pub(crate) fn connect(
        &mut self,
        limits: &Limits,
        id: ClientId,
        new: ConnectionId,
    ) -> Result<(), Refusal> {
        if !self.all.contains_key(&id) && self.all.len() >= limits.clients_max {
            return Err(Refusal::Clients(self.all.len()));
        }
        let client = self.all.entry(id.clone()).or_default();
        if let Some(since) = client.alone_since.take() {
            self.alone.remove(&(since, id.clone()));
        }
        client.connections.insert(new);
        client.topics.keys().for_each(|topic| drop(self.audiences.remove(topic)));
        self.connections.insert(new, id);
        Ok(())
    }

    /// A connection is gone. A client without subscriptions goes with its last.
    pub(crate) fn disconnect(&mut self, now: Instant, connection: ConnectionId) {
        let Some(id) = self.connections.remove(&connection) else { return };
        let Some(client) = self.all.get_mut(&id) else { return };
        client.connections.remove(&connection);
        client.topics.keys().for_each(|topic| drop(self.audiences.remove(topic)));
        if !client.connections.is_empty() {
            return;
        }
        if client.topics.is_empty() {
            self.all.remove(&id);
        } else {
            client.alone_since = Some(now);
            self.alone.insert((now, id));
        }
    }

    /// Returns since when the client that is alone for longest is.
    pub(crate) fn longest_alone(&self) -> Option<Instant> {
        self.alone.first().map(|(since, _)| *since)
    }

    /// Removes the client that is alone for longest; returns the topics that nobody wants any more.
    pub(crate) fn remove_longest_alone(&mut self) -> Vec<Topic> {
        let Some((_, id)) = self.alone.pop_first() else { return Vec::new() };
        let Some(client) = self.all.remove(&id) else { return Vec::new() };
        let mut left = Vec::new();
        for topic in client.topics.into_keys() {
            self.audiences.remove(&topic);
            let Some(subscribers) = self.subscribers.get_mut(&topic) else { continue };
            subscribers.remove(&id);
            if subscribers.is_empty() {
                self.subscribers.remove(&topic);
                left.push(topic);
            }
        }
        left
    }

    /// Returns the clients that subscribed `topic`, with their thresholds.
    pub(crate) fn subscribers(&self, topic: &str) -> impl Iterator<Item = (&ClientId, f64)> {
        let ids = self.subscribers.get(topic).into_iter().flatten();
        ids.filter_map(move |id| Some((id, *self.all.get(id)?.topics.get(topic)?)))
    }

    /// Returns everybody who subscribed `topic`.
    pub(crate) fn audience(&mut self, topic: &Topic) -> Audience {
        if let Some(audience) = self.audiences.get(topic) {
            return audience.clone();
        }
        let mut audience = Audience {
            recipients: Arc::new([]),
            unattended: 0,
            connections: 0,
            threshold_max: 0.0,
        };
        let mut recipients = Vec::new();
        for (client, threshold) in self.subscribers(topic) {
            audience.threshold_max = audience.threshold_max.max(threshold);
            let connections = self.connections(client);
            audience.connections += connections.len() as u64;
            if connections.is_empty() {
                audience.unattended += 1;
            } else {
                recipients.push(Recipient { client: client.clone(), connections });
            }
        }
        audience.recipients = recipients.into();
        if self.is_wanted(topic) {
            self.audiences.insert(topic.clone(), audience.clone());
        }
        audience
    }

    /// Returns the connections of a client, in order.
    pub(crate) fn connections(&self, client: &str) -> Vec<ConnectionId> {
        let connections = self.all.get(client).map(|client| &client.connections);
        connections.into_iter().flatten().copied().collect()
    }

    /// Returns the topics that any client subscribed.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.subscribers.keys()
    }

    pub(crate) fn is_wanted(&self, topic: &str) -> bool {
        self.subscribers.contains_key(topic)
    }

    /// Returns what `client` subscribed, with its thresholds.
    pub(crate) fn topics_of(&self, client: &str) -> impl Iterator<Item = (&Topic, f64)> {
        let topics = self.all.get(client).into_iter().flat_map(|client| &client.topics);
        topics.map(|(topic, threshold)| (topic, *threshold))
    }

    pub(crate) fn known(&self) -> impl Iterator<Item = &ClientId> {
        self.all.keys()
    }

    pub(crate) fn is_connected(&self, client: &str) -> bool {
        self.all.get(client).is_some_and(|client| !client.connections.is_empty())
    }

    pub(crate) fn connected(&self) -> impl Iterator<Item = &ClientId> {
        let connected = self.all.iter().filter(|(_, client)| !client.connections.is_empty());
        connected.map(|(id, _)| id)
    }

    pub(crate) fn thresholds(&self) -> impl Iterator<Item = (ClientId, Topic, f64)> {
        self.all.iter().flat_map(|(id, client)| {
            client.topics.iter().map(|(topic, share)| (id.clone(), topic.clone(), *share))
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}
