//! The gRPC API of a proxy.

use api::{
    Delivery, DeliveryHead,
    proxy::{ProxyMessage, proxy_stream_client::ProxyStreamClient},
};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

use crate::client::{ConnectError, Server, connect, opened, status_text};

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
    Message {
        /// Its topic.
        topic: String,
        /// Its payload.
        payload: Bytes,
    },
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
        let mut client = ProxyStreamClient::new(channel).max_decoding_message_size(usize::MAX);
        let (requests, sent) = mpsc::channel(1);
        let client_id = client_id.to_owned();
        // There is room for one, and nobody else sends.
        let _first = requests.try_send(ProxyMessage { client_id, ..ProxyMessage::default() });
        let call = client.client_stream(ReceiverStream::new(sent));
        let responses = opened(address, Server::Proxy, call).await?;
        Ok(Self { responses, _requests: requests })
    }

    /// Returns what comes next; none when the proxy closed the stream.
    ///
    /// # Errors
    ///
    /// Returns what is known of it when the stream breaks.
    pub async fn next(&mut self) -> Result<Option<Delivered>, String> {
        let next = self.responses.message().await;
        Ok(next.map_err(|status| status_text(&status))?.map(Delivered::from))
    }
}

#[derive(Deserialize)]
struct LostFrame {
    lost: Lost,
}

#[derive(Deserialize)]
struct Lost {
    messages: u64,
}

impl From<ProxyMessage> for Delivered {
    /// Unwraps a delivery. What is not wrapped is the payload itself: proxies before the JSON sent it
    /// bare.
    fn from(message: ProxyMessage) -> Self {
        let ProxyMessage { topic, message, r#type, .. } = message;
        if r#type == "lost"
            && let Ok(LostFrame { lost }) = serde_json::from_slice(&message)
        {
            return Self::Lost(lost.messages);
        }
        let is_wrapped =
            DeliveryHead::from_json(&message).is_ok_and(|head| head.payload_bytes.is_some());
        let delivery = is_wrapped.then(|| Delivery::from_json(&message)).and_then(Result::ok);
        let payload = delivery.map_or(message, |delivery| delivery.message);
        Self::Message { topic, payload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(message: impl Into<Bytes>, kind: &str) -> Delivered {
        let (topic, r#type) = ("t".to_owned(), kind.to_owned());
        ProxyMessage { topic, message: message.into(), r#type, ..ProxyMessage::default() }.into()
    }

    fn payload(payload: &'static [u8]) -> Delivered {
        Delivered::Message { topic: "t".to_owned(), payload: payload.into() }
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
        assert_eq!(frame(delivery.to_json(), "message"), payload(b"\xffpayload"));
        assert_eq!(frame(delivery.to_json(), ""), payload(b"\xffpayload"));
        for bare in [&b"hello"[..], b"\xff", b"", b"{}", br#"{"message":"aGk="}"#] {
            assert_eq!(frame(bare, "message"), payload(bare));
        }
    }

    #[test]
    fn a_frame_of_losses_tells_how_many() {
        assert_eq!(frame(r#"{"lost":{"messages":3}}"#, "lost"), Delivered::Lost(3));
        assert_eq!(frame("lost", "lost"), payload(b"lost"));
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
