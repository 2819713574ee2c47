//! TLS on the faces of a daemon.

use std::path::PathBuf;

use crate::env::{ConfigError, Env};

/// Where the certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// `TLS_CERT`: PEM, the daemon's own certificate first.
    pub certificates: PathBuf,
    /// `TLS_KEY`: PEM.
    pub key: PathBuf,
}

/// The help text's list of variables: name, default, meaning.
pub const VARIABLES: &[(&str, &str, &str)] = &[
    ("TLS_CERT", "(none)", "PEM file of certificates; with TLS_KEY, TLS on gRPC and HTTP"),
    ("TLS_KEY", "(none)", "PEM file of the key of TLS_CERT"),
];

impl TlsFiles {
    /// Reads the variables; none when neither is set.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if only one of them is set.
    pub fn from_env(env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        match (env.filled("TLS_CERT"), env.filled("TLS_KEY")) {
            (Some(certificates), Some(key)) => {
                Ok(Some(Self { certificates: certificates.into(), key: key.into() }))
            }
            (None, None) => Ok(None),
            (certificates, _) => {
                let missing = if certificates.is_none() { "TLS_CERT" } else { "TLS_KEY" };
                let problem = "one alone is no use".to_owned();
                Err(env.error(missing, problem, "both TLS_CERT and TLS_KEY, or neither"))
            }
        }
    }
}
