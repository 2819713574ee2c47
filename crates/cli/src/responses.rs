//! What a node sends on a stream of commands.

use std::time::Duration;

use api::sidecar::Response;
use tokio::{
    task::JoinError,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Response as Answer, Status, Streaming};

use crate::output;

/// How long a node is waited for before the first command is sent all the same. Ours open the
/// stream at once; those that gRPC for Go serves open it with the first thing they send on it.
const GREETING_LIMIT: Duration = Duration::from_secs(1);

/// How long a node may stay silent before that is told.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// What a call came to.
type Answered = Result<Result<Answer<Streaming<Response>>, Status>, JoinError>;

type Call = AbortOnDropHandle<Result<Answer<Streaming<Response>>, Status>>;

/// What a node sends on a stream of commands.
#[derive(Debug)]
pub struct Responses(Stage);

#[derive(Debug)]
enum Stage {
    /// The node has not answered the call yet.
    Called {
        call: Call,
        address: String,
        told_at: Option<Instant>,
    },
    Open(Streaming<Response>),
    /// The node refused the call, and that was told.
    Refused,
}

impl Responses {
    /// Makes the call and waits a moment for the node to refuse it or to open the stream.
    ///
    /// # Errors
    ///
    /// Returns what the node refuses it with.
    pub(crate) async fn of(
        address: &str,
        call: impl Future<Output = Result<Answer<Streaming<Response>>, Status>> + Send + 'static,
    ) -> Result<Self, Status> {
        let call = AbortOnDropHandle::new(tokio::spawn(call));
        let told_at = Some(Instant::now() + SILENCE_LIMIT);
        let mut made = Self(Stage::Called { call, address: address.to_owned(), told_at });
        match timeout(GREETING_LIMIT, made.opened()).await {
            Ok(Err(status)) => Err(status),
            Ok(Ok(_)) | Err(_) => Ok(made),
        }
    }

    /// Returns what comes next; none when the node closed the stream. Nothing is lost when this is
    /// dropped before it is done.
    ///
    /// # Errors
    ///
    /// Returns how the stream was refused or broke.
    pub async fn message(&mut self) -> Result<Option<Response>, Status> {
        self.opened().await?.message().await
    }

    /// Waits until the node has opened the stream; a long wait is told on stderr, once.
    pub(crate) async fn opened(&mut self) -> Result<&mut Streaming<Response>, Status> {
        if let Stage::Called { call, address, told_at } = &mut self.0 {
            if let Some(at) = *told_at {
                let waited = timeout_at(at, &mut *call).await;
                if let Ok(answer) = waited {
                    return self.answered(answer);
                }
                output::note(&format!(
                    "{address}: no answer for {} s; check that a node runs there and that the port \
                     is that of its gRPC API; still waiting",
                    SILENCE_LIMIT.as_secs()
                ));
                *told_at = None;
            }
            let answer = (&mut *call).await;
            return self.answered(answer);
        }
        self.stream()
    }

    fn answered(&mut self, answer: Answered) -> Result<&mut Streaming<Response>, Status> {
        self.0 = Stage::Refused;
        let answer = answer.map_err(|error| Status::internal(error.to_string()))??;
        self.0 = Stage::Open(answer.into_inner());
        self.stream()
    }

    fn stream(&mut self) -> Result<&mut Streaming<Response>, Status> {
        match &mut self.0 {
            Stage::Open(stream) => Ok(stream),
            Stage::Called { .. } | Stage::Refused => {
                Err(Status::unavailable("the stream is not open"))
            }
        }
    }
}
