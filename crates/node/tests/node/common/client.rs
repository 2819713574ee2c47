//! A sidecar client for tests.

use api::{
    StreamOptions,
    sidecar::{
        Command, Request, Response, ResponseType, command_stream_client::CommandStreamClient,
    },
    trace::TraceEvent,
};
use node::Running;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

use super::LIMIT;

/// A response, decoded.
#[derive(Clone, Debug)]
pub(crate) enum Got {
    /// A delivered message.
    Message(serde_json::Value),
    /// A trace event.
    Trace(Box<TraceEvent>),
    /// What the stream lost.
    Lost(serde_json::Value),
}

/// One open stream.
pub(crate) struct Client {
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) responses: Streaming<Response>,
}

/// Connects to a node's sidecar.
pub(crate) async fn connect(node: &Running) -> CommandStreamClient<Channel> {
    let client = CommandStreamClient::connect(format!("http://{}", node.sidecar_address()));
    client.await.expect("connects").max_decoding_message_size(usize::MAX)
}

impl Client {
    /// Opens a stream on a connection of its own.
    pub(crate) async fn open(node: &Running) -> Self {
        Self::open_on(&mut connect(node).await).await
    }

    /// Opens a stream on a connection.
    pub(crate) async fn open_on(client: &mut CommandStreamClient<Channel>) -> Self {
        let (requests, receiver) = mpsc::channel(16);
        let responses = client.listen_commands(ReceiverStream::new(receiver)).await;
        Self { requests, responses: responses.expect("opens").into_inner() }
    }

    /// Opens a stream that asks for something beyond the default.
    pub(crate) async fn open_with(node: &Running, options: &StreamOptions) -> Self {
        let (requests, receiver) = mpsc::channel(16);
        let mut call = tonic::Request::new(ReceiverStream::new(receiver));
        options.write_to(call.metadata_mut()).expect("sound options");
        let responses = connect(node).await.listen_commands(call).await;
        Self { requests, responses: responses.expect("opens").into_inner() }
    }

    pub(crate) async fn send(&self, command: Command, topic: &str, data: impl Into<bytes::Bytes>) {
        self.send_number(command as i32, topic, data).await;
    }

    /// The same with a number that may mean nothing.
    pub(crate) async fn send_number(
        &self,
        command: i32,
        topic: &str,
        data: impl Into<bytes::Bytes>,
    ) {
        let (topic, data) = (topic.to_owned(), data.into());
        let request = Request { command, topic, data, ..Request::default() };
        self.requests.send(request).await.expect("the stream lives");
    }

    /// Returns the next response; none when the stream ended.
    pub(crate) async fn next(&mut self) -> Option<Got> {
        let next = tokio::time::timeout(LIMIT, self.responses.message()).await;
        let response = next.expect("a response in time").expect("no error")?;
        Some(match response.command() {
            ResponseType::Message => {
                Got::Message(serde_json::from_slice(&response.data).expect("JSON"))
            }
            // Those of mode gossipsub are of a schema that is a part of the other.
            ResponseType::MessageTraceMumP2p | ResponseType::MessageTraceGossipSub => {
                Got::Trace(Box::new(TraceEvent::decode(response.data).expect("a trace event")))
            }
            ResponseType::Unknown => {
                Got::Lost(serde_json::from_slice(&response.data).expect("JSON"))
            }
        })
    }

    /// Returns the next message, past trace events.
    pub(crate) async fn message(&mut self) -> serde_json::Value {
        loop {
            match self.next().await.expect("the stream lives") {
                Got::Message(message) => return message,
                Got::Trace(_) | Got::Lost(_) => {}
            }
        }
    }

    /// Returns the next trace event that `wanted` takes, past everything else.
    pub(crate) async fn trace(&mut self, wanted: impl Fn(&TraceEvent) -> bool) -> TraceEvent {
        loop {
            match self.next().await.expect("the stream lives") {
                Got::Trace(event) if wanted(&event) => return *event,
                Got::Trace(_) | Got::Message(_) | Got::Lost(_) => {}
            }
        }
    }
}
