//! The check of a token.

use jsonwebtoken::{Validation, decode, errors::ErrorKind};
use serde_json::{Map, Value};
use thiserror::Error;
use token::{Algorithm, Head, HeadError};

use super::{Keys, set::Missing};

/// How far the clock of who signs may be from ours, in seconds.
pub const LEEWAY_SECONDS: u64 = 30;

/// What a token must say beside being signed and in its time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// `iss`; none takes any.
    pub issuer: Option<String>,
    /// What `aud` must be or contain; none takes any.
    pub audience: Option<String>,
}

/// A token that is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// Its head cannot be used.
    #[error("jwt invalid: parsing token: {0}")]
    Head(#[from] HeadError),
    /// Its claims are no JSON object.
    #[error("jwt invalid: parsing token: its claims are no JSON object: {0}")]
    Claims(String),
    /// It is signed in a way that is not allowed, or not with this key.
    #[error("jwt invalid: tokens signed with {0:?} are not taken")]
    Algorithm(Algorithm),
    /// It names a key that is not there.
    #[error("jwt invalid: no key is known of kid {0:?}")]
    UnknownKey(String),
    /// It names no key, and there are several.
    #[error("jwt invalid: it names no key (kid), and there are several")]
    Unnamed,
    /// Its signature is another's.
    #[error("jwt invalid: the signature does not fit")]
    Signature,
    /// `exp` is past.
    #[error("jwt invalid: token is expired")]
    Expired,
    /// `nbf` is to come.
    #[error("jwt invalid: token is not valid yet")]
    Early,
    /// `iss` is another.
    #[error("jwt invalid: invalid issuer")]
    Issuer,
    /// `aud` is another.
    #[error("jwt invalid: invalid audience")]
    Audience,
    /// A claim that must be there is not, or is not what it must be.
    #[error("jwt invalid: invalid token claims format: {0} is missing or malformed")]
    Claim(String),
    /// The keys cannot be had: not the token's fault.
    #[error("the keys that sign tokens cannot be fetched: {0}")]
    KeysAway(String),
}

impl From<Missing> for VerifyError {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Unknown(id) => Self::UnknownKey(id),
            Missing::Unnamed => Self::Unnamed,
            Missing::Algorithm(algorithm) => Self::Algorithm(algorithm),
        }
    }
}

impl Keys {
    /// Returns the claims of a token that is signed by one of the keys, is in its time and says what
    /// `rules` want.
    ///
    /// # Errors
    ///
    /// Returns an error that says why it is not believed.
    pub async fn verify(
        &self,
        token: &str,
        rules: &Rules,
    ) -> Result<Map<String, Value>, VerifyError> {
        let head = Head::of(token)?;
        let key = self.find(&head).await?;
        // The key says how it signs: the head was held against that when the key was found.
        let mut validation = Validation::new(head.algorithm);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.validate_aud = rules.audience.is_some();
        let mut required = vec!["exp"];
        if let Some(audience) = &rules.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        if let Some(issuer) = &rules.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        match decode(token, &key.verifying, &validation) {
            Ok(token) => Ok(token.claims),
            Err(error) => Err(refusal(error.into_kind(), &head)),
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the list is open, and the rest are forms")]
fn refusal(kind: ErrorKind, head: &Head) -> VerifyError {
    match kind {
        ErrorKind::ExpiredSignature => VerifyError::Expired,
        ErrorKind::ImmatureSignature => VerifyError::Early,
        ErrorKind::InvalidIssuer => VerifyError::Issuer,
        ErrorKind::InvalidAudience => VerifyError::Audience,
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "iss" => VerifyError::Issuer,
            "aud" => VerifyError::Audience,
            _ => VerifyError::Claim(claim),
        },
        ErrorKind::InvalidClaimFormat(claim) => VerifyError::Claim(claim),
        ErrorKind::InvalidAlgorithm => VerifyError::Algorithm(head.algorithm),
        ErrorKind::InvalidSignature => VerifyError::Signature,
        ErrorKind::Json(error) => VerifyError::Claims(error.to_string()),
        kind => VerifyError::Head(HeadError::Malformed(format!("{kind:?}"))),
    }
}
