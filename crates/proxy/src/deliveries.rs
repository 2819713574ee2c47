//! The one task that owns the broker: what nodes report goes in, what connections are given comes
//! out. It waits for nobody.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use broker::{Broker, ClientId, ConnectionId, Input, NodeId, Output, Recipient, Topic};
use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::info;

use crate::{
    connection::{Delivery, Inbox, Outbox},
    error::RequestError,
    traffic::Traffic,
    until,
    upstream::{Orders, Report, Upstream},
};

/// Reports that wait. Each may hold a message; who has more waits, and its node keeps them.
pub(crate) const REPORTS_MAX: usize = 64;

/// Reports that are taken before anybody else has a turn.
const BATCH_MAX: usize = 64;

/// Questions that wait.
const QUESTIONS_MAX: usize = 1024;

/// A topic of a client, and its threshold.
pub(crate) type Wanted = (Topic, f64);

/// What the task is asked.
#[derive(Debug)]
enum Question {
    Subscribe {
        client: ClientId,
        topic: Topic,
        threshold: Option<f64>,
        reply: oneshot::Sender<Result<(), broker::Refusal>>,
    },
    Connect {
        client: ClientId,
        reply: oneshot::Sender<Result<Inbox, broker::Refusal>>,
    },
    TopicsOf {
        client: ClientId,
        reply: oneshot::Sender<Vec<Wanted>>,
    },
    IsConnected {
        client: ClientId,
        reply: oneshot::Sender<bool>,
    },
    Known(oneshot::Sender<Vec<ClientId>>),
    Connected(oneshot::Sender<Vec<ClientId>>),
    Picture(oneshot::Sender<Picture>),
}

/// A picture of the broker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    pub(crate) stats: broker::Stats,
    pub(crate) clients: usize,
    pub(crate) topics: usize,
    pub(crate) undecided: usize,
    /// Bytes that wait for connections.
    pub(crate) queued_bytes: usize,
    pub(crate) nodes: usize,
    /// Messages that slow connections lost.
    pub(crate) lost: u64,
    /// Messages of nodes that were no text.
    pub(crate) no_text: u64,
    /// Some clients with their topics and thresholds.
    pub(crate) thresholds: Vec<(ClientId, Topic, f64)>,
}

/// Talks to the task. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Deliveries {
    questions: mpsc::Sender<Question>,
    orders: watch::Receiver<Orders>,
}

impl Deliveries {
    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, RequestError> {
        let (reply, answer) = oneshot::channel();
        self.questions.send(question(reply)).await.map_err(|_| RequestError::Closed)?;
        answer.await.map_err(|_| RequestError::Closed)
    }

    /// Subscribes a client; without a threshold the default holds.
    pub(crate) async fn subscribe(
        &self,
        client: ClientId,
        topic: Topic,
        threshold: Option<f64>,
    ) -> Result<(), RequestError> {
        let question = |reply| Question::Subscribe { client, topic, threshold, reply };
        Ok(self.ask(question).await??)
    }

    /// Takes a connection of a client.
    pub(crate) async fn connect(&self, client: ClientId) -> Result<Inbox, RequestError> {
        Ok(self.ask(|reply| Question::Connect { client, reply }).await??)
    }

    /// Returns what a client subscribed here.
    pub(crate) async fn topics_of(&self, client: ClientId) -> Result<Vec<Wanted>, RequestError> {
        self.ask(|reply| Question::TopicsOf { client, reply }).await
    }

    /// Returns everybody who has subscriptions or connections here.
    pub(crate) async fn known(&self) -> Result<Vec<ClientId>, RequestError> {
        self.ask(Question::Known).await
    }

    /// Returns the clients that have a connection here.
    pub(crate) async fn connected(&self) -> Result<Vec<ClientId>, RequestError> {
        self.ask(Question::Connected).await
    }

    /// Returns whether a client has a connection here.
    pub(crate) async fn is_connected(&self, client: ClientId) -> Result<bool, RequestError> {
        self.ask(|reply| Question::IsConnected { client, reply }).await
    }

    /// Returns whether any client here subscribed a topic.
    pub(crate) fn is_subscribed(&self, topic: &Topic) -> bool {
        self.orders.borrow().topics.contains(topic)
    }

    pub(crate) async fn picture(&self) -> Result<Picture, RequestError> {
        self.ask(Question::Picture).await
    }
}

/// The task, and what it needs beside the broker.
pub(crate) struct Task {
    broker: Broker,
    questions: mpsc::Receiver<Question>,
    reports: mpsc::Receiver<Report>,
    answers: mpsc::Sender<Report>,
    gone: (mpsc::UnboundedSender<ConnectionId>, mpsc::UnboundedReceiver<ConnectionId>),
    connections: Connections,
    orders: watch::Sender<Orders>,
    traffic: Arc<Mutex<Traffic>>,
    queue_bytes_max: usize,
    lost: u64,
    no_text: u64,
}

/// What starts the task: its ends that others hold.
pub(crate) struct Made {
    pub(crate) task: Task,
    pub(crate) deliveries: Deliveries,
    pub(crate) orders: watch::Receiver<Orders>,
    pub(crate) reports: mpsc::Sender<Report>,
}

impl Task {
    pub(crate) fn make(
        config: broker::Config,
        queue_bytes_max: usize,
        traffic: Arc<Mutex<Traffic>>,
    ) -> Made {
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        let (reports, reported) = mpsc::channel(REPORTS_MAX);
        let (orders, ordered) = watch::channel(Orders::default());
        let task = Self {
            broker: Broker::new(config),
            questions: asked,
            reports: reported,
            answers: reports.clone(),
            gone: mpsc::unbounded_channel(),
            connections: Connections::default(),
            orders,
            traffic,
            queue_bytes_max,
            lost: 0,
            no_text: 0,
        };
        let deliveries = Deliveries { questions, orders: ordered.clone() };
        Made { task, deliveries, orders: ordered, reports }
    }

    /// Runs until it is stopped; then every connection comes to its end after what it holds.
    pub(crate) async fn run(
        mut self,
        upstream: Arc<Upstream>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let due = self.broker.poll_timeout();
            let timeout = until(due.map(Instant::from_std));
            tokio::select! {
                () = stop.cancelled() => break,
                Some(question) = self.questions.recv() => self.answer(question),
                Some(connection) = self.gone.1.recv() => {
                    self.connections.remove(connection);
                    self.broker.handle(std::time::Instant::now(), Input::Disconnected(connection));
                }
                _ = self.reports.recv_many(&mut batch, BATCH_MAX) => {}
                () = timeout => self.broker.handle_timeout(std::time::Instant::now()),
            }
            self.drain(&upstream, &tasks);
            for report in batch.drain(..) {
                self.take(report);
                self.drain(&upstream, &tasks);
            }
        }
        self.connections.close();
    }

    fn answer(&mut self, question: Question) {
        let now = std::time::Instant::now();
        // Whoever asked may be gone.
        match question {
            Question::Subscribe { client, topic, threshold, reply } => {
                let _gone = reply.send(self.broker.subscribe(now, &client, &topic, threshold));
            }
            Question::Connect { client, reply } => {
                let outbox = Arc::new(Outbox::new(self.queue_bytes_max));
                let id = self.connections.add(Arc::clone(&outbox));
                let taken = self.broker.connect(client, id);
                if taken.is_err() {
                    self.connections.remove(id);
                }
                let gone = self.gone.0.clone();
                let _gone = reply.send(taken.map(|()| Inbox { id, outbox, gone }));
            }
            Question::TopicsOf { client, reply } => {
                let topics = self.broker.topics_of(&client);
                let _gone =
                    reply.send(topics.map(|(topic, share)| (topic.clone(), share)).collect());
            }
            Question::IsConnected { client, reply } => {
                let _gone = reply.send(self.broker.is_connected(&client));
            }
            Question::Known(reply) => {
                let _gone = reply.send(self.broker.known().cloned().collect());
            }
            Question::Connected(reply) => {
                let _gone = reply.send(self.broker.connected().cloned().collect());
            }
            Question::Picture(reply) => {
                let _gone = reply.send(self.picture());
            }
        }
    }

    fn picture(&self) -> Picture {
        Picture {
            stats: *self.broker.stats(),
            clients: self.broker.clients(),
            topics: self.broker.topics().count(),
            undecided: self.broker.undecided().count(),
            queued_bytes: self.connections.queued_bytes(),
            nodes: self.broker.nodes().count(),
            lost: self.lost,
            no_text: self.no_text,
            thresholds: self.broker.thresholds().take(THRESHOLDS_MAX).collect(),
        }
    }

    fn take(&mut self, report: Report) {
        let now = std::time::Instant::now();
        let input = match report {
            Report::Up(node) => Input::NodeUp(node),
            Report::Down(node) => Input::NodeDown(node),
            Report::Heard { node, message, topic, json, payload_bytes } => {
                let active = self.broker.nodes().count();
                self.traffic().heard(now, (node, active), message, &topic, payload_bytes);
                Input::Heard { node, message, topic, payload: json }
            }
            Report::Fetched { node, message, json } => {
                Input::Fetched { node, message, payload: json }
            }
        };
        self.broker.handle(now, input);
    }

    fn traffic(&self) -> std::sync::MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain(&mut self, upstream: &Arc<Upstream>, tasks: &TaskTracker) {
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::Join(topic) => self.reorder(|topics| topics.insert(topic)),
                Output::Leave(topic) => self.reorder(|topics| topics.remove(&topic)),
                Output::Source(node) => self.set_source(node),
                Output::Fetch { node, message } => {
                    let (upstream, answers) = (Arc::clone(upstream), self.answers.clone());
                    tasks.spawn(async move {
                        // Closed at the end.
                        let _closed = answers.send(upstream.fetch(node, message).await).await;
                    });
                }
                Output::Deliver { recipients, message, topic, payload, is_fallback } => {
                    {
                        let mut traffic = self.traffic();
                        let now = std::time::Instant::now();
                        traffic.delivered(now, &message);
                        if is_fallback {
                            traffic.fell_back(&topic, &recipients);
                        }
                    }
                    self.deliver(&recipients, message, &topic, payload);
                }
            }
        }
    }

    fn reorder(&self, change: impl FnOnce(&mut BTreeSet<Topic>) -> bool) {
        self.orders.send_modify(|orders| {
            change(Arc::make_mut(&mut orders.topics));
        });
    }

    fn set_source(&self, node: NodeId) {
        info!(node = node.0, "payloads come from this node");
        self.orders.send_modify(|orders| orders.source = Some(node));
    }

    fn deliver(
        &mut self,
        recipients: &[Recipient],
        message: broker::MessageId,
        topic: &Topic,
        json: Bytes,
    ) {
        let Some(delivery) = Delivery::new(message, topic.clone(), json) else {
            self.no_text += 1;
            return;
        };
        let delivery = Arc::new(delivery);
        for recipient in recipients {
            for connection in &recipient.connections {
                let Some(outbox) = self.connections.get(*connection) else { continue };
                let lost = outbox.push(Arc::clone(&delivery));
                if lost > 0 {
                    if self.lost == 0 {
                        info!(client = %recipient.client, "a client reads too slowly: its oldest messages are given up");
                    }
                    self.lost += lost;
                }
            }
        }
    }
}

/// Clients with thresholds in a picture.
const THRESHOLDS_MAX: usize = 1000;

/// Connections by number: the place in the list, and which one in that place.
#[derive(Debug, Default)]
struct Connections {
    places: Vec<(u32, Option<Arc<Outbox>>)>,
    free: Vec<u32>,
}

impl Connections {
    fn add(&mut self, outbox: Arc<Outbox>) -> ConnectionId {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() as u32 - 1
        });
        let (turn, held) = &mut self.places[place as usize];
        *turn += 1;
        *held = Some(outbox);
        ConnectionId(u64::from(*turn) << 32 | u64::from(place))
    }

    fn get(&self, ConnectionId(id): ConnectionId) -> Option<&Outbox> {
        let (turn, held) = self.places.get(id as u32 as usize)?;
        held.as_deref().filter(|_| u64::from(*turn) == id >> 32)
    }

    fn remove(&mut self, id: ConnectionId) {
        if self.get(id).is_none() {
            return;
        }
        let place = id.0 as u32;
        self.places[place as usize].1 = None;
        self.free.push(place);
    }

    fn queued_bytes(&self) -> usize {
        self.places.iter().filter_map(|(_, held)| held.as_ref()).map(|held| held.bytes()).sum()
    }

    fn close(&self) {
        self.places.iter().filter_map(|(_, held)| held.as_ref()).for_each(|outbox| outbox.close());
    }
}

/// How long what is queued may take to reach clients at the end.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_used_twice() {
        let mut connections = Connections::default();
        let outbox = || Arc::new(Outbox::new(100));
        let (first, second) = (connections.add(outbox()), connections.add(outbox()));
        connections.remove(first);
        connections.remove(first);
        assert!(connections.get(first).is_none() && connections.get(second).is_some());
        let third = connections.add(outbox());
        assert_ne!(third, first);
        assert!(connections.get(third).is_some() && connections.get(first).is_none());
        assert_ne!(connections.add(outbox()), third, "the place is free once");
    }
}
