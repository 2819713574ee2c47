//! A stream to a node's sidecar, with the ticket of a session.

use std::time::Duration;

use api::{
    Notice, StreamOptions,
    sidecar::{
        Command, Request, Response, ResponseType, command_stream_client::CommandStreamClient,
    },
    trace::TraceEvent,
};
use bytes::Bytes;
use cli::client::status_text;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::mpsc,
    time::{timeout, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::SessionNode;
use crate::{Error, http::SHORT_TIMEOUT, proxy::grpc};

/// How long a node may take to say that it published: the message has to get there first.
const PUBLISHED_MAX: Duration = Duration::from_secs(10);
/// A slow link is given this much more for each byte.
const BYTES_PER_SECOND_MIN: u64 = 256 << 10;

/// What to look at when a node does not answer.
const CHECK: &str = "that this address can be reached from here (a proxy names its nodes as ADVERTISE_NODES or P2P_NODES has them)";

/// An open stream of commands.
#[derive(Debug)]
pub(super) struct Stream {
    requests: mpsc::Sender<Request>,
    responses: Streaming<Response>,
}

/// A command with the ticket of the session.
fn request(node: &SessionNode, command: Command, topic: &str, data: Bytes) -> Request {
    let (topic, jwt_token) = (topic.to_owned(), node.ticket.clone());
    Request { command: command as i32, data, topic, jwt_token }
}

impl Stream {
    /// Opens one, subscribed to a topic. A node does not answer that.
    pub(super) async fn subscribed(
        node: &SessionNode,
        options: &StreamOptions,
        topic: &str,
    ) -> Result<Self, Error> {
        Self::open(node, options, request(node, Command::Subscribe, topic, Bytes::new())).await
    }

    /// Opens one that is given what `options` ask for. A node of another make sends everything, and
    /// opens the stream with the first thing that it sends: `first` must not wait for that.
    async fn open(
        node: &SessionNode,
        options: &StreamOptions,
        first: Request,
    ) -> Result<Self, Error> {
        let limit =
            SHORT_TIMEOUT + Duration::from_secs(first.data.len() as u64 / BYTES_PER_SECOND_MIN);
        let address = &node.address;
        let url =
            if address.contains("://") { address.clone() } else { format!("http://{address}") };
        let mut client = CommandStreamClient::new(grpc::channel(&url, CHECK).await?)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        let (requests, taken) = mpsc::channel(1);
        // There is room for one, and nobody else sends.
        let _first = requests.try_send(first);
        let mut request = tonic::Request::new(ReceiverStream::new(taken));
        options
            .write_to(request.metadata_mut())
            .map_err(|error| Error::Usage(format!("the topic cannot be asked for: {error}")))?;
        let opened = timeout(limit, client.listen_commands(request)).await;
        let opened = opened.map_err(|_| Error::Failed("no answer in time".to_owned()))?;
        let responses = opened.map_err(|status| grpc::refused(&url, &status, CHECK))?;
        Ok(Self { requests, responses: responses.into_inner() })
    }

    /// Returns the next response.
    pub(super) async fn next(&mut self) -> Result<Response, Error> {
        match self.responses.message().await {
            Ok(Some(response)) => Ok(response),
            Ok(None) => Err(Error::Failed("the node closed the stream".to_owned())),
            Err(status) => Err(Error::Failed(status_text(&status))),
        }
    }

    /// Publishes a message and waits until the node says that it did.
    pub(super) async fn publish(
        node: &SessionNode,
        options: &StreamOptions,
        topic: &str,
        payload: Bytes,
    ) -> Result<(), Error> {
        let id = hex::encode(Sha256::digest(&payload));
        let seconds = payload.len() as u64 / BYTES_PER_SECOND_MIN;
        let end = tokio::time::Instant::now() + PUBLISHED_MAX + Duration::from_secs(seconds);
        let first = request(node, Command::Publish, topic, payload);
        let Self { requests, mut responses } = Self::open(node, options, first).await?;
        // No more commands come: the node keeps the stream open until it has answered.
        drop(requests);
        let answered = async {
            loop {
                match responses.message().await {
                    Ok(Some(response)) => {
                        if let Some(answer) = answer(&response, &id) {
                            return answer.map_err(Error::Failed);
                        }
                    }
                    Ok(None) => {
                        let text = "node closed stream before sending publish response";
                        return Err(Error::Failed(text.to_owned()));
                    }
                    Err(status) => return Err(Error::Failed(status_text(&status))),
                }
            }
        };
        timeout_at(end, answered).await.unwrap_or_else(|_| {
            Err(Error::Failed("the node did not say in time that it published".to_owned()))
        })
    }
}

/// Returns what a response says of a publish, if it does.
fn answer(response: &Response, message_id: &str) -> Option<Result<(), String>> {
    match ResponseType::try_from(response.command).ok()? {
        // The two schemas agree in what tells a published message.
        ResponseType::MessageTraceMumP2p | ResponseType::MessageTraceGossipSub => {
            let event = TraceEvent::decode(response.data.clone()).ok()?;
            let published = event.publish_message?.message_id?;
            (published == message_id.as_bytes()).then_some(Ok(()))
        }
        ResponseType::Unknown => match Notice::from_json(&response.data).ok()? {
            Notice::Refused { error, message_id: refused, .. } if refused == message_id => {
                Some(Err(error))
            }
            Notice::Refused { .. } | Notice::Lost { .. } => None,
        },
        // A node hands a message back to who publishes and subscribes the topic.
        ResponseType::Message => {
            let delivery = api::Delivery::from_json(&response.data).ok()?;
            (delivery.message_id == message_id).then_some(Ok(()))
        }
    }
}

#[cfg(test)]
mod tests {
    use api::trace::trace_event::PublishMessage;

    use super::*;

    fn response(command: ResponseType, data: impl Into<Bytes>) -> Response {
        Response { command: command as i32, data: data.into(), ..Response::default() }
    }

    #[test]
    fn a_publish_is_answered_by_its_trace_its_refusal_or_itself_and_by_nothing_else() {
        let id = "ab".repeat(32);
        let traced = |id: &str| {
            let message_id = Some(Bytes::copy_from_slice(id.as_bytes()));
            let published = Some(PublishMessage { message_id, ..PublishMessage::default() });
            let event = TraceEvent { publish_message: published, ..TraceEvent::default() };
            response(ResponseType::MessageTraceMumP2p, event.encode_to_vec())
        };
        let refused = |id: &str| {
            let [error, reason] = ["too long", "too_large"].map(str::to_owned);
            let notice = Notice::Refused { error, message_id: id.to_owned(), reason };
            response(ResponseType::Unknown, notice.to_json())
        };
        let message = format!(r#"{{"topic":"t","message_id":"{id}"}}"#);
        assert_eq!(answer(&traced(&id), &id), Some(Ok(())));
        assert_eq!(answer(&refused(&id), &id), Some(Err("too long".to_owned())));
        assert_eq!(answer(&response(ResponseType::Message, message), &id), Some(Ok(())));
        let other = "cd".repeat(32);
        for nothing in [
            traced(&other),
            refused(&other),
            response(ResponseType::Message, "raw"),
            response(ResponseType::MessageTraceMumP2p, TraceEvent::default().encode_to_vec()),
            response(ResponseType::Unknown, ""),
            Response { command: 99, ..Response::default() },
        ] {
            assert_eq!(answer(&nothing, &id), None);
        }
    }
}
