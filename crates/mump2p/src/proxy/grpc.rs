//! Publishing and deliveries by the proxy's gRPC.

use std::time::Duration;

use api::proxy::{PublishRequest, PublishResponse, SubscribeRequest};
use bytes::Bytes;
use cli::{
    client::{root_cause, status_text},
    proxy::{Delivered, Deliveries, ProxyStream},
};
use reqwest::Url;
use tokio::{sync::mpsc, time::timeout};
use tonic::{
    Code, Status,
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use crate::{
    Context, Error,
    http::{self, LONG_TIMEOUT, SHORT_TIMEOUT},
    received::Sink,
    signals,
};

/// The port that the proxy's gRPC has unless it is told otherwise.
const PORT: u16 = 50051;

/// How much the proxy may send ahead: a stream of many long messages must not wait for us.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// A dead connection shows within some of these. Pings of HTTP/2 would show it too, but some servers
/// end connections that ping.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What to look at when it does not answer.
const CHECK: &str = "that the proxy's gRPC listens there (PROXY_GRPC_PORT; --grpc-address or MUMP2P_GRPC_ADDRESS for another place)";

/// Returns the URL of the proxy's gRPC: where it was said to be, or at port 50051 of the service's
/// host.
///
/// # Errors
///
/// Returns an error if that is no address.
pub(crate) fn address(service_url: &str, given: Option<&str>) -> Result<String, Error> {
    let sample = "localhost:50051 or https://proxy.example:443";
    let mut url = Url::parse(service_url)
        .map_err(|error| Error::Usage(format!("--service-url {service_url}: {error}")))?;
    let Some(given) = given else {
        if url.set_port(Some(PORT)).is_err() {
            return Err(Error::Usage(format!("--service-url {service_url} takes no port")));
        }
        url.set_path("");
        return Ok(url.as_str().trim_end_matches('/').to_owned());
    };
    let given = if given.contains("://") {
        given.to_owned()
    } else {
        format!("{}://{given}", url.scheme())
    };
    let address = http::base_url(&given, "--grpc-address", sample)?;
    match Url::parse(&address) {
        Ok(url) if url.port_or_known_default().is_some() => Ok(address),
        _ => Err(Error::Usage(format!("--grpc-address is {address:?}; right is {sample}"))),
    }
}

/// Opens a connection to a gRPC server, of a proxy or a node.
///
/// # Errors
///
/// Returns an error if nobody answers.
pub(crate) async fn channel(url: &str, check: &str) -> Result<Channel, Error> {
    let unreachable = |cause: String| Error::Unreachable {
        address: url.to_owned(),
        cause,
        check: check.to_owned(),
    };
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|error| Error::Usage(format!("{url}: {}", root_cause(&error))))?
        .connect_timeout(SHORT_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(KEEPALIVE))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    let endpoint = if url.starts_with("https:") {
        let tls = ClientTlsConfig::new().with_native_roots();
        endpoint.tls_config(tls).map_err(|error| unreachable(root_cause(&error)))?
    } else {
        endpoint
    };
    endpoint.connect().await.map_err(|error| unreachable(root_cause(&error)))
}

/// A connected proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    url: String,
    client: ProxyStream,
}

impl Proxy {
    /// Connects.
    ///
    /// # Errors
    ///
    /// Returns an error if nobody answers.
    pub(crate) async fn connect(context: &Context, url: &str) -> Result<Self, Error> {
        let authorization = context.token.as_ref().map(|token| format!("Bearer {token}").parse());
        let authorization = authorization
            .transpose()
            .map_err(|_| Error::Login("the token of the login is not ASCII".to_owned()))?;
        let client = ProxyStream::new(channel(url, CHECK).await?, authorization);
        Ok(Self { url: url.to_owned(), client })
    }

    /// Publishes any bytes.
    ///
    /// # Errors
    ///
    /// Returns an error if the proxy does not take them.
    pub(crate) async fn publish(
        &mut self,
        client_id: &str,
        topic: &str,
        message: Bytes,
    ) -> Result<PublishResponse, Error> {
        let (client_id, topic) = (client_id.to_owned(), topic.to_owned());
        let request = PublishRequest { client_id, topic, message };
        let published = self.client.publish(request, LONG_TIMEOUT).await;
        let published = published.map_err(|status| refused(&self.url, &status, CHECK))?;
        match published.status.as_str() {
            "published" => Ok(published),
            other => Err(Error::Failed(format!("the proxy answers {other:?}"))),
        }
    }

    /// Subscribes a topic.
    ///
    /// # Errors
    ///
    /// Returns an error if the proxy does not.
    pub(crate) async fn subscribe(
        &mut self,
        client_id: &str,
        topic: &str,
        threshold: f64,
    ) -> Result<(), Error> {
        let wanted = SubscribeRequest {
            client_id: client_id.to_owned(),
            topic: topic.to_owned(),
            threshold: threshold as f32,
            topics: Vec::new(),
        };
        let subscribed = self.client.subscribe(wanted, SHORT_TIMEOUT).await;
        let subscribed = subscribed.map_err(|status| refused(&self.url, &status, CHECK))?;
        match subscribed.status.as_str() {
            "subscribed" => Ok(()),
            other => Err(Error::Failed(format!("the proxy answers {other:?}"))),
        }
    }

    /// Opens the stream of deliveries.
    ///
    /// # Errors
    ///
    /// Returns an error if the proxy refuses, or does not answer.
    pub(crate) async fn stream(&mut self, client_id: &str) -> Result<Deliveries, Error> {
        let opened = timeout(SHORT_TIMEOUT, self.client.deliveries(client_id)).await;
        let opened = opened.map_err(|_| Error::Unreachable {
            address: self.url.clone(),
            cause: "no answer in time".to_owned(),
            check: CHECK.to_owned(),
        })?;
        opened.map_err(|status| refused(&self.url, &status, CHECK))
    }
}

/// Takes deliveries until Ctrl-C; `ahead` of them may wait for the sink.
///
/// # Errors
///
/// Returns an error if the proxy ends it, or the sink fails.
pub(crate) async fn read(
    mut deliveries: Deliveries,
    sink: &mut Sink,
    ahead: usize,
) -> Result<(), Error> {
    let (queue, mut queued) = mpsc::channel(ahead);
    let reader = tokio::spawn(async move {
        loop {
            let next = deliveries.next().await;
            let is_last = !matches!(next, Ok(Some(_)));
            if queue.send(next).await.is_err() || is_last {
                return;
            }
        }
    });
    let mut interrupted = std::pin::pin!(signals::interrupted());
    let end = loop {
        tokio::select! {
            next = queued.recv() => match next {
                Some(Ok(Some(delivered))) => if let Err(error) = take(sink, delivered) {
                    break Err(error);
                },
                Some(Ok(None)) | None => {
                    break Err(Error::Failed("Connection closed by server".to_owned()));
                }
                Some(Err(status)) => {
                    let text = format!("Connection closed by server: {}", status_text(&status));
                    break Err(Error::Failed(text));
                }
            },
            _ = &mut interrupted => break sink.status("Closing connection..."),
        }
    };
    reader.abort();
    end
}

fn take(sink: &mut Sink, delivered: Delivered) -> Result<(), Error> {
    match delivered {
        Delivered::Message(delivery) => sink.take(&delivery),
        Delivered::Lost(messages) => {
            sink.lost(messages);
            Ok(())
        }
    }
}

/// Returns the error of a call that the server at `url` did not answer well; `check` is what to look
/// at when that is no such server.
pub(crate) fn refused(url: &str, status: &Status, check: &str) -> Error {
    let text = status_text(status);
    if status.code() == Code::Unauthenticated {
        return Error::Login(format!(
            "{text}\n  log in: mump2p login (mump2p whoami says who is logged in)"
        ));
    }
    // What the service itself refuses has words and no error of the transport behind it.
    let is_answer = !status.message().is_empty()
        && std::error::Error::source(status).is_none()
        && !matches!(status.code(), Code::Unimplemented | Code::Cancelled);
    if is_answer {
        return Error::Failed(format!("{url}: {text}"));
    }
    Error::Failed(format!("{url} does not answer as it should: {text}\n  check: {check}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_none_of_ours_is_named_with_what_to_check_and_a_refusal_with_its_words() {
        let text = |status: &Status| refused("http://h:1", status, "the port").to_string();
        for silent in [
            Status::unimplemented(""),
            Status::cancelled("Timeout expired"),
            Status::from_error(Box::new(std::io::Error::other("reset"))),
        ] {
            let text = text(&silent);
            assert!(text.contains("http://h:1 does not") && text.contains("the port"), "{text}");
        }
        let refusal = text(&Status::invalid_argument("missing topic"));
        assert_eq!(refusal, "http://h:1: InvalidArgument: missing topic");
    }

    #[test]
    fn the_proxys_grpc_is_at_its_own_port_of_the_same_host_unless_it_is_said_to_be_elsewhere() {
        for (service, given, address_of) in [
            ("http://localhost:8081", None, "http://localhost:50051"),
            ("http://[::1]:8081", None, "http://[::1]:50051"),
            ("https://proxy.example/base", None, "https://proxy.example:50051"),
            ("http://localhost:8081", Some("127.0.0.1:7"), "http://127.0.0.1:7"),
            ("https://a:1", Some("b:2"), "https://b:2"),
            ("https://a:1", Some("http://b:2"), "http://b:2"),
        ] {
            assert_eq!(address(service, given).expect("an address"), address_of);
        }
        for wrong in ["", "a:b", "ftp://a:1"] {
            assert!(address("http://localhost:8081", Some(wrong)).is_err(), "{wrong}");
        }
    }
}
