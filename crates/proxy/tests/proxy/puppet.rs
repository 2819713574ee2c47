//! A node's sidecar that does what a test says.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
};

use api::{
    Delivery, Notice, StreamOptions,
    sidecar::{
        Command, FetchRequest, FetchResponse, HealthResponse, Request, Response, ResponseType,
        TopicList, Void,
        command_stream_server::{CommandStream, CommandStreamServer},
    },
    trace::{
        TraceEvent,
        trace_event::{PublishMessage, Type},
    },
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming, transport::Server};

/// What a puppet does with a message that is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnPublish {
    /// Confirms it.
    #[default]
    Confirm,
    /// Says nothing.
    Ignore,
    /// Refuses it as too long.
    Refuse,
}

#[derive(Default)]
struct State {
    on_publish: OnPublish,
    topics: BTreeSet<String>,
    commands: Vec<(i32, String)>,
    published: Vec<(String, Bytes)>,
    kept: Vec<(String, Bytes)>,
    fetched: usize,
    streams: Vec<(StreamOptions, mpsc::UnboundedSender<Result<Response, Status>>)>,
}

/// A node of a test.
#[derive(Clone)]
pub(crate) struct Puppet {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: CancellationToken,
}

/// Returns the id that nodes give a payload.
pub(crate) fn id_of(payload: &[u8]) -> String {
    hex::encode(Sha256::digest(payload))
}

impl Puppet {
    pub(crate) async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts one where another was before.
    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let puppet = Self { address, state: Arc::default(), stop: CancellationToken::new() };
        let service = CommandStreamServer::new(puppet.clone())
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        let stop = puppet.stop.clone();
        tokio::spawn(async move {
            let serving = Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener));
            tokio::select! {
                () = stop.cancelled() => {}
                served = serving => served.expect("serves"),
            }
        });
        puppet
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("sound")
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&self) {
        self.stop.cancel();
        for (_, stream) in self.state().streams.drain(..) {
            // Whoever is gone does not hear it.
            let _gone = stream.send(Err(Status::unavailable("killed")));
        }
    }

    pub(crate) fn on_publish(&self, on_publish: OnPublish) {
        self.state().on_publish = on_publish;
    }

    /// Subscribes a topic that no proxy asked for.
    pub(crate) fn add_topic(&self, topic: &str) {
        self.state().topics.insert(topic.to_owned());
    }

    pub(crate) fn topics(&self) -> BTreeSet<String> {
        self.state().topics.clone()
    }

    pub(crate) fn published(&self) -> Vec<(String, Bytes)> {
        self.state().published.clone()
    }

    /// How often a payload was asked for.
    pub(crate) fn fetched(&self) -> usize {
        self.state().fetched
    }

    /// Whether a stream is open that wants payloads of messages.
    pub(crate) fn is_source(&self) -> bool {
        let mut streams = self.state();
        streams.streams.retain(|(_, stream)| !stream.is_closed());
        streams.streams.iter().any(|(wants, _)| wants.payloads && wants.topics.is_none())
    }

    /// Keeps a message, so that it can be fetched.
    pub(crate) fn keep(&self, topic: &str, payload: &[u8]) {
        self.state().kept.push((topic.to_owned(), Bytes::copy_from_slice(payload)));
    }

    /// Tells every stream that wants to know of a message, with its payload where that is wanted.
    pub(crate) fn report(&self, topic: &str, payload: &[u8]) {
        self.keep(topic, payload);
        let delivery = Delivery {
            source_node_id: "12D3KooWSource".to_owned(),
            upstream_peer_id: "12D3KooWPuppet".to_owned(),
            topic: topic.to_owned(),
            message_id: id_of(payload),
            message: Bytes::copy_from_slice(payload),
        };
        let (whole, bare) = (delivery.to_json(), delivery.to_json_without_payload());
        for (wants, stream) in &self.state().streams {
            if wants.topics.as_ref().is_some_and(|topics| !topics.contains(topic)) {
                continue;
            }
            let data = if wants.payloads { whole.clone() } else { bare.clone() };
            let command = ResponseType::Message as i32;
            let _gone = stream.send(Ok(Response { command, data, ..Response::default() }));
        }
    }

    /// Sends something to the streams that want payloads.
    pub(crate) fn send(&self, kind: ResponseType, data: &[u8]) {
        for (wants, stream) in &self.state().streams {
            if wants.topics.is_none() && wants.payloads {
                let data = Bytes::copy_from_slice(data);
                let _gone =
                    stream.send(Ok(Response { command: kind as i32, data, ..Response::default() }));
            }
        }
    }

    fn obey(&self, request: Request, stream: &mpsc::UnboundedSender<Result<Response, Status>>) {
        let mut state = self.state();
        state.commands.push((request.command, request.topic.clone()));
        match Command::try_from(request.command).expect("a command") {
            Command::Subscribe => {
                state.topics.insert(request.topic);
            }
            Command::Unsubscribe => {
                state.topics.remove(&request.topic);
            }
            Command::Publish => {
                let answer = answer(state.on_publish, &request.data);
                state.published.push((request.topic, request.data));
                if let Some(answer) = answer {
                    let _gone = stream.send(Ok(answer));
                }
            }
            Command::SubscribeSeveral => panic!("no proxy does"),
        }
    }
}

fn answer(on_publish: OnPublish, payload: &[u8]) -> Option<Response> {
    let id = id_of(payload);
    let (command, data) = match on_publish {
        OnPublish::Ignore => return None,
        OnPublish::Confirm => {
            let published =
                PublishMessage { message_id: Some(id.into()), topic: Some("t".to_owned()) };
            let event = TraceEvent {
                r#type: Some(Type::PublishMessage as i32),
                publish_message: Some(published),
                ..TraceEvent::default()
            };
            (ResponseType::MessageTraceMumP2p, event.encode_to_vec().into())
        }
        OnPublish::Refuse => {
            let [error, reason] = ["the message is too long", "too_large"].map(str::to_owned);
            let refused = Notice::Refused { error, message_id: id, reason };
            (ResponseType::Unknown, refused.to_json())
        }
    };
    Some(Response { command: command as i32, data, ..Response::default() })
}

#[tonic::async_trait]
impl CommandStream for Puppet {
    type ListenCommandsStream = Pin<Box<dyn Stream<Item = Result<Response, Status>> + Send>>;

    async fn listen_commands(
        &self,
        request: tonic::Request<Streaming<Request>>,
    ) -> Result<tonic::Response<Self::ListenCommandsStream>, Status> {
        let wants = StreamOptions::from_metadata(request.metadata()).expect("sound options");
        let (stream, responses) = mpsc::unbounded_channel();
        self.state().streams.push((wants, stream.clone()));
        let puppet = self.clone();
        let mut requests = request.into_inner();
        tokio::spawn(async move {
            while let Some(Ok(request)) = requests.next().await {
                puppet.obey(request, &stream);
            }
        });
        Ok(tonic::Response::new(Box::pin(UnboundedReceiverStream::new(responses))))
    }

    async fn health(
        &self,
        _request: tonic::Request<Void>,
    ) -> Result<tonic::Response<HealthResponse>, Status> {
        Ok(tonic::Response::new(HealthResponse {
            status: true,
            node_mode: "optimum".to_owned(),
            p2p_address: format!("/ip4/127.0.0.1/tcp/1/p2p/{}", self.address.port()),
            country: "Iceland".to_owned(),
            country_iso: "IS".to_owned(),
            ..HealthResponse::default()
        }))
    }

    async fn list_topics(
        &self,
        _request: tonic::Request<Void>,
    ) -> Result<tonic::Response<TopicList>, Status> {
        Ok(tonic::Response::new(TopicList { topics: self.topics().into_iter().collect() }))
    }

    async fn fetch(
        &self,
        request: tonic::Request<FetchRequest>,
    ) -> Result<tonic::Response<FetchResponse>, Status> {
        let message_id = request.into_inner().message_id;
        let mut state = self.state();
        state.fetched += 1;
        let kept = state.kept.iter().find(|(_, payload)| id_of(payload) == message_id);
        let (topic, payload) = kept.cloned().ok_or_else(|| Status::not_found("not kept"))?;
        let source_node_id = "12D3KooWSource".to_owned();
        Ok(tonic::Response::new(FetchResponse { payload, topic, message_id, source_node_id }))
    }
}
