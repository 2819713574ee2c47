//! What says how a token is to be checked.

pub use jsonwebtoken::Algorithm;
use jsonwebtoken::decode_header;
use thiserror::Error;

/// Longest token in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;

/// Longest name of a key in bytes.
pub const KEY_ID_BYTES_MAX: usize = 256;

/// An `Authorization` header that bears no token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BearerError {
    /// There is none, or it is empty.
    #[error("missing token: a header `Authorization: Bearer <token>` is needed")]
    Missing,
    /// It is of another scheme.
    #[error("no bearer token: the header must read `Authorization: Bearer <token>`")]
    OtherScheme,
}

/// Returns the token of an `Authorization` header.
///
/// # Errors
///
/// Returns an error if there is none.
pub fn bearer(authorization: Option<&str>) -> Result<&str, BearerError> {
    let text = authorization.unwrap_or_default().trim();
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    match (scheme, token.trim()) {
        ("", _) => Err(BearerError::Missing),
        (scheme, _) if !scheme.eq_ignore_ascii_case("bearer") => Err(BearerError::OtherScheme),
        (_, "") => Err(BearerError::Missing),
        (_, token) => Ok(token),
    }
}

/// A token whose head cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeadError {
    /// It is longer than [`TOKEN_BYTES_MAX`].
    #[error("{0} bytes are longer than {TOKEN_BYTES_MAX}")]
    TooLong(usize),
    /// It is not three parts in base64url, its head is no JSON object, or the object names an
    /// algorithm that does not exist (`none` among them).
    #[error("{0}")]
    Malformed(String),
    /// The name of its key is longer than [`KEY_ID_BYTES_MAX`].
    #[error("kid is longer than {KEY_ID_BYTES_MAX} bytes")]
    KeyIdTooLong,
    /// It asks for extensions (`crit`); none is known here.
    #[error("it asks for extensions (crit), and none is known")]
    Critical,
}

/// The head of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// `kid`: which key signed it.
    pub key_id: Option<String>,
    /// `alg`: how.
    pub algorithm: Algorithm,
}

impl Head {
    /// Reads the head of a token.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be used.
    pub fn of(token: &str) -> Result<Self, HeadError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(HeadError::TooLong(token.len()));
        }
        let header =
            decode_header(token).map_err(|error| HeadError::Malformed(error.to_string()))?;
        if header.crit.is_some() {
            return Err(HeadError::Critical);
        }
        if header.kid.as_ref().is_some_and(|id| id.len() > KEY_ID_BYTES_MAX) {
            return Err(HeadError::KeyIdTooLong);
        }
        Ok(Self { key_id: header.kid, algorithm: header.alg })
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    fn headed(head: &str) -> String {
        format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(head))
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        for header in ["Bearer a.b.c", "bearer a.b.c", " BEARER   a.b.c "] {
            assert_eq!(bearer(Some(header)), Ok("a.b.c"), "{header}");
        }
        for header in [None, Some(""), Some("Bearer"), Some("Bearer  ")] {
            assert_eq!(bearer(header), Err(BearerError::Missing), "{header:?}");
        }
        for header in ["Basic dTpw", "a.b.c", "Bearera.b.c"] {
            assert_eq!(bearer(Some(header)), Err(BearerError::OtherScheme), "{header}");
        }
    }

    #[test]
    fn a_head_says_which_key_signed_and_how() {
        let head = Head::of(&headed(r#"{"alg":"RS256","kid":"k1","typ":"JWT"}"#)).expect("sound");
        assert_eq!(head, Head { key_id: Some("k1".to_owned()), algorithm: Algorithm::RS256 });
        let head = Head::of(&headed(r#"{"alg":"EdDSA"}"#)).expect("sound");
        assert_eq!((head.key_id, head.algorithm), (None, Algorithm::EdDSA));
    }

    #[test]
    fn a_head_that_cannot_be_used_is_refused() {
        let named =
            |bytes: usize| headed(&format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(bytes)));
        assert!(Head::of(&named(KEY_ID_BYTES_MAX)).is_ok());
        assert_eq!(Head::of(&named(KEY_ID_BYTES_MAX + 1)), Err(HeadError::KeyIdTooLong));
        let critical = headed(r#"{"alg":"RS256","crit":["exp"]}"#);
        assert_eq!(Head::of(&critical), Err(HeadError::Critical));
        let long = "x".repeat(TOKEN_BYTES_MAX + 1);
        assert_eq!(Head::of(&long), Err(HeadError::TooLong(TOKEN_BYTES_MAX + 1)));
        for token in ["", ".", "..", "a.b", "a.b.c.d", "\u{e9}.\u{e9}.\u{e9}"] {
            assert!(matches!(Head::of(token), Err(HeadError::Malformed(_))), "{token}");
        }
        for head in
            ["", "null", "[]", "{}", r#"{"alg":"none"}"#, r#"{"alg":7}"#, "{\"alg\":\"RS256\""]
        {
            assert!(matches!(Head::of(&headed(head)), Err(HeadError::Malformed(_))), "{head}");
        }
    }
}
