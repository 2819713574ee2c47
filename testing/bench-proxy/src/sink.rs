//! A node's sidecar without a node: it takes what is published and answers at once, and delivers
//! what the benchmark gives it.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use anyhow::Result;
use api::{
    StreamOptions,
    command::Command,
    sidecar::{
        FetchRequest, FetchResponse, HealthResponse, Request, Response, ResponseType, TopicList,
        Void,
        command_stream_server::{CommandStream, CommandStreamServer},
    },
    trace::{TraceEvent, trace_event},
};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::{
    StreamExt as _,
    wrappers::{TcpListenerStream, UnboundedReceiverStream},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, Streaming, transport::Server};

use crate::{
    TOPIC,
    message::{Deliveries, NODE},
};

/// As the node's: what it takes of one stream and of one connection before it is read.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;

/// The peer id of the trace events, binary: an Ed25519 key of zeros.
const PEER_HEAD: [u8; 6] = [0, 36, 8, 1, 18, 32];

type Responses = mpsc::UnboundedSender<Result<Response, Status>>;

/// A running sidecar; it ends with this.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    _task: AbortOnDropHandle<Result<(), tonic::transport::Error>>,
}

/// What all streams share.
#[derive(Debug, Default)]
struct State {
    topics: Mutex<BTreeSet<String>>,
    streams: Mutex<Vec<OpenStream>>,
}

/// A stream that is sent deliveries.
#[derive(Debug)]
struct OpenStream {
    has_payloads: bool,
    /// The stream keeps itself open by the end that reads commands, which holds the sender.
    responses: mpsc::WeakUnboundedSender<Result<Response, Status>>,
}

impl Sink {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::<State>::default();
        let service = CommandStreamServer::new(Service(Arc::clone(&state)))
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        let server = Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener).map(|accepted| {
                // The server's own setting is for sockets that it accepts itself.
                accepted.and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            }));
        let task = AbortOnDropHandle::new(tokio::spawn(server));
        Ok(Self { address, state, _task: task })
    }

    /// Delivers the next messages on every stream that wants the topic.
    pub(crate) fn deliver(&self, deliveries: &mut Deliveries, count: u64) -> Result<()> {
        let mut streams = self.state.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|stream| stream.responses.strong_count() > 0);
        for _ in 0..count {
            let stamp = deliveries.next();
            let mut made = [None, None];
            for stream in streams.iter() {
                let Some(responses) = stream.responses.upgrade() else { continue };
                let place = &mut made[usize::from(stream.has_payloads)];
                let json = match place {
                    Some(json) => json,
                    None => place.insert(deliveries.json(stamp, stream.has_payloads)?),
                };
                send(&responses, ResponseType::Message, json.clone());
            }
        }
        Ok(())
    }

    /// Returns whether a stream is there that payloads would come on.
    pub(crate) fn has_reader(&self) -> bool {
        let streams = self.state.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.iter().any(|stream| stream.has_payloads && stream.responses.strong_count() > 0)
    }
}

fn send(responses: &Responses, kind: ResponseType, data: bytes::Bytes) {
    let response = Response { command: kind.into(), data, ..Response::default() };
    // The client went; what it was to be told no longer matters.
    drop(responses.send(Ok(response)));
}

#[derive(Debug)]
struct Service(Arc<State>);

#[tonic::async_trait]
impl CommandStream for Service {
    type ListenCommandsStream = UnboundedReceiverStream<Result<Response, Status>>;

    async fn listen_commands(
        &self,
        request: tonic::Request<Streaming<Request>>,
    ) -> Result<tonic::Response<Self::ListenCommandsStream>, Status> {
        let options = StreamOptions::from_metadata(request.metadata())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let (responses, queue) = mpsc::unbounded_channel();
        if options.topics.is_none_or(|topics| topics.contains(TOPIC)) {
            let stream =
                OpenStream { has_payloads: options.payloads, responses: responses.downgrade() };
            let mut streams = self.0.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.push(stream);
        }
        let state = Arc::clone(&self.0);
        let mut requests = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                if let Ok(command) = Command::try_from(request) {
                    state.execute(command, &responses);
                }
            }
            // A client that sends no more may still read.
            responses.closed().await;
        });
        Ok(tonic::Response::new(UnboundedReceiverStream::new(queue)))
    }

    async fn health(
        &self,
        _request: tonic::Request<Void>,
    ) -> Result<tonic::Response<HealthResponse>, Status> {
        Ok(tonic::Response::new(HealthResponse {
            status: true,
            node_mode: "optimum".to_owned(),
            p2p_address: format!("/ip4/127.0.0.1/tcp/7070/p2p/{NODE}"),
            country: "unknown".to_owned(),
            country_iso: "unknown".to_owned(),
            ..HealthResponse::default()
        }))
    }

    async fn list_topics(
        &self,
        _request: tonic::Request<Void>,
    ) -> Result<tonic::Response<TopicList>, Status> {
        let topics = self.0.topics.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(tonic::Response::new(TopicList { topics: topics.iter().cloned().collect() }))
    }

    async fn fetch(
        &self,
        _request: tonic::Request<FetchRequest>,
    ) -> Result<tonic::Response<FetchResponse>, Status> {
        // Every payload was sent on the stream.
        Err(Status::not_found("nothing is kept"))
    }
}

impl State {
    fn execute(&self, command: Command, responses: &Responses) {
        match command {
            Command::Publish(topic, payload) => {
                send(responses, ResponseType::MessageTraceMumP2p, published(topic, &payload));
            }
            Command::Subscribe(topics) => {
                self.topics.lock().unwrap_or_else(PoisonError::into_inner).extend(topics);
            }
            Command::Unsubscribe(topic) => {
                self.topics.lock().unwrap_or_else(PoisonError::into_inner).remove(&topic);
            }
        }
    }
}

/// Returns what a node says of a message that it published.
fn published(topic: String, payload: &[u8]) -> bytes::Bytes {
    let id = hex::encode(Sha256::digest(payload));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut peer = PEER_HEAD.to_vec();
    peer.resize(PEER_HEAD.len() + 32, 0);
    TraceEvent {
        r#type: Some(trace_event::Type::PublishMessage.into()),
        peer_id: Some(peer.into()),
        timestamp: Some(now.unwrap_or(Duration::ZERO).as_nanos() as i64),
        publish_message: Some(trace_event::PublishMessage {
            message_id: Some(id.into()),
            topic: Some(topic),
        }),
        ..TraceEvent::default()
    }
    .encode_to_vec()
    .into()
}

#[cfg(test)]
mod tests {
    use api::sidecar;
    use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::TcpStream};

    use super::*;
    use crate::{
        faces::{Decode as _, GrpcMessages},
        message::{Clock, Form},
        tally::Tally,
        wire::http2,
    };

    /// Opens a stream of commands with a first one, by the client that the benchmark has.
    async fn opened(sink: &Sink, first: Request) -> TcpStream {
        let mut stream = TcpStream::connect(sink.address).await.expect("it listens");
        let mut begin = http2::hello();
        let path = "/proto.CommandStream/ListenCommands";
        http2::write_call(1, path, &first.encode_to_vec(), false, &mut begin);
        stream.write_all(&begin).await.expect("sent");
        stream
    }

    #[tokio::test]
    async fn what_the_sidecar_delivers_a_subscriber_counts() {
        const MESSAGES: u64 = 3000;
        let sink = Sink::start().await.expect("a free port");
        let command = sidecar::Command::Subscribe as i32;
        let subscribe = Request { command, topic: "bench".to_owned(), ..Request::default() };
        let mut stream = opened(&sink, subscribe).await;
        let (clock, mut answers) = (Clock::start(), Vec::new());
        let mut tally = Tally::new(Form::Json, clock, false);
        let mut decoder = GrpcMessages(http2::Frames::new());
        let mut buffer = vec![0; 10_000];
        let mut deliveries = Deliveries::new(clock, 10_240).expect("sound");
        let mut is_delivered = false;
        while tally.count < MESSAGES {
            let bytes = stream.read(&mut buffer).await.expect("open");
            decoder.feed(&buffer[..bytes], &mut tally, &mut answers).expect("sound");
            stream.write_all(&answers).await.expect("open");
            answers.clear();
            if tally.is_ready && !is_delivered {
                is_delivered = true;
                assert!(sink.has_reader());
                sink.deliver(&mut deliveries, MESSAGES).expect("sound");
            }
        }
        assert_eq!(tally.count, MESSAGES);
    }

    #[tokio::test]
    async fn a_publish_is_answered_with_the_trace_of_a_node() {
        let sink = Sink::start().await.expect("a free port");
        let publish = Request {
            command: sidecar::Command::Publish as i32,
            topic: "bench".to_owned(),
            data: "abc".into(),
            ..Request::default()
        };
        let mut stream = opened(&sink, publish).await;
        let (mut frames, mut answer) = (http2::Frames::new(), Vec::new());
        let mut is_whole = false;
        let mut buffer = [0; 1000];
        while !is_whole {
            let bytes = stream.read(&mut buffer).await.expect("open");
            let take = |event: http2::Event<'_>| {
                if let http2::Event::Message(part) = event {
                    answer.extend_from_slice(part.body);
                    is_whole |= part.is_last;
                }
                Ok(())
            };
            frames.feed(&buffer[..bytes], &mut Vec::new(), take).expect("sound");
        }
        let answer = Response::decode(&answer[..]).expect("a response");
        assert_eq!(answer.command(), ResponseType::MessageTraceMumP2p);
        let event = TraceEvent::decode(answer.data).expect("an event");
        assert_eq!(event.r#type(), trace_event::Type::PublishMessage);
        let published = event.publish_message.expect("a publish");
        // SHA-256 of "abc" (FIPS 180-2), as digits.
        let id = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(published.message_id.as_deref(), Some(id.as_bytes()));
        assert_eq!(published.topic(), "bench");
    }
}
