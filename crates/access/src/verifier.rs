//! Who a client is, by its token.

use service::jwks::{Fetches, Keys, KeysError, Pace, Rules, VerifyError};
use thiserror::Error;
use token::{Algorithm, BearerError, ClaimsError, Client, bearer};

use crate::{AuthConfig, Refusal};

/// How tokens may be signed: the contract, section 2.6.
const ALGORITHMS: &[Algorithm] = &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512];

/// Turns tokens into clients.
#[derive(Debug)]
pub struct Verifier {
    keys: Keys,
    rules: Rules,
    pause_seconds: u64,
}

/// A client that is not let in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuthError {
    /// It shows no token.
    #[error(transparent)]
    Bearer(#[from] BearerError),
    /// Its token is not believed.
    #[error(transparent)]
    Token(#[from] VerifyError),
    /// Its token is believed, and does not let it in.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// Whether its token is to be believed cannot be found out now.
    #[error("the keys that sign tokens cannot be fetched: {problem}")]
    KeysAway {
        /// What happened.
        problem: String,
        /// After how long they are asked for again.
        retry_after_seconds: u64,
    },
}

impl AuthError {
    /// Returns a word for it, as a label of metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bearer(_) => "no_token",
            Self::Token(VerifyError::Expired) => "expired",
            Self::Token(_) => "invalid_token",
            Self::Claims(ClaimsError::Inactive) => "inactive",
            Self::Claims(_) => "invalid_claims",
            Self::KeysAway { .. } => "keys_away",
        }
    }
}

impl Refusal for AuthError {
    fn code(&self) -> u16 {
        match self {
            Self::Claims(ClaimsError::Inactive) => 403,
            Self::KeysAway { .. } => 503,
            Self::Bearer(_) | Self::Token(_) | Self::Claims(_) => 401,
        }
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::KeysAway { retry_after_seconds, .. } => Some(*retry_after_seconds),
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
        Ok(Self { keys, rules, pause_seconds: pace.pause.as_secs().max(1) })
    }

    /// Returns who an `Authorization` header says that a client is, and what it may do.
    ///
    /// # Errors
    ///
    /// Returns an error that says why it is not let in.
    pub async fn client(&self, authorization: Option<&str>) -> Result<Client, AuthError> {
        let token = bearer(authorization)?;
        let claims = self.keys.verify(token, &self.rules).await.map_err(|error| match error {
            VerifyError::KeysAway(problem) => {
                AuthError::KeysAway { problem, retry_after_seconds: self.pause_seconds }
            }
            error => error.into(),
        })?;
        Ok(Client::from_claims(&claims)?)
    }

    /// Returns how often the keys were asked for.
    pub fn fetches(&self) -> Fetches {
        self.keys.fetches()
    }
}
