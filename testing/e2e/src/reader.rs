//! A client of a node's sidecar that keeps what it was sent.

use std::{future::Future, net::SocketAddr, time::Instant};

use api::{
    Delivery,
    sidecar::{Response, ResponseType},
    trace::TraceEvent,
};
use bytes::Bytes;
use cli::client::{Commands, Sidecar};
use prost::Message as _;
use tokio::time::timeout;

use crate::LIMIT;

/// An open stream.
#[derive(Debug)]
pub struct Reader {
    /// The stream.
    pub commands: Commands,
}

impl Reader {
    /// Opens a stream.
    pub async fn open(sidecar: SocketAddr) -> Self {
        let address = sidecar.to_string();
        let mut sidecar = Sidecar::connect(&address).await.expect("the sidecar answers");
        Self { commands: sidecar.listen().await.expect("a stream") }
    }

    /// Opens a stream and subscribes.
    pub async fn subscribed(sidecar: SocketAddr, topic: &str) -> Self {
        let reader = Self::open(sidecar).await;
        reader.commands.subscribe(topic).await.expect("the stream is open");
        reader
    }

    /// Publishes.
    pub async fn publish(&self, topic: &str, payload: &Bytes) {
        self.commands.publish(topic, payload.to_vec()).await.expect("the stream is open");
    }

    async fn response(&mut self) -> Response {
        let response = self.commands.responses.message().await;
        response.expect("no error").expect("an open stream")
    }

    async fn next_message(&mut self) -> Delivery {
        loop {
            let response = self.response().await;
            if response.command() == ResponseType::Message {
                return Delivery::from_json(&response.data).expect("a delivery");
            }
        }
    }

    /// Returns the next message.
    pub async fn message(&mut self) -> Delivery {
        in_time("a message", self.next_message()).await
    }

    /// Returns the payloads of the next `count` messages, sorted.
    pub async fn sorted_payloads(&mut self, count: usize) -> Vec<Bytes> {
        let mut payloads = Vec::with_capacity(count);
        while payloads.len() < count {
            let what = format!("message {} of {count}", payloads.len() + 1);
            payloads.push(in_time(&what, self.next_message()).await.message);
        }
        payloads.sort();
        payloads
    }

    /// Waits until a trace event is as wanted.
    pub async fn until_traced(&mut self, wanted: impl Fn(&TraceEvent) -> bool) -> TraceEvent {
        let traced = async {
            loop {
                let response = self.response().await;
                // Both schemas number what they share alike.
                if !is_trace(response.command()) {
                    continue;
                }
                let event = TraceEvent::decode(&response.data[..]).expect("a trace event");
                if wanted(&event) {
                    return event;
                }
            }
        };
        in_time("a trace event", traced).await
    }

    /// Waits until the node has grafted `count` peers.
    pub async fn until_grafted(&mut self, count: usize) {
        for _ in 0..count {
            self.until_traced(|event| event.graft.is_some()).await;
        }
    }

    /// Returns when `payload` came.
    pub async fn arrival(&mut self, payload: &Bytes) -> Instant {
        let arrival = async {
            while self.next_message().await.message != *payload {}
            Instant::now()
        };
        in_time("this message", arrival).await
    }
}

fn is_trace(response: ResponseType) -> bool {
    matches!(response, ResponseType::MessageTraceMumP2p | ResponseType::MessageTraceGossipSub)
}

/// Bounds a wait as a whole: traces come for ever, so that none for one response says nothing.
async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> T {
    timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("not within {LIMIT:?}: {what}"))
}
