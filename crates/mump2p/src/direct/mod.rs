//! The way straight at nodes: the proxy names some in a session, each with a ticket, the best first;
//! when one fails the next is used.

pub(crate) mod cache;
mod node;
pub(crate) mod publish;
mod session;
pub(crate) mod subscribe;

pub(crate) use session::{Session, SessionNode, Wish};
