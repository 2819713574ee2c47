//! What a token of ours says. Its signature is not checked here: the proxy does that.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use token::{ClaimsError, Client, Head, Limits};

use crate::Error;

/// What a token says of its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    /// `sub`; empty if it is not there.
    pub(crate) subject: String,
    /// Who the client is.
    pub(crate) client_id: String,
    /// Whether the account may publish and subscribe.
    pub(crate) is_active: bool,
    /// What it may publish.
    pub(crate) limits: Limits,
}

impl Claims {
    /// Reads a token.
    ///
    /// # Errors
    ///
    /// Returns an error if it is none.
    pub(crate) fn read(token: &str) -> Result<Self, Error> {
        let unusable = |problem: &dyn std::fmt::Display| {
            Error::Login(format!(
                "the token of the login is none: {problem}\n  log in again: mump2p login"
            ))
        };
        Head::of(token).map_err(|error| unusable(&error))?;
        let payload = token.split('.').nth(1).unwrap_or_default();
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|error| unusable(&error))?;
        let claims: Map<String, Value> =
            serde_json::from_slice(&payload).map_err(|error| unusable(&error))?;
        Self::of(claims).map_err(|error| unusable(&error))
    }

    fn of(mut claims: Map<String, Value>) -> Result<Self, ClaimsError> {
        let (client, is_active) = match Client::from_claims(&claims) {
            Ok(client) => (client, true),
            Err(ClaimsError::Inactive) => {
                // The rest is shown all the same.
                claims.insert("is_active".to_owned(), Value::Bool(true));
                (Client::from_claims(&claims)?, false)
            }
            Err(error) => return Err(error),
        };
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self { subject, client_id: client.id, is_active, limits: client.limits })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn signed(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(claims))
    }

    #[test]
    fn a_token_says_who_its_client_is_and_what_it_may() {
        let token =
            signed(&json!({"sub": "auth0|u1", "is_active": true, "max_publish_per_sec": "8"}));
        let claims = Claims::read(&token).expect("a token");
        assert_eq!((claims.subject.as_str(), claims.client_id.as_str()), ("auth0|u1", "auth0|u1"));
        assert!(claims.is_active);
        assert_eq!(claims.limits.publishes_per_second, 8);
    }

    #[test]
    fn an_inactive_account_is_still_told_its_limits() {
        let claims = Claims::read(&signed(&json!({"sub": "u"}))).expect("a token");
        assert!(!claims.is_active);
        assert_eq!(claims.limits, Limits::default());
    }

    #[test]
    fn what_is_no_token_says_to_log_in_again() {
        let nameless = signed(&json!({"is_active": true}));
        for wrong in ["", "a.b.c", "no token", "e30.e30.e30", &nameless] {
            let error = Claims::read(wrong).expect_err(wrong);
            assert!(
                error.exit_code() == 4 && error.to_string().contains("mump2p login"),
                "{error}"
            );
        }
    }
}
