//! What verified claims say of a client.

use serde_json::{Map, Value};
use thiserror::Error;

/// Longest name of a client in bytes.
pub const CLIENT_ID_BYTES_MAX: usize = 256;

/// Highest limit: what a JSON number and a Lua number hold exactly. A higher one is this one.
pub const LIMIT_MAX: u64 = (1 << 53) - 1;

/// How much of a wrong value an error repeats, in characters.
const SHOWN_MAX: usize = 64;

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `max_publish_per_hour`: messages.
    pub publishes_per_hour: u64,
    /// `max_publish_per_sec`: messages.
    pub publishes_per_second: u64,
    /// `max_message_size` in bytes.
    pub message_bytes_max: u64,
    /// `daily_quota`: bytes in 24 hours.
    pub daily_bytes: u64,
}

impl Default for Limits {
    /// What holds where a token says nothing: the contract, section 2.6.
    fn default() -> Self {
        Self {
            publishes_per_hour: 100,
            publishes_per_second: 2,
            message_bytes_max: 2 << 20,
            daily_bytes: 100 << 20,
        }
    }
}

/// A client as its token names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The claim `client_id` if it is there, else `sub`.
    pub id: String,
    /// What it may do.
    pub limits: Limits,
    /// `exp`: until when the token holds, in Unix seconds.
    pub expires_unix_seconds: u64,
}

/// Claims that nobody can be let in with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClaimsError {
    /// A claim is not what it must be.
    #[error("invalid token claims format: {claim} is {value}; it must be {allowed}")]
    Format {
        /// Its name.
        claim: &'static str,
        /// What it is.
        value: String,
        /// What it must be.
        allowed: &'static str,
    },
    /// Neither `client_id` nor `sub` is there.
    #[error("invalid token claims format: there is neither client_id nor sub")]
    Nameless,
    /// `is_active` is not true.
    #[error("your account is inactive, please contact support")]
    Inactive,
}

impl Client {
    /// Reads the claims of a token whose signature and times are verified.
    ///
    /// # Errors
    ///
    /// Returns an error if a claim is not what it must be, or the account is not active.
    pub fn from_claims(claims: &Map<String, Value>) -> Result<Self, ClaimsError> {
        let id = client_id(claims)?;
        if !is_active(claims.get("is_active")) {
            return Err(ClaimsError::Inactive);
        }
        let default = Limits::default();
        let limit = |claim, default| Ok(number(claims, claim)?.unwrap_or(default).min(LIMIT_MAX));
        let limits = Limits {
            publishes_per_hour: limit("max_publish_per_hour", default.publishes_per_hour)?,
            publishes_per_second: limit("max_publish_per_sec", default.publishes_per_second)?,
            message_bytes_max: limit("max_message_size", default.message_bytes_max)?,
            daily_bytes: limit("daily_quota", default.daily_bytes)?,
        };
        let expires_unix_seconds = number(claims, "exp")?.unwrap_or(0);
        Ok(Self { id, limits, expires_unix_seconds })
    }
}

/// Returns what is wrong with a name of a client, if anything is.
pub fn client_id_problem(id: &str) -> Option<&'static str> {
    if id.is_empty() {
        Some("it is empty")
    } else if id.len() > CLIENT_ID_BYTES_MAX {
        Some("it is longer than 256 bytes")
    } else if id.chars().any(char::is_control) {
        Some("it has control characters")
    } else {
        None
    }
}

fn client_id(claims: &Map<String, Value>) -> Result<String, ClaimsError> {
    let text = |claim| match claims.get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if client_id_problem(text).is_none() => Ok(Some(text.clone())),
        Some(other) => {
            let allowed = "a text of at most 256 bytes without control characters";
            Err(format_error(claim, other, allowed))
        }
    };
    match text("client_id")? {
        Some(id) => Ok(id),
        None => text("sub")?.ok_or(ClaimsError::Nameless),
    }
}

/// True, `"true"` and every number but 0 are yes; all else is no.
fn is_active(claim: Option<&Value>) -> bool {
    match claim {
        Some(Value::Bool(is)) => *is,
        Some(Value::String(text)) => text.trim().eq_ignore_ascii_case("true"),
        Some(Value::Number(number)) => number.as_f64().is_some_and(|number| number != 0.0),
        None | Some(Value::Null | Value::Array(_) | Value::Object(_)) => false,
    }
}

/// Returns a number that is written as one or as text; fractions are cut off.
fn number(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<u64>, ClaimsError> {
    let whole = |number: f64| (number.is_finite() && number >= 0.0).then_some(number as u64);
    let read = |value: &Value| match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| whole(text.parse().ok()?))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    match claims.get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match read(value) {
            Some(number) => Ok(Some(number)),
            None => Err(format_error(claim, value, "a number that is not negative")),
        },
    }
}

fn format_error(claim: &'static str, value: &Value, allowed: &'static str) -> ClaimsError {
    let mut value = value.to_string();
    if let Some((end, _)) = value.char_indices().nth(SHOWN_MAX) {
        value.truncate(end);
        value.push('…');
    }
    ClaimsError::Format { claim, value, allowed }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn client(claims: &Value) -> Result<Client, ClaimsError> {
        Client::from_claims(claims.as_object().expect("an object"))
    }

    /// Reads claims that are sound but for one.
    fn with(claim: &str, value: Value) -> Result<Client, ClaimsError> {
        let mut claims = json!({ "sub": "auth0|u1", "is_active": true, "exp": 2_000_000_000 });
        claims[claim] = value;
        client(&claims)
    }

    #[test]
    fn absent_limits_are_the_documented_ones() {
        let client = with("sub", json!("auth0|u1")).expect("sound");
        assert_eq!(client.id, "auth0|u1");
        assert_eq!(client.expires_unix_seconds, 2_000_000_000);
        let limits = client.limits;
        assert_eq!((limits.publishes_per_hour, limits.publishes_per_second), (100, 2));
        assert_eq!((limits.message_bytes_max, limits.daily_bytes), (2_097_152, 104_857_600));
    }

    #[test]
    fn limits_are_numbers_or_numeric_text() {
        let expected = Limits {
            publishes_per_hour: 1000,
            publishes_per_second: 8,
            message_bytes_max: 4_194_304,
            daily_bytes: 5_368_709_120,
        };
        for claims in [
            json!({
                "client_id": "c", "is_active": 1, "max_publish_per_hour": 1000,
                "max_publish_per_sec": 8, "max_message_size": 4_194_304, "daily_quota": 5_368_709_120_u64,
            }),
            json!({
                "client_id": "c", "is_active": "true", "max_publish_per_hour": "1000",
                "max_publish_per_sec": 8.9, "max_message_size": " 4194304 ", "daily_quota": "5.36870912e9",
            }),
        ] {
            assert_eq!(client(&claims).expect("sound").limits, expected, "{claims}");
        }
        let most = with("daily_quota", json!(u64::MAX)).expect("sound").limits.daily_bytes;
        assert_eq!(most, LIMIT_MAX);
        assert_eq!(
            with("daily_quota", json!("1e300")).expect("sound").limits.daily_bytes,
            LIMIT_MAX
        );
        assert_eq!(
            with("max_publish_per_sec", json!(0)).expect("sound").limits.publishes_per_second,
            0
        );
    }

    #[test]
    fn a_limit_that_is_no_number_is_named_with_what_it_is() {
        for value in
            [json!(-1), json!("many"), json!("NaN"), json!(true), json!([7]), json!({}), json!("")]
        {
            let error =
                with("max_publish_per_sec", value.clone()).expect_err("refused").to_string();
            assert!(
                error.starts_with("invalid token claims format: max_publish_per_sec is "),
                "{error}"
            );
            assert!(error.contains(&value.to_string()), "{error}");
        }
        let error = with("daily_quota", json!("é".repeat(10_000))).expect_err("refused");
        assert!(error.to_string().len() < 300, "{error}");
    }

    #[test]
    fn an_account_is_active_in_three_forms() {
        for yes in [json!(true), json!("true"), json!("True"), json!(1), json!(-0.5)] {
            assert!(with("is_active", yes.clone()).is_ok(), "{yes}");
        }
        for no in [
            json!(false),
            json!("false"),
            json!("yes"),
            json!(""),
            json!(0),
            json!(0.0),
            json!(null),
            json!([true]),
        ] {
            assert_eq!(with("is_active", no.clone()), Err(ClaimsError::Inactive), "{no}");
        }
        assert_eq!(client(&json!({ "sub": "u" })), Err(ClaimsError::Inactive));
    }

    #[test]
    fn a_client_is_named_by_client_id_else_by_its_subject() {
        assert_eq!(with("client_id", json!("own")).expect("sound").id, "own");
        for nothing in [json!(""), json!(null)] {
            assert_eq!(with("client_id", nothing).expect("sound").id, "auth0|u1");
        }
        assert_eq!(with("sub", json!(null)), Err(ClaimsError::Nameless));
        for wrong in [json!(7), json!("a\nb"), json!("x".repeat(CLIENT_ID_BYTES_MAX + 1))] {
            assert!(matches!(with("sub", wrong), Err(ClaimsError::Format { claim: "sub", .. })));
        }
    }

    proptest! {
        #[test]
        fn any_number_is_a_limit_that_is_not_above_it(number in 0.0..1e20_f64) {
            let limits = with("daily_quota", json!(number)).expect("sound").limits;
            prop_assert!(limits.daily_bytes as f64 <= number && limits.daily_bytes <= LIMIT_MAX);
        }
    }
}
