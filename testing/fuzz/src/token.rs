//! Text into the readers of tokens: no panic, and what is read is within its bounds.

use serde_json::{Map, Value};
use token::{
    CLIENT_ID_BYTES_MAX, Client, Head, KEY_ID_BYTES_MAX, LIMIT_MAX, TOKEN_BYTES_MAX, bearer,
    client_id_problem,
};

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It has the head of a token.
    Head,
    /// It is claims that let a client in.
    Client,
    /// It is claims that do not.
    Refused,
    /// It is neither.
    Neither,
}

/// Reads the same bytes as an `Authorization` header, a token, and claims.
#[must_use]
pub fn run(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(token) = bearer(Some(&text)) {
        assert!(!token.is_empty() && token.trim() == token);
    }
    if let Ok(head) = Head::of(&text) {
        assert!(text.len() <= TOKEN_BYTES_MAX);
        assert!(head.key_id.is_none_or(|id| id.len() <= KEY_ID_BYTES_MAX));
        return Outcome::Head;
    }
    let Ok(claims) = serde_json::from_slice::<Map<String, Value>>(bytes) else {
        return Outcome::Neither;
    };
    match Client::from_claims(&claims) {
        Ok(client) => {
            assert!((1..=CLIENT_ID_BYTES_MAX).contains(&client.id.len()));
            assert_eq!(client_id_problem(&client.id), None);
            let limits = client.limits;
            let most = [
                limits.publishes_per_hour,
                limits.publishes_per_second,
                limits.message_bytes_max,
                limits.daily_bytes,
            ];
            assert!(most.iter().all(|limit| *limit <= LIMIT_MAX));
            Outcome::Client
        }
        Err(error) => {
            assert!(error.to_string().len() < 600, "an error repeats little of its input");
            Outcome::Refused
        }
    }
}
