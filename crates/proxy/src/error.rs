//! Why a request is refused, in whatever protocol it came.

use access::{AuthError, QuotaError, Refusal as _, StoreError};
use api::rest::BodyError;
use thiserror::Error;

/// The longest message a proxy takes; nodes may take less.
pub(crate) const MESSAGE_BYTES_MAX: u64 = 64 << 20;

/// A request that is refused. The texts are the contract's, sections 2.2.2 and 2.7, where it has any.
#[derive(Clone, Debug, Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("{0}")]
    Query(String),
    #[error("invalid client ID: {0}")]
    ClientId(&'static str),
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Subscription(#[from] broker::Refusal),
    #[error("topic not assigned: nobody subscribed {0:?}")]
    NotAssigned(String),
    #[error("message too long: {0} bytes, at most {MESSAGE_BYTES_MAX} are allowed")]
    TooLong(u64),
    #[error("body too long: at most {0} bytes are allowed")]
    BodyTooLong(usize),
    #[error("the body did not come: {0}")]
    BodyLost(String),
    #[error("too much is being received at once; try again")]
    Busy,
    #[error("the nodes refuse the message: {error}")]
    Refused { reason: String, error: String },
    #[error("no node is connected; try again")]
    NoNode,
    #[error("a node does not say which topics it has; try again")]
    NotKnown,
    #[error("no node confirmed the message in time; it may arrive all the same")]
    NotConfirmed,
    #[error("no answer in time")]
    Timeout,
    #[error("the proxy is shutting down")]
    Closed,
    #[error("no ticket: {0}")]
    Ticket(String),
}

impl RequestError {
    /// The kinds of a publish whose body could not be read, so that nobody knows of which client and
    /// topic it was.
    pub(crate) const UNREAD: [&str; 5] =
        ["invalid_json", "invalid_topic", "invalid_client", "no_message", "body_lost"];

    /// The other kinds that a publish may have. What is counted by kind is shown from the start, so
    /// that the first error is seen as a rise.
    pub(crate) const UNPUBLISHED: [&str; 10] = [
        "not_assigned",
        "too_long",
        "quota",
        "shared_state",
        "busy",
        "refused_by_node",
        "no_node",
        "not_known",
        "not_confirmed",
        "closed",
    ];

    /// Returns the status code of HTTP that fits.
    pub(crate) fn code(&self) -> u16 {
        match self {
            Self::Body(_)
            | Self::Query(_)
            | Self::ClientId(_)
            | Self::NotAssigned(_)
            | Self::BodyLost(_)
            | Self::Subscription(broker::Refusal::Threshold(_))
            | Self::Ticket(_) => 400,
            Self::Auth(error) => error.code(),
            Self::Quota(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Subscription(_) => 429,
            Self::TooLong(_) | Self::BodyTooLong(_) => 413,
            Self::Refused { reason, .. } => match reason.as_str() {
                "too_large" => 413,
                "empty" => 400,
                _ => 503,
            },
            Self::Busy
            | Self::NoNode
            | Self::NotKnown
            | Self::NotConfirmed
            | Self::Timeout
            | Self::Closed => 503,
        }
    }

    /// Returns after how many seconds it is worth another try, where that is known.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Auth(error) => error.retry_after_seconds(),
            Self::Quota(error) => error.retry_after_seconds(),
            Self::Store(error) => error.retry_after_seconds(),
            Self::Busy
            | Self::NoNode
            | Self::NotKnown
            | Self::NotConfirmed
            | Self::Timeout
            | Self::Closed => Some(1),
            Self::Refused { .. } if self.code() == 503 => Some(10),
            Self::Body(_)
            | Self::Query(_)
            | Self::ClientId(_)
            | Self::Subscription(_)
            | Self::NotAssigned(_)
            | Self::TooLong(_)
            | Self::BodyTooLong(_)
            | Self::BodyLost(_)
            | Self::Refused { .. }
            | Self::Ticket(_) => None,
        }
    }

    /// Returns a word for it, as a label of metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Body(BodyError::Json(_)) => "invalid_json",
            Self::Body(BodyError::NoTopic | BodyError::TopicTooLong { .. }) => "invalid_topic",
            Self::Body(BodyError::NoClient) | Self::ClientId(_) => "invalid_client",
            Self::Body(BodyError::NoMessage) => "no_message",
            Self::Body(BodyError::Threshold(_)) => "invalid_threshold",
            Self::Query(_) => "invalid_query",
            Self::Auth(error) => error.kind(),
            Self::Quota(_) => "quota",
            Self::Store(_) => "shared_state",
            Self::Subscription(_) => "subscription",
            Self::NotAssigned(_) => "not_assigned",
            Self::TooLong(_) | Self::BodyTooLong(_) => "too_long",
            Self::BodyLost(_) => "body_lost",
            Self::Busy => "busy",
            Self::Refused { .. } => "refused_by_node",
            Self::NoNode => "no_node",
            Self::NotKnown => "not_known",
            Self::NotConfirmed => "not_confirmed",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Ticket(_) => "ticket",
        }
    }

    /// Returns it as a status of gRPC.
    pub(crate) fn status(&self) -> tonic::Status {
        let text = self.to_string();
        match self.code() {
            400 if matches!(self, Self::NotAssigned(_)) => tonic::Status::failed_precondition(text),
            400 => tonic::Status::invalid_argument(text),
            401 => tonic::Status::unauthenticated(text),
            403 => tonic::Status::permission_denied(text),
            413 | 429 => tonic::Status::resource_exhausted(text),
            _ => tonic::Status::unavailable(text),
        }
    }
}
