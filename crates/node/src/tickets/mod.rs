//! Session tickets: signed tokens that commands of a sidecar stream must carry when `SIDECAR_JWKS`
//! is set.

#[cfg(test)]
mod tests;

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Validation, decode, decode_header};
use serde::Deserialize;

use service::jwks::Keys;

/// How far the clocks of who signs and of this node may be apart, in seconds.
const LEEWAY_SECONDS: u64 = 30;

/// Longest ticket in bytes.
const TICKET_BYTES_MAX: usize = 16 << 10;

/// Checks tickets.
#[derive(Debug)]
pub(crate) struct Tickets {
    keys: Keys,
}

/// The claims that count. Who the audience is, is for the issuer's other services to know.
#[derive(Debug, Deserialize)]
struct Claims {
    /// Unix seconds.
    exp: u64,
}

impl Tickets {
    /// Checks against the keys of a file or a URL (a JWKS). The file is read now, a URL when the
    /// first ticket comes.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or holds no key that can be used.
    pub(crate) async fn new(source: &str) -> anyhow::Result<Self> {
        Ok(Self { keys: Keys::new(source).await? })
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
        if ticket.len() > TICKET_BYTES_MAX {
            return Err(format!("the ticket is longer than {TICKET_BYTES_MAX} bytes"));
        }
        let header = decode_header(ticket).map_err(|error| format!("no ticket: {error}"))?;
        let key = self.keys.find(header.kid.as_deref()).await?;
        // The key says how it signs; what the ticket says of that must agree.
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp"]);
        let token = decode::<Claims>(ticket, &key.verifying, &validation);
        let claims = token.map_err(|error| format!("the ticket is not valid: {error}"))?.claims;
        Ok(claims.exp.saturating_add(LEEWAY_SECONDS))
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
