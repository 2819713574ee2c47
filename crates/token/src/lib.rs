//! Bearer tokens as they are written: how long they may be, what their head says before anyone
//! believes it, and what verified claims mean for a client. No keys, no clock, no network.
#![forbid(unsafe_code)]

mod claims;
mod head;

pub use claims::{CLIENT_ID_BYTES_MAX, ClaimsError, Client, LIMIT_MAX, Limits, client_id_problem};
pub use head::{
    Algorithm, BearerError, Head, HeadError, KEY_ID_BYTES_MAX, TOKEN_BYTES_MAX, bearer,
};
