//! The connection to one node, made again for ever.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use api::{
    DeliveryHead, Notice, StreamOptions,
    sidecar::{Command, HealthResponse, Request, Response, ResponseType, Void},
};
use broker::{MessageId, Topic};
use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Endpoint};
use tracing::{debug, info, warn};

use super::{
    Orders, Report,
    node::{Node, Publish, Sidecar},
    publisher,
    tickets::OwnTickets,
};

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Pauses between attempts: the first, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How often a node is asked how it is, and how long it may take before it counts as gone.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);
const HEALTH_MAX: Duration = Duration::from_secs(10);

/// How long a stream is read on after another has taken its place.
const OVERLAP: Duration = Duration::from_secs(5);

/// HTTP/2's windows: what a node may send before we read it.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Commands that wait to be sent.
const COMMANDS_MAX: usize = 64;

/// Why a connection ended, for the log.
type End = String;

/// A connection's two ends of one stream of commands.
pub(super) struct Stream {
    pub(super) commands: mpsc::Sender<Request>,
    pub(super) responses: Streaming<Response>,
}

impl Stream {
    pub(super) async fn open(sidecar: &Sidecar, wants: &StreamOptions) -> Result<Self, End> {
        let (commands, taken) = mpsc::channel(COMMANDS_MAX);
        let mut request = tonic::Request::new(ReceiverStream::new(taken));
        wants.write_to(request.metadata_mut()).map_err(|error| error.to_string())?;
        let mut sidecar = sidecar.clone();
        let answer = tokio::time::timeout(HEALTH_MAX, sidecar.listen_commands(request));
        let answer = answer.await.map_err(|_| "it opens no stream".to_owned())?;
        let answer = answer.map_err(|status| text(&status))?;
        Ok(Self { commands, responses: answer.into_inner() })
    }
}

/// Keeps the connection to one node.
pub(super) struct Link {
    pub(super) node: Arc<Node>,
    pub(super) holder: String,
    pub(super) tickets: Arc<OwnTickets>,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) reports: mpsc::Sender<Report>,
}

impl Link {
    /// Connects for ever.
    pub(super) async fn run(mut self, mut publishes: mpsc::Receiver<Publish>) {
        let mut pause = PAUSE_MIN;
        loop {
            let begin = Instant::now();
            let end = match self.connect().await {
                Ok((sidecar, health)) => self.serve(sidecar, health, &mut publishes).await,
                Err(end) => end,
            };
            if self.reports.is_closed() {
                return;
            }
            if begin.elapsed() > PAUSE_MAX {
                pause = PAUSE_MIN;
            }
            let node = self.node.address();
            warn!(node, reason = end, pause_ms = pause.as_millis() as u64, "not connected");
            self.pause(pause, &mut publishes).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Waits; messages that come meanwhile go elsewhere.
    async fn pause(&self, pause: Duration, publishes: &mut mpsc::Receiver<Publish>) {
        // Not all proxies at once.
        let pause = pause.mul_f64(rand::random_range(0.75..1.25));
        let mut over = std::pin::pin!(tokio::time::sleep(pause));
        loop {
            tokio::select! {
                () = &mut over => return,
                Some(publish) = publishes.recv() => drop(publish),
            }
        }
    }

    async fn connect(&self) -> Result<(Sidecar, HealthResponse), End> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.node.address()))
            .map_err(|error| error.to_string())?
            .connect_timeout(CONNECT_MAX)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        let channel = endpoint.connect().await.map_err(|error| {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            cause.to_string()
        })?;
        let sidecar = Sidecar::new(channel)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        let health = self.ask_health(&sidecar).await?;
        Ok((sidecar, health))
    }

    /// Asks how the node is, and takes the time.
    async fn ask_health(&self, sidecar: &Sidecar) -> Result<HealthResponse, End> {
        let begin = Instant::now();
        let mut sidecar = sidecar.clone();
        let health = tokio::time::timeout(HEALTH_MAX, sidecar.health(Void {}))
            .await
            .map_err(|_| "it does not say how it is".to_owned())?
            .map_err(|status| text(&status))?
            .into_inner();
        let took = begin.elapsed();
        let mut state = self.node.lock_state();
        // Smoothed, as TCP does it (RFC 6298).
        state.latency = Some(state.latency.map_or(took, |smooth| (smooth * 7 + took) / 8));
        state.health = Some(health.clone());
        Ok(health)
    }

    /// Serves a connection to its end.
    async fn serve(
        &mut self,
        sidecar: Sidecar,
        health: HealthResponse,
        publishes: &mut mpsc::Receiver<Publish>,
    ) -> End {
        if !health.status {
            return "it says that it is not well".to_owned();
        }
        let node = Arc::clone(&self.node);
        let end = async {
            let listen = Stream::open(&sidecar, &self.listening(false)).await?;
            let publish = Stream::open(&sidecar, &publisher::wants(&self.holder)).await?;
            info!(node = node.address(), mode = health.node_mode, "connected");
            node.set_sidecar(Some(sidecar.clone()));
            node.lock_state().up = true;
            let id = node.id;
            self.reports.send(Report::Up(id)).await.map_err(|_| "shutting down".to_owned())?;
            let mut orders = self.orders.clone();
            tokio::select! {
                end = self.listen(&sidecar, &mut orders, listen) => end,
                end = publisher::run(publish, publishes, &self.tickets) => Err(end),
                end = self.watch_health(&sidecar) => Err(end),
            }
        };
        let ended: Result<(), End> = end.await;
        node.set_sidecar(None);
        let was_up = std::mem::take(&mut node.lock_state().up);
        if was_up {
            // Nobody listens any more only when all is being shut down.
            let _closed = self.reports.send(Report::Down(node.id)).await;
        }
        ended.err().unwrap_or_default()
    }

    /// Returns what the stream that reports is asked for.
    fn listening(&self, payloads: bool) -> StreamOptions {
        let holder = Some(self.holder.clone());
        StreamOptions { traces: false, topics: None, payloads, holder, losses: true }
    }

    async fn watch_health(&self, sidecar: &Sidecar) -> End {
        loop {
            tokio::time::sleep(HEALTH_INTERVAL).await;
            match self.ask_health(sidecar).await {
                Ok(health) if health.status => {}
                Ok(_) => return "it says that it is not well".to_owned(),
                Err(end) => return end,
            }
        }
    }

    /// Reports what the node tells, and does as ordered.
    async fn listen(
        &self,
        sidecar: &Sidecar,
        orders: &mut watch::Receiver<Orders>,
        mut stream: Stream,
    ) -> Result<(), End> {
        let mut reader = Reader { last_topic: Topic::from("") };
        let (mut subscribed, mut is_source) = (BTreeSet::new(), false);
        let mut previous: Option<(Stream, Instant)> = None;
        orders.mark_changed();
        loop {
            tokio::select! {
                response = rest_of(&mut previous) => match response {
                    Some(response) => self.on_response(&mut reader, response).await?,
                    None => previous = None,
                },
                response = stream.responses.message() => match response {
                    Ok(Some(response)) => self.on_response(&mut reader, response).await?,
                    Ok(None) => return Err("it ended the stream".to_owned()),
                    Err(status) => return Err(text(&status)),
                },
                changed = orders.changed() => {
                    changed.map_err(|_| "shutting down".to_owned())?;
                    let now = orders.borrow_and_update().clone();
                    let was_source = is_source;
                    is_source = now.source == Some(self.node.id);
                    if is_source != was_source {
                        debug!(node = self.node.address(), is_source, "payloads");
                        let next = Stream::open(sidecar, &self.listening(is_source)).await?;
                        // What the node had put into the old one is not told again.
                        let old = std::mem::replace(&mut stream, next);
                        previous = Some((old, Instant::now() + OVERLAP));
                        // The first command of a stream lets it go; a second time changes nothing.
                        subscribed.clear();
                    }
                    self.follow(&stream, &mut subscribed, &now.topics).await?;
                }
            }
        }
    }

    /// Subscribes and leaves what the orders ask for.
    async fn follow(
        &self,
        stream: &Stream,
        subscribed: &mut BTreeSet<Topic>,
        wanted: &BTreeSet<Topic>,
    ) -> Result<(), End> {
        let joined = wanted.difference(subscribed).map(|topic| (Command::Subscribe, topic));
        let left = subscribed.difference(wanted).map(|topic| (Command::Unsubscribe, topic));
        for (command, topic) in joined.chain(left) {
            let (command, topic) = (command as i32, topic.to_string());
            let jwt_token = self.tickets.current();
            let request = Request { command, topic, jwt_token, ..Request::default() };
            stream.commands.send(request).await.map_err(|_| "it ended the stream".to_owned())?;
        }
        subscribed.clone_from(wanted);
        Ok(())
    }

    async fn on_response(&self, reader: &mut Reader, response: Response) -> Result<(), End> {
        let kind = ResponseType::try_from(response.command);
        let report = match kind {
            Ok(ResponseType::Message) => reader.heard(self.node.id, &response.data),
            Ok(ResponseType::Unknown) => {
                self.on_notice(&response.data);
                return Ok(());
            }
            _ => None,
        };
        let Some(report) = report else {
            if self.node.nonsense.fetch_add(1, Ordering::Relaxed) == 0 {
                warn!(node = self.node.address(), "it sends what is no message");
            }
            return Ok(());
        };
        self.reports.send(report).await.map_err(|_| "shutting down".to_owned())
    }

    fn on_notice(&self, json: &[u8]) {
        if let Ok(Notice::Lost { messages, .. }) = Notice::from_json(json) {
            self.node.lost.fetch_add(messages, Ordering::Relaxed);
            warn!(node = self.node.address(), messages, "read too slowly: the node gave some up");
        }
    }
}

/// Returns the next response of a stream that another has taken the place of; none when there are no
/// more, or its time is over.
async fn rest_of(previous: &mut Option<(Stream, Instant)>) -> Option<Response> {
    match previous {
        Some((stream, until)) => {
            let response = tokio::time::timeout_at(*until, stream.responses.message()).await;
            response.ok()?.ok()?
        }
        None => std::future::pending().await,
    }
}

/// Reads messages. Most are of the topic of the one before.
struct Reader {
    last_topic: Topic,
}

impl Reader {
    fn heard(&mut self, node: broker::NodeId, json: &Bytes) -> Option<Report> {
        let head = DeliveryHead::from_json(json).ok()?;
        if *self.last_topic != *head.topic {
            self.last_topic = Topic::from(&*head.topic);
        }
        let (message, payload_bytes) = (MessageId(head.message_id), head.payload_bytes);
        let json = payload_bytes.is_some().then(|| json.clone());
        Some(Report::Heard { node, message, topic: self.last_topic.clone(), json, payload_bytes })
    }
}

/// Returns what a status says, for a log.
pub(super) fn text(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
