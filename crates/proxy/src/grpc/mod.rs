//! The gRPC face: the same requests and deliveries as REST and WebSocket.

mod stream;

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use api::{
    proxy::{
        self as proto, ExposeNodesRequest, ExposeNodesResponse, ProxyMessage, PublishRequest,
        PublishResponse, SessionRequest, SessionResponse, SubscribeRequest, SubscribeResponse,
        proxy_stream_server::{ProxyStream, ProxyStreamServer},
        session_service_server::{SessionService, SessionServiceServer},
    },
    rest::{BodyError, Content, TOPIC_BYTES_MAX},
};
use futures::Stream;
use service::{
    grpc_meter::{GrpcMeter, MeteredService},
    listener::Listener,
};
use tokio_util::sync::CancellationToken;
use tonic::{Extensions, Request, Response, Status, Streaming, transport::Server};

use stream::{Shown, WithStream};

use crate::{
    error::{MESSAGE_BYTES_MAX, RequestError},
    http::SocketCounters,
    proxy::{Identity, Proxy, Publish, share},
    sessions::Wish,
};

/// What a client may send of one stream before it is read, and streams of one connection.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const STREAMS_PER_CONNECTION_MAX: u32 = 256;

/// How often a quiet client is asked whether it is still there, and how long it may take.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a call may take until its answer begins, the request included.
const REQUEST_MAX: Duration = Duration::from_secs(35);

/// Most topics of one request.
const TOPICS_MAX: usize = 256;

/// A request longer than the longest message and its names is refused before it is read.
const REQUEST_BYTES_MAX: usize = MESSAGE_BYTES_MAX as usize + (64 << 10);

/// The services.
#[derive(Clone, Debug)]
pub(crate) struct Face {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) streams: Arc<SocketCounters>,
    pub(crate) meter: Arc<GrpcMeter>,
    pub(crate) stop: CancellationToken,
}

impl Face {
    /// Serves until it is stopped.
    ///
    /// # Errors
    ///
    /// Returns an error if the server fails.
    pub(crate) async fn serve(self, listener: Listener) -> anyhow::Result<()> {
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<ProxyStreamServer<Self>>().await;
        health.set_serving::<SessionServiceServer<Self>>().await;
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let (meter, stop) = (Arc::clone(&self.meter), self.stop.clone());
        let others =
            ProxyStreamServer::new(self.clone()).max_decoding_message_size(REQUEST_BYTES_MAX);
        let streams = WithStream { face: self.clone(), others };
        let sessions = SessionServiceServer::new(self).max_decoding_message_size(1 << 20);
        Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .timeout(REQUEST_MAX)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(MeteredService::new(streams, Arc::clone(&meter)))
            .add_service(MeteredService::new(sessions, meter))
            .add_service(health_service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?)
            .serve_with_incoming_shutdown(
                listener.with_http2_only().into_stream(),
                stop.cancelled_owned(),
            )
            .await?;
        Ok(())
    }

    async fn subscribe_all(
        &self,
        extensions: &Extensions,
        wanted: &SubscribeRequest,
    ) -> Result<SubscribeResponse, RequestError> {
        let client = client(extensions, &wanted.client_id)?;
        let first = Some(&wanted.topic).filter(|topic| !topic.is_empty());
        let topics: Vec<_> = first.into_iter().chain(&wanted.topics).collect();
        if topics.len() > TOPICS_MAX {
            let count = topics.len();
            return Err(RequestError::Query(format!("{count} topics, at most {TOPICS_MAX}")));
        }
        for topic in &topics {
            check_topic(topic)?;
        }
        let topic = String::clone(topics.first().ok_or(BodyError::NoTopic)?);
        let threshold = share(wanted.threshold);
        if !(0.0..=1.0).contains(&threshold) {
            return Err(BodyError::Threshold(threshold).into());
        }
        let threshold = Some(threshold).filter(|threshold| *threshold > 0.0);
        for topic in topics {
            self.proxy.subscribe(&client, topic, threshold).await?;
        }
        let client_id = client.id.to_string();
        Ok(SubscribeResponse { status: "subscribed".to_owned(), topic, client_id })
    }

    async fn publish_one(
        &self,
        extensions: &Extensions,
        asked: PublishRequest,
    ) -> Result<PublishResponse, RequestError> {
        let PublishRequest { client_id, topic, message } = asked;
        let client = client(extensions, &client_id)?;
        check_topic(&topic)?;
        if message.is_empty() {
            return Err(BodyError::NoMessage.into());
        }
        let content = Content::Message(message);
        let publish = Publish { topic: topic.clone(), content, timestamp: None };
        let published = self.proxy.publish(&client, publish).await?;
        Ok(PublishResponse {
            // Clients know no other word for success, also when it was published before.
            status: "published".to_owned(),
            topic,
            client_id: client.id.to_string(),
            message_id: hex::encode(published.id),
        })
    }
}

/// Returns who calls, by the token that was verified before the call came here, or by name.
fn client(extensions: &Extensions, named: &str) -> Result<Identity, RequestError> {
    Identity::new(extensions.get().and_then(|Shown(token)| token.clone()), named)
}

fn check_topic(topic: &str) -> Result<(), BodyError> {
    match topic.len() {
        0 => Err(BodyError::NoTopic),
        1..=TOPIC_BYTES_MAX => Ok(()),
        bytes => Err(BodyError::TopicTooLong { bytes }),
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<ProxyMessage, Status>> + Send>>;

#[tonic::async_trait]
impl ProxyStream for Face {
    type ClientStreamStream = Messages;

    /// Not called: [`WithStream`] stands before it.
    async fn client_stream(
        &self,
        _request: Request<Streaming<ProxyMessage>>,
    ) -> Result<Response<Messages>, Status> {
        Err(Status::unimplemented(stream::PATH))
    }

    async fn publish(
        &self,
        request: Request<PublishRequest>,
    ) -> Result<Response<PublishResponse>, Status> {
        let (_, extensions, asked) = request.into_parts();
        let published = self.publish_one(&extensions, asked).await;
        published.map(Response::new).map_err(|error| error.status())
    }

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<SubscribeResponse>, Status> {
        let (_, extensions, wanted) = request.into_parts();
        let subscribed = self.subscribe_all(&extensions, &wanted).await;
        subscribed.map(Response::new).map_err(|error| error.status())
    }

    async fn expose_nodes(
        &self,
        request: Request<ExposeNodesRequest>,
    ) -> Result<Response<ExposeNodesResponse>, Status> {
        let (_, extensions, asked) = request.into_parts();
        let client = client(&extensions, &asked.client_id);
        client.map_err(|error| error.status())?;
        let mut nodes = self.proxy.upstream.ranked();
        if asked.expose_amount > 0 {
            nodes.truncate(asked.expose_amount as usize);
        }
        let p2p = nodes.iter().map(|node| node.state().health.unwrap_or_default().p2p_address);
        Ok(Response::new(ExposeNodesResponse {
            nodes_opt_p2p: p2p.collect(),
            nodes: nodes.iter().map(|node| node.advertised().to_owned()).collect(),
        }))
    }
}

#[tonic::async_trait]
impl SessionService for Face {
    async fn create_session(
        &self,
        request: Request<SessionRequest>,
    ) -> Result<Response<SessionResponse>, Status> {
        let (_, extensions, asked) = request.into_parts();
        let session = async {
            let client = client(&extensions, &asked.client_id)?;
            let wish = Wish {
                client_id: asked.client_id,
                topics: asked.topics,
                capabilities: asked.capabilities,
                expose_amount: asked.expose_amount,
                region_hint: asked.region_hint,
            };
            let upstream = &self.proxy.upstream;
            self.proxy.sessions.create(upstream, &client.id, &wish, SystemTime::now())
        };
        let session = session.await.map_err(|error| error.status())?;
        let nodes = session.nodes.into_iter().map(|node| proto::SessionNode {
            id: node.id,
            address: node.address,
            transport: node.transport.to_owned(),
            region: node.region,
            ticket: node.ticket,
            score: node.score as f32,
        });
        Ok(Response::new(SessionResponse {
            session_id: session.id,
            nodes: nodes.collect(),
            expires_at: session.expires_at,
            refresh_after: session.refresh_after,
            error: String::new(),
        }))
    }
}
