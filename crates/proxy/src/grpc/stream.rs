//! `ClientStream`: deliveries over gRPC. What is the same for all clients is encoded once.
//!
//! The generated service takes whole `ProxyMessage`s and would encode each delivery for each client;
//! this stands before it and answers the one method with an encoder of its own.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use api::proxy::ProxyMessage;
use bytes::{BufMut as _, Bytes};
use futures::{Stream, StreamExt as _};
use http_body::{Body as HttpBody, Frame};
use prost::Message as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::{Service, http},
    server::{Grpc, NamedService, StreamingService},
};

use super::{Face, REQUEST_BYTES_MAX};
use crate::{budget::Budget, connection::Item, http::SocketCounters, proxy::Identity, until};

/// Where the method is.
pub(super) const PATH: &str = "/proto.ProxyStream/ClientStream";

/// How long a client may take to say who it is.
const FIRST_MESSAGE_MAX: Duration = Duration::from_secs(30);

/// A `ProxyMessage` in two parts: of the client, and shared. Fields of protobuf may follow each other
/// in any order.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    of_client: Bytes,
    shared: Bytes,
}

/// Writes what is encoded already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SharedEncoder;

impl Encoder for SharedEncoder {
    type Item = Encoded;
    type Error = Status;

    fn encode(&mut self, item: Encoded, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(item.of_client.len() + item.shared.len());
        buffer.put_slice(&item.of_client);
        buffer.put_slice(&item.shared);
        Ok(())
    }
}

/// Reads what clients send.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MessageDecoder;

impl Decoder for MessageDecoder {
    type Item = ProxyMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<ProxyMessage>, Status> {
        let message = ProxyMessage::decode(buffer);
        message.map(Some).map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct SharedCodec;

impl Codec for SharedCodec {
    type Encode = Encoded;
    type Decode = ProxyMessage;
    type Encoder = SharedEncoder;
    type Decoder = MessageDecoder;

    fn encoder(&mut self) -> SharedEncoder {
        SharedEncoder
    }

    fn decoder(&mut self) -> MessageDecoder {
        MessageDecoder
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<Encoded, Status>> + Send>>;

impl Face {
    /// Opens the stream of a client.
    async fn client_stream(
        self,
        request: Request<Streaming<ProxyMessage>>,
    ) -> Result<Response<Messages>, Status> {
        let (metadata, _, mut sent) = request.into_parts();
        let first = tokio::time::timeout(FIRST_MESSAGE_MAX, sent.message()).await;
        let first =
            first.map_err(|_| Status::deadline_exceeded("no message names the client"))??;
        let named = first.map(|message| message.client_id).unwrap_or_default();
        let shown = metadata.get("authorization").and_then(|value| value.to_str().ok());
        let client = self.proxy.token(shown).await.and_then(|token| Identity::new(token, &named));
        let client = client.map_err(|error| error.status())?;
        let inbox = self.proxy.connect(&client).await.map_err(|error| error.status())?;
        let open = Open::new(Arc::clone(&self.streams));
        let of_client =
            ProxyMessage { client_id: client.id.to_string(), ..ProxyMessage::default() };
        let of_client = Bytes::from(of_client.encode_to_vec());
        let expires = client.remaining().map(|remaining| Instant::now() + remaining);
        let messages = inbox.map(move |item| {
            let _counted = &open;
            Ok(Encoded { of_client: of_client.clone(), shared: encoded(&item) })
        });
        let streams = Arc::clone(&self.streams);
        let end = async move {
            tokio::select! {
                () = until(expires) => {
                    SocketCounters::count(&streams.expired);
                    Some(Status::unauthenticated("the token expired"))
                }
                // What a client sends later means nothing, but must be read for it to end.
                () = drained(sent) => None,
            }
        };
        Ok(Response::new(Box::pin(ended_by(messages, end))))
    }
}

/// Encodes what is the same for all clients, once.
fn encoded(item: &Item) -> Bytes {
    match item {
        Item::Message(delivery) => {
            let encode = || {
                let message = ProxyMessage {
                    message: delivery.json.clone().into(),
                    topic: delivery.topic.to_string(),
                    message_id: delivery.id.to_string(),
                    r#type: "message".to_owned(),
                    ..ProxyMessage::default()
                };
                message.encode_to_vec().into()
            };
            delivery.encoded.get_or_init(encode).clone()
        }
        Item::Lost(messages) => {
            let message = ProxyMessage {
                message: api::lost_messages_json(*messages).into(),
                r#type: "lost".to_owned(),
                ..ProxyMessage::default()
            };
            message.encode_to_vec().into()
        }
    }
}

/// Opens streams for [`Grpc`].
struct Opener(Face);

impl StreamingService<ProxyMessage> for Opener {
    type Response = Encoded;
    type ResponseStream = Messages;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Messages>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<ProxyMessage>>) -> Self::Future {
        Box::pin(self.0.clone().client_stream(request))
    }
}

/// The generated service with this method before it.
#[derive(Clone, Debug)]
pub(super) struct WithStream<S> {
    pub(super) face: Face,
    pub(super) others: S,
}

impl<S: NamedService> NamedService for WithStream<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for WithStream<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future =
        Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send + 'static>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.others.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != PATH {
            let others = self.others.clone();
            let ready = std::mem::replace(&mut self.others, others);
            return Box::pin(admit(self.face.clone(), ready, request));
        }
        let opener = Opener(self.face.clone());
        Box::pin(async move {
            let mut grpc = Grpc::new(SharedCodec)
                .max_decoding_message_size(REQUEST_BYTES_MAX)
                .max_encoding_message_size(usize::MAX);
            Ok(grpc.streaming(opener, request).await)
        })
    }
}

/// What a client's token says, for who answers its call; nothing with authentication off.
#[derive(Clone, Debug)]
pub(super) struct Shown(pub(super) Option<access::Client>);

/// Passes a call on whose client shows a token, if tokens are asked for: before its body is read.
async fn admit<S>(
    face: Face,
    mut service: S,
    mut request: http::Request<Body>,
) -> Result<http::Response<Body>, Infallible>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
{
    let shown = request.headers().get(http::header::AUTHORIZATION);
    let shown = shown.and_then(|value| value.to_str().ok());
    match face.proxy.token(shown).await {
        Ok(token) => drop(request.extensions_mut().insert(Shown(token))),
        Err(error) => return Ok(error.status().into_http()),
    }
    // Held until the answer is there.
    let room = Arc::new(Mutex::new(None));
    let budget = Arc::clone(&face.proxy.budget);
    let held = Arc::clone(&room);
    let request = request.map(|inner| Body::new(Counted { inner, budget, room: held }));
    let response = service.call(request).await;
    drop(room);
    response
}

/// A body that takes room as it comes.
struct Counted {
    inner: Body,
    budget: Arc<Budget>,
    room: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            match self.budget.take(data.len()) {
                Ok(more) => {
                    let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
                    match &mut *room {
                        Some(room) => room.merge(more),
                        None => *room = Some(more),
                    }
                }
                Err(error) => return Poll::Ready(Some(Err(error.status()))),
            }
        }
        polled
    }
}

/// Passes messages on until they end or `end` comes, and then why if that is to be told.
fn ended_by(
    messages: impl Stream<Item = Result<Encoded, Status>> + Send + Unpin + 'static,
    end: impl Future<Output = Option<Status>> + Send + 'static,
) -> impl Stream<Item = Result<Encoded, Status>> + Send {
    let state = Some((messages, Box::pin(end)));
    futures::stream::unfold(state, |state| async {
        let (mut messages, mut end) = state?;
        tokio::select! {
            // A token ends however much is on its way.
            biased;
            status = &mut end => status.map(|status| (Err(status), None)),
            message = messages.next() => Some((message?, Some((messages, end)))),
        }
    })
}

/// Reads what means nothing, until the connection fails. A client may send no more and listen on.
async fn drained(mut sent: Streaming<ProxyMessage>) {
    loop {
        match sent.message().await {
            Ok(Some(_)) => {}
            Ok(None) => std::future::pending().await,
            Err(_) => return,
        }
    }
}

/// Counts an open stream.
struct Open(Arc<SocketCounters>);

impl Open {
    fn new(streams: Arc<SocketCounters>) -> Self {
        SocketCounters::count(&streams.open);
        Self(streams)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use broker::MessageId;

    use super::*;
    use crate::connection::Delivery;

    #[test]
    fn the_two_parts_are_one_message_and_the_shared_one_is_made_once() {
        let json = Bytes::from_static(b"{\"message\":\"\"}");
        let delivery = Delivery::new(MessageId([7; 32]), "t".into(), json.clone());
        let delivery = Arc::new(delivery.expect("text"));
        let (first, second) =
            (encoded(&Item::Message(Arc::clone(&delivery))), encoded(&Item::Message(delivery)));
        assert_eq!(first.as_ptr(), second.as_ptr());
        let of_client = ProxyMessage { client_id: "c".to_owned(), ..ProxyMessage::default() };
        let whole = [of_client.encode_to_vec(), first.to_vec()].concat();
        let whole = ProxyMessage::decode(&whole[..]).expect("a message");
        assert_eq!((&*whole.client_id, &*whole.topic, &*whole.r#type), ("c", "t", "message"));
        assert_eq!((whole.message, whole.message_id), (json, "07".repeat(32)));
    }
}
