//! Session tickets: signed tokens that commands of a sidecar stream must carry when `SIDECAR_JWKS`
//! is set.

#[cfg(test)]
mod tests;

use std::time::{SystemTime, UNIX_EPOCH};

use service::jwks::{Keys, KeysError, LEEWAY_SECONDS, Rules};
use token::Algorithm;

/// How tickets may be signed.
const ALGORITHMS: &[Algorithm] = &[Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// Checks tickets.
#[derive(Debug)]
pub(crate) struct Tickets {
    keys: Keys,
}

impl Tickets {
    /// Checks against the keys of a file or a URL (a JWKS). The file is read now, a URL when the
    /// first ticket comes.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or holds no key that can be used.
    pub(crate) async fn new(source: &str) -> Result<Self, KeysError> {
        Ok(Self { keys: Keys::new(source, ALGORITHMS).await? })
    }

    /// Returns until when a ticket is valid, in Unix seconds.
    ///
    /// # Errors
    ///
    /// Returns a text that says why the ticket is not valid.
    async fn check(&self, ticket: &str) -> Result<u64, String> {
        if ticket.is_empty() {
            return Err("a ticket is needed: jwt_token is empty".to_owned());
        }
        // Who the issuer and the audience are is for the issuer's other services to know.
        let claims = self.keys.verify(ticket, &Rules::default()).await;
        let claims = claims.map_err(|error| format!("the ticket is not valid: {error}"))?;
        // Verified: it is a number.
        let ends = claims.get("exp").and_then(serde_json::Value::as_f64).unwrap_or_default();
        Ok((ends as u64).saturating_add(LEEWAY_SECONDS))
    }
}

/// The ticket of one stream that was found valid, so that it is not checked for every command.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    ticket: String,
    /// Unix seconds.
    until: u64,
}

impl Accepted {
    /// Returns whether `ticket` is valid, from memory if it was the last one.
    ///
    /// # Errors
    ///
    /// Returns a text that says why the ticket is not valid.
    pub(crate) async fn admit(&mut self, tickets: &Tickets, ticket: &str) -> Result<(), String> {
        if ticket == self.ticket && unix_seconds() < self.until {
            return Ok(());
        }
        let until = tickets.check(ticket).await?;
        *self = Self { ticket: ticket.to_owned(), until };
        Ok(())
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
