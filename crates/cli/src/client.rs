//! A connection to a node's sidecar.

use std::time::{Duration, Instant};

use api::{
    StreamOptions,
    sidecar::{
        Command, Request, Response, ResponseType, command_stream_client::CommandStreamClient,
    },
    trace::TraceEvent,
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};

/// Requests handed over and not yet taken by the connection. One is enough: a publisher is to feel
/// when the node has no room.
const REQUESTS_MAX: usize = 1;

/// A connected sidecar.
#[derive(Debug)]
pub struct Sidecar {
    client: CommandStreamClient<Channel>,
}

/// An open stream of commands.
#[derive(Debug)]
pub struct Commands {
    requests: mpsc::Sender<Request>,
    /// What the node sends.
    pub responses: Streaming<Response>,
}

/// The stream is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl Sidecar {
    /// Connects to `address`, `host:port`.
    ///
    /// # Errors
    ///
    /// Returns a text if the address is malformed or nobody answers there.
    pub async fn connect(address: &str) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| format!("{address}: {error}"))?
            .connect_timeout(Duration::from_secs(10))
            .tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            format!("{address}: {}", cause.unwrap_or_else(|| error.to_string()))
        })?;
        let client = CommandStreamClient::new(channel)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        Ok(Self { client })
    }

    /// Opens a stream of commands.
    ///
    /// # Errors
    ///
    /// Returns a text if the node refuses.
    pub async fn listen(&mut self) -> Result<Commands, String> {
        self.listen_with(&StreamOptions::default()).await
    }

    /// Opens a stream of commands that asks for something else than everything.
    ///
    /// # Errors
    ///
    /// Returns a text if the options mean nothing or the node refuses.
    pub async fn listen_with(&mut self, options: &StreamOptions) -> Result<Commands, String> {
        let (requests, taken) = mpsc::channel(REQUESTS_MAX);
        let mut request = tonic::Request::new(ReceiverStream::new(taken));
        options.write_to(request.metadata_mut()).map_err(|error| error.to_string())?;
        let stream = self.client.listen_commands(request).await;
        let responses = stream.map_err(|status| status.to_string())?.into_inner();
        Ok(Commands { requests, responses })
    }
}

impl Commands {
    /// Subscribes a topic. There is no answer.
    ///
    /// # Errors
    ///
    /// Returns [`Closed`] if the stream is.
    pub async fn subscribe(&self, topic: &str) -> Result<(), Closed> {
        let topic = topic.to_owned();
        let command = Command::Subscribe as i32;
        self.send(Request { command, topic, ..Request::default() }).await
    }

    /// Publishes; returns how long the connection took to take it. There is no answer.
    ///
    /// # Errors
    ///
    /// Returns [`Closed`] if the stream is.
    pub async fn publish(&self, topic: &str, data: Vec<u8>) -> Result<Duration, Closed> {
        let begin = Instant::now();
        let (topic, command) = (topic.to_owned(), Command::Publish as i32);
        self.send(Request { command, topic, data: data.into(), ..Request::default() }).await?;
        Ok(begin.elapsed())
    }

    /// Sends any command.
    ///
    /// # Errors
    ///
    /// Returns [`Closed`] if the stream is.
    pub async fn send(&self, request: Request) -> Result<(), Closed> {
        self.requests.send(request).await.map_err(|_| Closed)
    }

    /// Says that no more commands come, and reads what the node sends until it tells that it
    /// published the last message, `last_message_id` (64 hexadecimal digits).
    ///
    /// A program that ended its connection at once would take data with it that is still on the
    /// way. The node tells of every publish on the stream it came on; `limit` is for one that
    /// refused it, or is of another make and tells nothing.
    pub async fn finish(self, last_message_id: &str, limit: Duration) {
        let Self { requests, mut responses } = self;
        drop(requests);
        let told = async {
            while let Ok(Some(response)) = responses.message().await {
                if tells_publish(&response, last_message_id) {
                    return;
                }
            }
        };
        let _late = tokio::time::timeout(limit, told).await;
    }
}

fn tells_publish(response: &Response, message_id: &str) -> bool {
    // Both schemas number what they share alike.
    let command = response.command();
    matches!(command, ResponseType::MessageTraceMumP2p | ResponseType::MessageTraceGossipSub)
        && TraceEvent::decode(&response.data[..]).is_ok_and(|event| {
            let id = event.publish_message.and_then(|publish| publish.message_id);
            id.is_some_and(|id| id == message_id.as_bytes())
        })
}
