//! The keys that sign tickets: read again when their file changes, fetched again when they are old
//! or a ticket names one that is not among them.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm},
};
use reqwest::{Client, Url, redirect::Policy};
use tokio::{sync::Mutex, time::Instant};
use tracing::warn;

/// How old fetched keys may be.
const AGE_MAX: Duration = Duration::from_secs(300);

/// How long nothing is fetched after an attempt, whatever key a ticket names.
const ATTEMPT_PAUSE: Duration = Duration::from_secs(10);

/// How long a fetch may take.
const FETCH_WAIT: Duration = Duration::from_secs(5);

/// Longest set of keys in bytes.
const KEYS_BYTES_MAX: usize = 1 << 20;

/// One key and the only way it signs.
#[derive(Debug)]
pub struct Key {
    id: Option<String>,
    /// How it signs.
    pub algorithm: Algorithm,
    /// What checks a signature.
    pub verifying: DecodingKey,
}

type Set = Vec<Arc<Key>>;

/// Keys from a file or a URL.
#[derive(Debug)]
pub enum Keys {
    /// A file that is looked at for each token.
    File(FileKeys),
    /// A URL that is asked at times.
    Url(Box<UrlKeys>),
}

/// Keys from a file.
#[derive(Debug)]
pub struct FileKeys {
    path: PathBuf,
    /// What was read, and the file's time and length then.
    read: Mutex<(Stamp, Set)>,
}

type Stamp = (Option<SystemTime>, u64);

/// Keys from a URL.
#[derive(Debug)]
pub struct UrlKeys {
    url: Url,
    client: Client,
    /// Held during a fetch: those that wait for one use its result.
    fetched: Mutex<Fetched>,
}

#[derive(Debug, Default)]
struct Fetched {
    set: Set,
    at: Option<Instant>,
    attempted: Option<Instant>,
    problem: Option<String>,
}

impl Keys {
    /// Reads a file now, a URL when a key of it is first wanted.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or holds no key that can be used.
    pub async fn new(source: &str) -> anyhow::Result<Self> {
        if source.starts_with("http://") || source.starts_with("https://") {
            let url = Url::parse(source)?;
            let client = Client::builder().timeout(FETCH_WAIT).redirect(Policy::none()).build()?;
            return Ok(Self::Url(Box::new(UrlKeys { url, client, fetched: Mutex::default() })));
        }
        let path = PathBuf::from(source);
        let read = Mutex::new(read(&path).await?);
        Ok(Self::File(FileKeys { path, read }))
    }

    /// Returns the key of this id; without an id the only key there is.
    ///
    /// # Errors
    ///
    /// Returns a text that says why there is none.
    pub async fn find(&self, id: Option<&str>) -> Result<Arc<Key>, String> {
        match self {
            Self::File(keys) => keys.find(id).await,
            Self::Url(keys) => keys.find(id).await,
        }
    }
}

impl FileKeys {
    async fn find(&self, id: Option<&str>) -> Result<Arc<Key>, String> {
        let mut current = self.read.lock().await;
        let is_changed = stamp(&self.path).await.is_ok_and(|stamp| stamp != current.0);
        if is_changed {
            match read(&self.path).await {
                Ok(read) => *current = read,
                Err(error) => warn!(%error, "the old keys of SIDECAR_JWKS stay"),
            }
        }
        choose(&current.1, id)
    }
}

async fn stamp(path: &PathBuf) -> std::io::Result<Stamp> {
    let metadata = tokio::fs::metadata(path).await?;
    Ok((metadata.modified().ok(), metadata.len()))
}

async fn read(path: &PathBuf) -> anyhow::Result<(Stamp, Set)> {
    // The time first: a change during the read is seen as one the next time.
    let stamp = stamp(path).await.with_context(|| path.display().to_string())?;
    anyhow::ensure!(stamp.1 <= KEYS_BYTES_MAX as u64, "{}: too long", path.display());
    let json = tokio::fs::read(path).await.with_context(|| path.display().to_string())?;
    Ok((stamp, parse(&json).with_context(|| path.display().to_string())?))
}

impl UrlKeys {
    async fn find(&self, id: Option<&str>) -> Result<Arc<Key>, String> {
        let mut fetched = self.fetched.lock().await;
        let is_old = fetched.at.is_none_or(|at| at.elapsed() > AGE_MAX);
        let is_paused = fetched.attempted.is_some_and(|at| at.elapsed() < ATTEMPT_PAUSE);
        if (is_old || choose(&fetched.set, id).is_err()) && !is_paused {
            fetched.attempted = Some(Instant::now());
            match self.fetch().await {
                Ok(set) => {
                    *fetched = Fetched { set, at: fetched.attempted, problem: None, ..*fetched };
                }
                Err(error) => {
                    warn!(url = %self.url, "the keys of SIDECAR_JWKS cannot be fetched: {error:#}");
                    fetched.problem = Some(format!("{error:#}"));
                }
            }
        }
        choose(&fetched.set, id).map_err(|unknown| match &fetched.problem {
            Some(problem) => format!("{unknown}; the keys cannot be fetched: {problem}"),
            None => unknown,
        })
    }

    async fn fetch(&self) -> anyhow::Result<Set> {
        let mut response = self.client.get(self.url.clone()).send().await?.error_for_status()?;
        let mut json = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            anyhow::ensure!(json.len() + chunk.len() <= KEYS_BYTES_MAX, "the answer is too long");
            json.extend_from_slice(&chunk);
        }
        parse(&json)
    }
}

fn choose(set: &[Arc<Key>], id: Option<&str>) -> Result<Arc<Key>, String> {
    let found = match (id, set) {
        (None, [only]) => Some(only),
        (None, _) => return Err("the ticket names no key (kid), and there are several".to_owned()),
        (Some(id), _) => set.iter().find(|key| key.id.as_deref() == Some(id)),
    };
    found.cloned().ok_or_else(|| format!("no key is known of the ticket's kid {id:?}"))
}

/// Returns the keys that can be used; others are left out.
fn parse(json: &[u8]) -> anyhow::Result<Set> {
    let set: JwkSet = serde_json::from_slice(json).context("no JWKS")?;
    let usable = set.keys.iter().filter_map(|jwk| {
        let algorithm = algorithm(jwk)?;
        let verifying = DecodingKey::from_jwk(jwk).ok()?;
        Some(Arc::new(Key { id: jwk.common.key_id.clone(), algorithm, verifying }))
    });
    let usable: Set = usable.collect();
    anyhow::ensure!(!usable.is_empty(), "no key of it is for EdDSA, ES256 or RS256");
    Ok(usable)
}

/// Returns how a key signs: by its kind, if what it says of itself agrees.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other kinds are left out")]
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let (algorithm, name) = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        _ => return None,
    };
    jwk.common.key_algorithm.as_ref().is_none_or(|said| *said == name).then_some(algorithm)
}
