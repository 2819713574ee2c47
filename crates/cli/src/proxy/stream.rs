//! The gRPC API of a proxy.

use std::time::Duration;

use api::{
    Delivery,
    proxy::{
        ProxyMessage, PublishRequest, PublishResponse, SubscribeRequest, SubscribeResponse,
        proxy_stream_client::ProxyStreamClient,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming, metadata::AsciiMetadataValue, transport::Channel};

use crate::client::{ConnectError, Server, connect, opened};

/// A connection to the gRPC API of a proxy.
#[derive(Clone, Debug)]
pub struct ProxyStream {
    client: ProxyStreamClient<Channel>,
    authorization: Option<AsciiMetadataValue>,
}

impl ProxyStream {
    /// Speaks through a channel; every call shows `authorization`, if there is one.
    pub fn new(channel: Channel, authorization: Option<AsciiMetadataValue>) -> Self {
        let client = ProxyStreamClient::new(channel)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        Self { client, authorization }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(value) = &self.authorization {
            request.metadata_mut().insert("authorization", value.clone());
        }
        request
    }

    /// Publishes any bytes, within a time.
    ///
    /// # Errors
    ///
    /// Returns the status of a proxy that does not answer well.
    pub async fn publish(
        &mut self,
        message: PublishRequest,
        limit: Duration,
    ) -> Result<PublishResponse, Status> {
        let mut request = self.request(message);
        request.set_timeout(limit);
        Ok(self.client.publish(request).await?.into_inner())
    }

    /// Subscribes a topic, within a time.
    ///
    /// # Errors
    ///
    /// Returns the status of a proxy that does not answer well.
    pub async fn subscribe(
        &mut self,
        wanted: SubscribeRequest,
        limit: Duration,
    ) -> Result<SubscribeResponse, Status> {
        let mut request = self.request(wanted);
        request.set_timeout(limit);
        Ok(self.client.subscribe(request).await?.into_inner())
    }

    /// Opens the stream of what a client subscribed. A server that is no proxy may never answer.
    ///
    /// # Errors
    ///
    /// Returns the status of a proxy that refuses.
    pub async fn deliveries(&mut self, client_id: &str) -> Result<Deliveries, Status> {
        let (requests, sent) = mpsc::channel(1);
        let first = ProxyMessage {
            client_id: client_id.to_owned(),
            r#type: "subscribe".to_owned(),
            ..ProxyMessage::default()
        };
        // There is room for one, and nobody else sends.
        let _first = requests.try_send(first);
        let request = self.request(ReceiverStream::new(sent));
        let responses = self.client.client_stream(request).await?.into_inner();
        Ok(Deliveries { responses, _requests: requests })
    }
}

/// The stream of what a client subscribed.
#[derive(Debug)]
pub struct Deliveries {
    responses: Streaming<ProxyMessage>,
    /// The stream lives as long as this does.
    _requests: mpsc::Sender<ProxyMessage>,
}

/// What comes on the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// A message.
    Message(Delivery),
    /// So many messages were given up because this client reads too slowly.
    Lost(u64),
}

impl Deliveries {
    /// Opens the stream of `client_id` at a proxy's gRPC API, `host:port`.
    ///
    /// # Errors
    ///
    /// Returns [`ConnectError`] if nobody answers there or the proxy refuses.
    pub async fn open(address: &str, client_id: &str) -> Result<Self, ConnectError> {
        Self::open_on(connect(address, Server::Proxy).await?, address, client_id).await
    }

    async fn open_on(
        channel: Channel,
        address: &str,
        client_id: &str,
    ) -> Result<Self, ConnectError> {
        let mut proxy = ProxyStream::new(channel, None);
        opened(address, Server::Proxy, proxy.deliveries(client_id)).await
    }

    /// Returns what comes next; none when the proxy closed the stream.
    ///
    /// # Errors
    ///
    /// Returns why the stream broke.
    pub async fn next(&mut self) -> Result<Option<Delivered>, Status> {
        Ok(self.responses.message().await?.map(Delivered::from))
    }
}

impl From<ProxyMessage> for Delivered {
    fn from(message: ProxyMessage) -> Self {
        let ProxyMessage { topic, message, r#type, .. } = message;
        if r#type == "lost"
            && let Some(messages) = api::lost_messages(&message)
        {
            return Self::Lost(messages);
        }
        let mut delivery = Delivery::of_frame(message);
        if delivery.topic.is_empty() {
            delivery.topic = topic;
        }
        Self::Message(delivery)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn frame(message: impl Into<Bytes>, kind: &str) -> Delivered {
        let (topic, r#type) = ("t".to_owned(), kind.to_owned());
        ProxyMessage { topic, message: message.into(), r#type, ..ProxyMessage::default() }.into()
    }

    fn bare(payload: &'static [u8]) -> Delivered {
        let topic = "t".to_owned();
        Delivered::Message(Delivery { topic, ..Delivery::of_frame(payload.into()) })
    }

    #[test]
    fn a_wrapped_payload_is_unwrapped_and_anything_else_is_the_payload() {
        let delivery = Delivery {
            source_node_id: String::new(),
            upstream_peer_id: String::new(),
            topic: "t".to_owned(),
            message_id: "00".repeat(32),
            message: Bytes::from_static(b"\xffpayload"),
        };
        assert_eq!(frame(delivery.to_json(), "message"), Delivered::Message(delivery.clone()));
        assert_eq!(frame(delivery.to_json(), ""), Delivered::Message(delivery.clone()));
        for payload in [&b"hello"[..], b"\xff", b"", b"{}", br#"{"message":"aGk="}"#] {
            assert_eq!(frame(payload, "message"), bare(payload));
        }
    }

    #[test]
    fn a_frame_of_losses_tells_how_many() {
        assert_eq!(frame(r#"{"lost":{"messages":3}}"#, "lost"), Delivered::Lost(3));
        assert_eq!(frame("lost", "lost"), bare(b"lost"));
    }

    /// Paused time runs on by itself where nothing else can happen.
    #[tokio::test]
    async fn a_port_that_takes_connections_and_never_answers_is_no_proxy() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = silent.local_addr().expect("bound").to_string();
        let channel = connect(&address, Server::Proxy).await.expect("the port is open");
        tokio::time::pause();
        let opened = Deliveries::open_on(channel, &address, "me").await;
        let error = opened.expect_err("nobody answers").to_string();
        let expected = format!("{address}: no answer for 10 s; check that a proxy runs there");
        assert!(error.starts_with(&expected), "{error}");
    }
}
