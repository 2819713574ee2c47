//! Who a client is, what it may do, and what it did so far.
//!
//! [`Verifier`] turns an `Authorization` header into a [`Client`]; [`Quotas`] say whether it may
//! publish one more message; [`Store`] remembers quotas, published messages and subscriptions, in
//! memory or in Redis; [`TicketSigner`] signs what a client shows to a node. No face of a daemon is
//! in here: errors give a code, a text and a time to wait ([`Refusal`]), and whoever serves HTTP or
//! gRPC makes an answer of that.
#![forbid(unsafe_code)]

mod config;
mod quotas;
mod refusal;
mod store;
mod tickets;
mod verifier;

pub use config::{AccessConfig, AuthConfig, OnFailure, RedisConfig, VARIABLES};
pub use quotas::{QuotaError, Quotas};
pub use refusal::Refusal;
pub use store::{
    Change, Claim, Counts, MessageId, Store, StoreError, Subscription, TOPICS_PER_CLIENT_MAX,
};
pub use tickets::{Ticket, TicketError, TicketSigner};
pub use token::{CLIENT_ID_BYTES_MAX, Client, Limits, client_id_problem};
pub use verifier::{AuthError, Verifier};
