//! The sidecar: gRPC over HTTP/2.

mod commands;

use std::{pin::Pin, sync::Arc, time::Duration};

use api::{
    StreamOptions,
    sidecar::{
        FetchRequest, FetchResponse, HealthResponse, Request, Response, ResponseType, TopicList,
        Void,
        command_stream_server::{CommandStream, CommandStreamServer},
    },
};
use commands::Refusal;
use futures::{Stream, StreamExt as _};
use gossip::MessageId;
use libp2p::PeerId;
use service::{
    grpc_meter::{GrpcMeter, MeteredService},
    listener::Listener,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Status, Streaming, transport::Server};

use crate::{
    handle::{Closed, Handle},
    health::Health,
    hub::{Hub, Item, Reader},
    recent::Recent,
    tickets::{Accepted, Tickets},
};

/// What a client may send of one stream before it is read. All streams of a connection together
/// must fit into the connection's window, or one that waits would make the others wait.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const STREAMS_PER_CONNECTION_MAX: u32 = 128;
const CONNECTION_WINDOW_BYTES: u32 = STREAM_WINDOW_BYTES * STREAMS_PER_CONNECTION_MAX;

/// How often a quiet client is asked whether it is still there, and how long it may take.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// A request that is longer ends its stream; between the longest message and this the stream
/// lives, and the message is refused. A proxy takes messages of 64 MiB, and what is around them must
/// not end the stream that it shares among its clients.
const REQUEST_BYTES_MIN: usize = (64 << 20) + (64 << 10);

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct Sidecar {
    pub(crate) own: PeerId,
    pub(crate) handle: Handle,
    pub(crate) hub: Arc<Hub>,
    pub(crate) health: Arc<Health>,
    pub(crate) recent: Arc<Recent>,
    pub(crate) tickets: Option<Arc<Tickets>>,
    /// What trace events are called: their schema depends on the mode.
    pub(crate) traces: ResponseType,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) meter: Arc<GrpcMeter>,
}

impl Sidecar {
    /// Serves until it is stopped.
    ///
    /// # Errors
    ///
    /// Returns an error if the server fails.
    pub(crate) async fn serve(
        self,
        listener: Listener,
        message_bytes_max: u64,
    ) -> Result<(), tonic::transport::Error> {
        let longest = usize::try_from(message_bytes_max.saturating_mul(4)).unwrap_or(usize::MAX);
        let stop = self.stop.clone();
        let meter = Arc::clone(&self.meter);
        let service = CommandStreamServer::new(self)
            .max_decoding_message_size(longest.max(REQUEST_BYTES_MIN))
            .max_encoding_message_size(usize::MAX);
        Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(MeteredService::new(service, meter))
            .serve_with_incoming_shutdown(
                listener.with_http2_only().into_stream(),
                stop.cancelled_owned(),
            )
            .await
    }
}

#[tonic::async_trait]
impl CommandStream for Sidecar {
    type ListenCommandsStream = Pin<Box<dyn Stream<Item = Result<Response, Status>> + Send>>;

    async fn listen_commands(
        &self,
        request: tonic::Request<Streaming<Request>>,
    ) -> Result<tonic::Response<Self::ListenCommandsStream>, Status> {
        if self.stop.is_cancelled() {
            return Err(Status::unavailable(Closed.to_string()));
        }
        let options = StreamOptions::from_metadata(request.metadata())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let holder = options.holder.clone();
        let Some(reader) = self.hub.open(options) else {
            return Err(Status::resource_exhausted("too many streams are open on this node"));
        };
        let refusal = Refusal::default();
        let commands = commands::Commands {
            stream: reader.id(),
            handle: self.handle.clone(),
            hub: Arc::clone(&self.hub),
            stop: self.stop.clone(),
            holder,
            tickets: self.tickets.clone(),
            accepted: Accepted::default(),
            refusal: Arc::clone(&refusal),
        };
        // A task of its own, so that what was sent is published even when the client is gone.
        self.tasks.spawn(commands.run(request.into_inner()));
        Ok(tonic::Response::new(Box::pin(responses(reader, self.traces, refusal))))
    }

    async fn health(
        &self,
        _request: tonic::Request<Void>,
    ) -> Result<tonic::Response<HealthResponse>, Status> {
        Ok(tonic::Response::new(self.health.grpc()))
    }

    async fn list_topics(
        &self,
        _request: tonic::Request<Void>,
    ) -> Result<tonic::Response<TopicList>, Status> {
        let status = self.handle.status().await;
        let status = status.map_err(|closed| Status::unavailable(closed.to_string()))?;
        Ok(tonic::Response::new(TopicList { topics: status.topics }))
    }

    async fn fetch(
        &self,
        request: tonic::Request<FetchRequest>,
    ) -> Result<tonic::Response<FetchResponse>, Status> {
        let message_id = request.into_inner().message_id;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&message_id, &mut bytes)
            .map_err(|_| Status::invalid_argument("a message id is 64 hexadecimal digits"))?;
        let kept = self.recent.get(MessageId(bytes)).ok_or_else(|| {
            Status::not_found(format!("message {message_id} is not kept by this node, or no more"))
        })?;
        Ok(tonic::Response::new(FetchResponse {
            payload: kept.payload,
            topic: kept.topic.as_str().to_owned(),
            message_id: MessageId(bytes).to_string(),
            source_node_id: kept.received_from.unwrap_or(self.own).to_base58(),
        }))
    }
}

/// What is queued, and at the end why the stream ended if its client is to know.
fn responses(
    reader: Reader,
    traces: ResponseType,
    refusal: Refusal,
) -> impl Stream<Item = Result<Response, Status>> + Send {
    let end = futures::stream::once(async move { refusal.get().cloned() });
    let refused = end.filter_map(|why| async { why.map(Err) });
    reader.map(move |item| Ok(response(item, traces))).chain(refused)
}

fn response(item: Item, traces: ResponseType) -> Response {
    let (command, data) = match item {
        Item::Message(data) => (ResponseType::Message, data),
        Item::Trace(data) => (traces, data),
        Item::Notice(data) => (ResponseType::Unknown, data),
    };
    Response { command: command.into(), data, ..Response::default() }
}
