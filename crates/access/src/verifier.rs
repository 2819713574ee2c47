//! Who a client is, by its token.

use service::jwks::{Fetches, Keys, KeysError, Pace, Rules, VerifyError};
use thiserror::Error;
use token::{Algorithm, BearerError, ClaimsError, Client, bearer};

use crate::{AuthConfig, Refusal};

/// How tokens may be signed: the contract, section 2.6.
const ALGORITHMS: &[Algorithm] = &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512];

/// After how long it is worth another try when keys could not be fetched: they are asked for again
/// then.
const KEYS_AWAY_SECONDS: u64 = 10;

/// Turns tokens into clients.
#[derive(Debug)]
pub struct Verifier {
    keys: Keys,
    rules: Rules,
}

/// A client that is not let in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuthError {
    /// It shows no token.
    #[error(transparent)]
    Bearer(#[from] BearerError),
    /// Its token is not believed, or the keys to tell cannot be had.
    #[error(transparent)]
    Token(#[from] VerifyError),
    /// Its token is believed, and does not let it in.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

impl AuthError {
    /// Returns a word for it, as a label of metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bearer(_) => "no_token",
            Self::Token(VerifyError::Expired) => "expired",
            Self::Token(VerifyError::KeysAway(_)) => "keys_away",
            Self::Token(_) => "invalid_token",
            Self::Claims(ClaimsError::Inactive) => "inactive",
            Self::Claims(_) => "invalid_claims",
        }
    }
}

impl Refusal for AuthError {
    fn code(&self) -> u16 {
        match self {
            Self::Claims(ClaimsError::Inactive) => 403,
            Self::Token(VerifyError::KeysAway(_)) => 503,
            Self::Bearer(_) | Self::Token(_) | Self::Claims(_) => 401,
        }
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Token(VerifyError::KeysAway(_)) => Some(KEYS_AWAY_SECONDS),
            Self::Bearer(_) | Self::Token(_) | Self::Claims(_) => None,
        }
    }
}

impl Verifier {
    /// Believes the tokens that `config` says. Keys from a file are read now, keys from a URL when
    /// the first token comes.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or holds no key that can be used.
    pub async fn new(config: &AuthConfig) -> Result<Self, KeysError> {
        Self::with_pace(config, Pace::default()).await
    }

    /// The same, asking for keys at other times than usual.
    ///
    /// # Errors
    ///
    /// As [`Verifier::new`].
    pub async fn with_pace(config: &AuthConfig, pace: Pace) -> Result<Self, KeysError> {
        let issuer = Some(config.issuer.clone());
        let rules = Rules { issuer, audience: Some(config.audience.clone()) };
        let keys = Keys::with_pace(&config.jwks, ALGORITHMS, pace).await?;
        Ok(Self { keys, rules })
    }

    /// Returns who an `Authorization` header says that a client is, and what it may do.
    ///
    /// # Errors
    ///
    /// Returns an error that says why it is not let in.
    pub async fn client(&self, authorization: Option<&str>) -> Result<Client, AuthError> {
        let token = bearer(authorization)?;
        let claims = self.keys.verify(token, &self.rules).await?;
        Ok(Client::from_claims(&claims)?)
    }

    /// Returns how often the keys were asked for.
    pub fn fetches(&self) -> Fetches {
        self.keys.fetches()
    }
}
