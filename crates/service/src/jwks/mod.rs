//! The keys that sign tokens (a JWKS), from a file or a URL, and the check of tokens against them.
//!
//! A file is looked at for each token and read again when it changed. A URL is asked when its keys
//! are old, or a token names one that is not among them; not more often than [`Pace`] allows,
//! however many such tokens come, and tokens of known keys never wait for it.

mod file;
mod set;
mod url;
mod verify;

use std::sync::Arc;

use thiserror::Error;
use token::{Algorithm, Head};

use file::FileKeys;
use set::Key;
use url::UrlKeys;
pub use url::{Fetches, Pace};
pub use verify::{LEEWAY_SECONDS, Rules, VerifyError};

/// Longest set of keys in bytes.
const KEYS_BYTES_MAX: usize = 1 << 20;

/// Keys that cannot be had.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// What happened.
        error: std::io::Error,
    },
    /// The URL is none, or does not answer as it should.
    #[error("{0}")]
    Fetch(#[from] reqwest::Error),
    /// The URL is none.
    #[error("no URL: {0}")]
    Url(String),
    /// There is more than a megabyte.
    #[error("longer than {KEYS_BYTES_MAX} bytes")]
    TooLong,
    /// It is no JWKS.
    #[error("no JWKS: {0}")]
    NoJwks(#[from] serde_json::Error),
    /// No key can be used.
    #[error("no key of it is for {0:?}")]
    NoneUsable(&'static [Algorithm]),
}

/// Keys from a file or a URL, each for the algorithms of its own kind only.
#[derive(Debug)]
pub struct Keys {
    source: Source,
    /// The algorithms that are allowed at all.
    algorithms: &'static [Algorithm],
}

#[derive(Debug)]
enum Source {
    File(FileKeys),
    Url(Arc<UrlKeys>),
}

impl Keys {
    /// Takes keys for `algorithms` from a file or a URL. The file is read now, the URL when the first
    /// token comes.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or holds no key that can be used.
    pub async fn new(source: &str, algorithms: &'static [Algorithm]) -> Result<Self, KeysError> {
        Self::with_pace(source, algorithms, Pace::default()).await
    }

    /// The same, with times for a URL that are not the usual ones.
    ///
    /// # Errors
    ///
    /// As [`Keys::new`].
    pub async fn with_pace(
        source: &str,
        algorithms: &'static [Algorithm],
        pace: Pace,
    ) -> Result<Self, KeysError> {
        let source = if source.starts_with("http://") || source.starts_with("https://") {
            Source::Url(Arc::new(UrlKeys::new(source, algorithms, pace)?))
        } else {
            Source::File(FileKeys::new(source.into(), algorithms).await?)
        };
        Ok(Self { source, algorithms })
    }

    /// Returns how often the URL was asked.
    pub fn fetches(&self) -> Fetches {
        match &self.source {
            Source::File(_) => Fetches::default(),
            Source::Url(keys) => keys.fetches(),
        }
    }

    async fn find(&self, head: &Head) -> Result<Arc<Key>, VerifyError> {
        if !self.algorithms.contains(&head.algorithm) {
            return Err(VerifyError::Algorithm(head.algorithm));
        }
        match &self.source {
            Source::File(keys) => keys.find(head).await.map_err(VerifyError::from),
            Source::Url(keys) => keys.find(head).await,
        }
    }
}
