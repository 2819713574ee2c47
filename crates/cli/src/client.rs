//! A connection to a node's sidecar.

use std::{
    error::Error as _,
    fmt,
    time::{Duration, Instant},
};

use api::{
    StreamOptions,
    sidecar::{
        Command, Request, Response, ResponseType, command_stream_client::CommandStreamClient,
    },
    trace::TraceEvent,
};
use prost::Message as _;
use thiserror::Error;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use crate::responses::Responses;

/// Requests handed over and not yet taken by the connection. One is enough: a publisher is to feel
/// when the node has no room.
const REQUESTS_MAX: usize = 1;

/// How long a connection may take to stand.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long a server may take to open a stream. A port that is open and never answers is no API.
pub(crate) const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// What is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The sidecar of a node.
    Node,
    /// The gRPC API of a proxy.
    Proxy,
}

impl Server {
    /// Returns where one usually is.
    fn example(self) -> &'static str {
        match self {
            Self::Node => "localhost:33212",
            Self::Proxy => "localhost:50051",
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Node => "node",
            Self::Proxy => "proxy",
        })
    }
}

/// A connected sidecar.
#[derive(Debug)]
pub struct Sidecar {
    address: String,
    client: CommandStreamClient<Channel>,
}

/// An open stream of commands.
#[derive(Debug)]
pub struct Commands {
    pub(crate) requests: mpsc::Sender<Request>,
    /// What the node sends.
    pub responses: Responses,
}

/// Why there is no stream to a server.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// No address at all.
    #[error("{address:?} is no address: {reason}; HOST:PORT is expected, such as {}", server.example())]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: String,
        /// What should be there.
        server: Server,
    },
    /// Nobody answers there.
    #[error(
        "{address}: {reason}; check that a {server} runs there and that the port is that of its gRPC API"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// What the system says.
        reason: String,
        /// What should be there.
        server: Server,
    },
    /// Somebody answers and opens no stream.
    #[error("{address} refuses the stream: {reason}; check that the port is that of a gRPC API")]
    Refused {
        /// Where.
        address: String,
        /// What it says.
        reason: String,
    },
}

/// The stream is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the node closed the stream")]
pub struct Closed;

/// Connects to the gRPC API of a `server` at `address`, `host:port`.
///
/// # Errors
///
/// Returns [`ConnectError`] if the address is malformed or nobody answers there.
pub async fn connect(address: &str, server: Server) -> Result<Channel, ConnectError> {
    check_address(address, server)?;
    let malformed = |error: tonic::transport::Error| ConnectError::Address {
        address: address.to_owned(),
        reason: root_cause(&error),
        server,
    };
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(malformed)?;
    let endpoint = endpoint.connect_timeout(CONNECT_LIMIT).tcp_nodelay(true);
    endpoint.connect().await.map_err(|error| {
        let (address, reason) = (address.to_owned(), root_cause(&error));
        ConnectError::Unreachable { address, reason, server }
    })
}

/// Returns the stream that a `server` at `address` opens for a call, if it does within the limit.
///
/// # Errors
///
/// Returns [`ConnectError`] if the server refuses or does not answer.
pub(crate) async fn opened<T>(
    address: &str,
    server: Server,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, ConnectError> {
    let address = address.to_owned();
    match timeout(OPEN_LIMIT, call).await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(status)) => Err(ConnectError::Refused { address, reason: status_text(&status) }),
        Err(_) => {
            let reason = format!("no answer for {} s", OPEN_LIMIT.as_secs());
            Err(ConnectError::Unreachable { address, reason, server })
        }
    }
}

/// Checks that the `address` of a `server` is `host:port`.
///
/// # Errors
///
/// Returns [`ConnectError::Address`] if it is not.
pub fn check_address(address: &str, server: Server) -> Result<(), ConnectError> {
    let wrong = |reason: &str| {
        let (address, reason) = (address.to_owned(), reason.to_owned());
        Err(ConnectError::Address { address, reason, server })
    };
    let Some((host, port)) = address.rsplit_once(':') else { return wrong("it has no port") };
    if host.is_empty() {
        return wrong("it has no host");
    }
    if host.contains(['/', ' ', '\t', '@']) || (host.contains(':') && !host.starts_with('[')) {
        return wrong("the host is none");
    }
    match port.parse::<u16>() {
        Ok(1..) => Ok(()),
        Ok(0) | Err(_) => wrong("the port is not a number from 1 to 65535"),
    }
}

/// Returns what is at the bottom of an error; those above it only say that something failed.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

/// Returns what a status says, as a line for people.
pub fn status_text(status: &Status) -> String {
    let cause = status.source().map_or_else(|| status.message().to_owned(), root_cause);
    let code = status.code();
    if cause.is_empty() {
        format!("{code:?}")
    } else if code == Code::Unknown {
        cause
    } else {
        format!("{code:?}: {cause}")
    }
}

impl Sidecar {
    /// Connects to `address`, `host:port`.
    ///
    /// # Errors
    ///
    /// Returns [`ConnectError`] if the address is malformed or nobody answers there.
    pub async fn connect(address: &str) -> Result<Self, ConnectError> {
        let client = CommandStreamClient::new(connect(address, Server::Node).await?)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        Ok(Self { address: address.to_owned(), client })
    }

    /// Opens a stream of commands on which everything comes.
    ///
    /// # Errors
    ///
    /// Returns [`ConnectError`] if the node refuses.
    pub async fn listen(&mut self) -> Result<Commands, ConnectError> {
        self.listen_with(&StreamOptions::default()).await
    }

    /// Opens a stream of commands that asks for less. Nodes of another make know nothing of that.
    ///
    /// # Errors
    ///
    /// Returns [`ConnectError`] if the node refuses, or `options` cannot be written.
    pub async fn listen_with(&mut self, options: &StreamOptions) -> Result<Commands, ConnectError> {
        let refused =
            |reason: String| ConnectError::Refused { address: self.address.clone(), reason };
        let (requests, taken) = mpsc::channel(REQUESTS_MAX);
        let mut request = tonic::Request::new(ReceiverStream::new(taken));
        options.write_to(request.metadata_mut()).map_err(|error| refused(error.to_string()))?;
        let mut client = self.client.clone();
        let call = async move { client.listen_commands(request).await };
        let responses = Responses::of(&self.address, call).await;
        let responses = responses.map_err(|status| refused(status_text(&status)))?;
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
        self.send(publish_request(topic, data)).await?;
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
}

/// Returns the command that publishes.
pub(crate) fn publish_request(topic: &str, data: Vec<u8>) -> Request {
    let (topic, command) = (topic.to_owned(), Command::Publish as i32);
    Request { command, topic, data: data.into(), ..Request::default() }
}

/// Returns the id of the message that a response says was published, 64 hexadecimal digits.
pub(crate) fn published_id(response: &Response) -> Option<bytes::Bytes> {
    // Both schemas number what they share alike.
    let command = response.command();
    if !matches!(command, ResponseType::MessageTraceMumP2p | ResponseType::MessageTraceGossipSub) {
        return None;
    }
    TraceEvent::decode(&response.data[..]).ok()?.publish_message?.message_id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for sound in ["localhost:33212", "127.0.0.1:1", "[::1]:65535", "node-1.example:9"] {
            assert_eq!(check_address(sound, Server::Node), Ok(()), "{sound}");
        }
        for (address, reason) in [
            ("", "no port"),
            ("localhost", "no port"),
            (":1", "no host"),
            ("a:0", "1 to 65535"),
            ("a:65536", "1 to 65535"),
            ("a:b", "1 to 65535"),
            ("http://a:1", "the host is none"),
            ("::1:1", "the host is none"),
            ("a b:1", "the host is none"),
        ] {
            for (server, example) in
                [(Server::Node, "such as localhost:33212"), (Server::Proxy, "as localhost:50051")]
            {
                let error = check_address(address, server).expect_err(address).to_string();
                for part in [reason, "HOST:PORT", example] {
                    assert!(error.contains(part), "{address}: {error}");
                }
            }
        }
    }

    /// Paused time runs on by itself where nothing else can happen.
    #[tokio::test]
    async fn a_node_that_opens_the_stream_late_is_sent_commands_meanwhile() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = silent.local_addr().expect("bound").to_string();
        let mut sidecar = Sidecar::connect(&address).await.expect("the port is open");
        tokio::time::pause();
        let mut commands = sidecar.listen().await.expect("it may answer later");
        commands.subscribe("t").await.expect("the connection takes it");
        let waited = timeout(Duration::from_secs(3600), commands.responses.message()).await;
        assert!(waited.is_err(), "it is waited for");
    }

    #[test]
    fn a_status_is_told_by_its_code_and_what_it_says() {
        assert_eq!(
            status_text(&Status::unauthenticated("no ticket")),
            "Unauthenticated: no ticket"
        );
        assert_eq!(status_text(&Status::aborted("")), "Aborted");
        let lost = Status::from_error(Box::new(std::io::Error::other("reset")));
        assert_eq!(status_text(&lost), "reset");
    }
}
