//! Keys from a URL: when it is asked is decided by [`Known::plan`].

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Client, Url, redirect::Policy};
use token::{Algorithm, Head};
use tracing::warn;

use super::{
    KEYS_BYTES_MAX, KeysError, VerifyError,
    set::{Key, KeySet, Missing},
};

/// When a URL is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How old keys may be before they are fetched again; meanwhile the old ones hold.
    pub age_max: Duration,
    /// How long nothing is fetched after an attempt, whatever key a token names.
    pub pause: Duration,
    /// How long a fetch may take.
    pub wait: Duration,
}

impl Default for Pace {
    /// Five minutes, ten seconds, five seconds.
    fn default() -> Self {
        Self {
            age_max: Duration::from_secs(300),
            pause: Duration::from_secs(10),
            wait: Duration::from_secs(5),
        }
    }
}

/// How often a URL was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetches {
    /// All attempts.
    pub attempts: u64,
    /// Those that brought no keys.
    pub failures: u64,
}

/// What is known of the keys, and since when.
#[derive(Debug, Default)]
struct Known {
    set: KeySet,
    fetched: Option<Instant>,
    attempted: Option<Instant>,
    problem: Option<String>,
}

/// What to do about a token.
#[derive(Debug)]
enum Plan {
    /// Its key is known.
    Use(Arc<Key>),
    /// Its key is known but old: use it, and ask beside that.
    Refresh(Arc<Key>),
    /// It waits for a fetch.
    Fetch,
    /// There is no key, and it is too early to ask.
    Refuse(Missing),
}

impl Known {
    fn plan(&self, head: &Head, now: Instant, pace: &Pace) -> Plan {
        let since = |then: Option<Instant>| then.map(|then| now.saturating_duration_since(then));
        let is_old = since(self.fetched).is_none_or(|age| age > pace.age_max);
        let is_paused = since(self.attempted).is_some_and(|age| age < pace.pause);
        match self.set.choose(head) {
            Ok(key) if is_old && !is_paused => Plan::Refresh(key),
            Ok(key) => Plan::Use(key),
            Err(_) if is_old && !is_paused => Plan::Fetch,
            Err(Missing::Unknown(_)) if !is_paused => Plan::Fetch,
            Err(missing) => Plan::Refuse(missing),
        }
    }
}

#[derive(Debug)]
pub(super) struct UrlKeys {
    url: Url,
    algorithms: &'static [Algorithm],
    pace: Pace,
    client: Client,
    known: Mutex<Known>,
    /// Held during a fetch: those that wait for one use its result.
    fetching: Arc<tokio::sync::Mutex<()>>,
    attempts: AtomicU64,
    failures: AtomicU64,
}

impl UrlKeys {
    pub(super) fn new(
        url: &str,
        algorithms: &'static [Algorithm],
        pace: Pace,
    ) -> Result<Self, KeysError> {
        Ok(Self {
            url: Url::parse(url).map_err(|error| KeysError::Url(error.to_string()))?,
            algorithms,
            pace,
            client: Client::builder().timeout(pace.wait).redirect(Policy::none()).build()?,
            known: Mutex::default(),
            fetching: Arc::default(),
            attempts: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })
    }

    pub(super) fn fetches(&self) -> Fetches {
        Fetches {
            attempts: self.attempts.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }

    pub(super) async fn find(self: &Arc<Self>, head: &Head) -> Result<Arc<Key>, VerifyError> {
        match self.plan(head) {
            Plan::Use(key) => Ok(key),
            Plan::Refresh(key) => {
                self.refresh();
                Ok(key)
            }
            Plan::Refuse(missing @ Missing::Algorithm(_)) => Err(self.refusal(missing)),
            Plan::Refuse(_) | Plan::Fetch => {
                // Who waited for another's fetch looks at what it brought.
                let fetching = self.fetching.lock().await;
                if matches!(self.plan(head), Plan::Fetch) {
                    self.fetch().await;
                }
                drop(fetching);
                let found = self.known.lock().expect("nothing panics under it").set.choose(head);
                found.map_err(|missing| self.refusal(missing))
            }
        }
    }

    fn plan(&self, head: &Head) -> Plan {
        let known = self.known.lock().expect("nothing panics under it");
        known.plan(head, Instant::now(), &self.pace)
    }

    /// Fetches beside the call, unless somebody does already.
    fn refresh(self: &Arc<Self>) {
        if let Ok(fetching) = Arc::clone(&self.fetching).try_lock_owned() {
            let keys = Arc::clone(self);
            tokio::spawn(async move {
                keys.fetch().await;
                drop(fetching);
            });
        }
    }

    async fn fetch(&self) {
        let now = Instant::now();
        self.attempts.fetch_add(1, Ordering::Relaxed);
        // Noted before the answer: a caller that goes away meanwhile does not lift the pause.
        self.known.lock().expect("nothing panics under it").attempted = Some(now);
        let fetched = self.ask().await;
        let mut known = self.known.lock().expect("nothing panics under it");
        match fetched {
            Ok(set) => {
                *known = Known { set, fetched: Some(now), problem: None, ..*known };
            }
            Err(error) => {
                let problem = chain(&error);
                warn!(host = ?self.url.host_str(), problem, "the keys of tokens cannot be fetched");
                self.failures.fetch_add(1, Ordering::Relaxed);
                known.problem = Some(problem);
            }
        }
    }

    async fn ask(&self) -> Result<KeySet, KeysError> {
        let mut response = self.client.get(self.url.clone()).send().await?.error_for_status()?;
        let mut json = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if json.len() + chunk.len() > KEYS_BYTES_MAX {
                return Err(KeysError::TooLong);
            }
            json.extend_from_slice(&chunk);
        }
        KeySet::parse(&json, self.algorithms)
    }

    /// A token is not to blame for a key that could not be looked for.
    fn refusal(&self, missing: Missing) -> VerifyError {
        let known = self.known.lock().expect("nothing panics under it");
        match (&known.problem, missing) {
            (Some(problem), Missing::Unknown(_) | Missing::Unnamed) => {
                VerifyError::KeysAway(problem.clone())
            }
            (_, missing) => missing.into(),
        }
    }
}

/// Writes an error with what caused it, without the URL, which may bear a secret.
fn chain(error: &KeysError) -> String {
    let mut text = match error {
        KeysError::Fetch(fetch) => {
            let status = fetch.status().map(|status| format!("status {status}"));
            status.unwrap_or_else(|| "no answer".to_owned())
        }
        KeysError::Read { .. }
        | KeysError::Url(_)
        | KeysError::TooLong
        | KeysError::NoJwks(_)
        | KeysError::NoneUsable(_) => error.to_string(),
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source.and_then(std::error::Error::source) {
        text = format!("{text}: {cause}");
        source = Some(cause);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        age_max: Duration::from_secs(300),
        pause: Duration::from_secs(10),
        wait: Duration::from_secs(5),
    };

    fn head(key_id: &str, algorithm: Algorithm) -> Head {
        Head { key_id: Some(key_id.to_owned()), algorithm }
    }

    fn known(since: Instant) -> Known {
        let json = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let set = KeySet::parse(json, &[Algorithm::EdDSA]).expect("a JWKS");
        Known { set, fetched: Some(since), attempted: Some(since), problem: None }
    }

    #[test]
    fn a_known_key_is_used_and_an_old_one_refreshed_beside_that() {
        let start = Instant::now();
        let (known, head) = (known(start), head("a", Algorithm::EdDSA));
        let plan = |seconds| known.plan(&head, start + Duration::from_secs(seconds), &PACE);
        assert!(matches!(plan(0), Plan::Use(_)));
        assert!(matches!(plan(300), Plan::Use(_)));
        assert!(matches!(plan(301), Plan::Refresh(_)));
    }

    #[test]
    fn an_unknown_key_waits_for_a_fetch_once_a_pause() {
        let start = Instant::now();
        let mut known = known(start);
        let head = head("b", Algorithm::EdDSA);
        let at = |seconds| start + Duration::from_secs(seconds);
        let refused = Missing::Unknown("b".to_owned());
        assert!(
            matches!(known.plan(&head, at(9), &PACE), Plan::Refuse(missing) if missing == refused)
        );
        assert!(matches!(known.plan(&head, at(10), &PACE), Plan::Fetch));
        known.attempted = Some(at(10));
        assert!(matches!(known.plan(&head, at(11), &PACE), Plan::Refuse(_)));
        assert!(matches!(Known::default().plan(&head, start, &PACE), Plan::Fetch));
    }

    #[test]
    fn a_known_key_of_another_algorithm_is_no_reason_to_fetch() {
        let start = Instant::now();
        let plan =
            known(start).plan(&head("a", Algorithm::RS256), start + Duration::from_secs(20), &PACE);
        assert!(matches!(plan, Plan::Refuse(Missing::Algorithm(Algorithm::RS256))));
    }

    #[test]
    fn after_a_failure_an_old_key_holds_and_the_next_attempt_waits() {
        let start = Instant::now();
        let mut known = known(start);
        let head = head("a", Algorithm::EdDSA);
        known.attempted = Some(start + Duration::from_secs(400));
        let plan = |seconds| known.plan(&head, start + Duration::from_secs(seconds), &PACE);
        assert!(matches!(plan(401), Plan::Use(_)));
        assert!(matches!(plan(410), Plan::Refresh(_)));
    }
}
