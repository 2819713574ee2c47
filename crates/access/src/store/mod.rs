//! What proxies remember of their clients: in memory, or in Redis where several share it.

mod breaker;
mod expiring;
mod memory;
mod redis;
mod usage;

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::redis::{RedisError, RedisResult};
use thiserror::Error;
use token::Limits;
use tokio::{sync::broadcast, task::JoinHandle, time::Instant};
use tracing::{info, warn};

use self::{breaker::Breaker, memory::Memory, redis::Redis};
pub(crate) use usage::Exceeded;

use crate::{OnFailure, RedisConfig, Refusal};

/// Most topics of one client.
pub const TOPICS_PER_CLIENT_MAX: usize = 1024;

/// News of subscriptions that wait for a slow reader; it is told [`Change::Any`] beyond that.
const CHANGES_WAITING: usize = 1024;

/// A published message's id: SHA-256, as bytes.
pub type MessageId = [u8; 32];

/// Whose a message id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Ours: nobody asked before.
    First,
    /// Another's, or ours from before.
    Taken,
}

/// A topic that a client wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// Its name.
    pub topic: String,
    /// The share of nodes that must have reported a message, 0 to 1.
    pub threshold: f32,
}

/// News from other proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The subscriptions of a client are not what they were.
    Of(Arc<str>),
    /// News may have been lost: any client's may not be.
    Any,
}

/// What the store cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// Redis is away, and `REDIS_FAILURE` is `closed`.
    #[error("the shared state (Redis) is away; try again")]
    Away,
    /// The client has [`TOPICS_PER_CLIENT_MAX`] topics.
    #[error("too many topics: {TOPICS_PER_CLIENT_MAX} are the most of one client")]
    TopicsFull,
}

impl Refusal for StoreError {
    fn code(&self) -> u16 {
        match self {
            Self::Away => 503,
            Self::TopicsFull => 429,
        }
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Away => Some(1),
            Self::TopicsFull => None,
        }
    }
}

/// Numbers for a page of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whether Redis answered last; none without Redis.
    pub redis_is_there: Option<bool>,
    /// Calls that Redis answered.
    pub redis_answered: u64,
    /// Calls that it did not.
    pub redis_failed: u64,
    /// Calls that went by memory while it was away.
    pub went_by_memory: u64,
    /// Calls that were refused while it was away.
    pub refused: u64,
    /// Clients whose use was forgotten for want of room.
    pub usages_forgotten: u64,
    /// Published ids forgotten for want of room.
    pub claims_forgotten: u64,
    /// Clients whose subscriptions were forgotten for want of room.
    pub subscriptions_forgotten: u64,
}

/// Quotas, published ids and subscriptions.
///
/// Memory always has what this proxy itself claimed and subscribed. With Redis the answers come from
/// there; while it is away, from memory, or there are none.
pub struct Store {
    memory: Mutex<Memory>,
    shared: Option<Shared>,
    changes: broadcast::Sender<Change>,
}

struct Shared {
    redis: Redis,
    on_failure: OnFailure,
    breaker: Mutex<Breaker>,
    news: JoinHandle<()>,
    answered: AtomicU64,
    failed: AtomicU64,
    went_by_memory: AtomicU64,
    refused: AtomicU64,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.news.abort();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Store {
    /// Remembers by itself, until the process ends.
    pub fn in_memory() -> Self {
        let changes = broadcast::Sender::new(CHANGES_WAITING);
        Self { memory: Mutex::default(), shared: None, changes }
    }

    /// Shares a Redis with the other proxies of a cluster. It need not be there yet.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is none.
    ///
    /// # Panics
    ///
    /// Panics outside a runtime of tokio.
    pub fn shared(config: &RedisConfig, cluster_id: &str) -> Result<Self, RedisError> {
        let changes = broadcast::Sender::new(CHANGES_WAITING);
        let redis = Redis::new(&config.url, cluster_id)?;
        let news = tokio::spawn(redis.news(changes.clone()));
        let shared = Shared {
            redis,
            on_failure: config.on_failure,
            breaker: Mutex::default(),
            news,
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            went_by_memory: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        Ok(Self { memory: Mutex::default(), shared: Some(shared), changes })
    }

    /// Counts a message of a client, or says which limit it is beyond.
    pub(crate) async fn admit(
        &self,
        client: &str,
        limits: &Limits,
        bytes: u64,
    ) -> Result<Option<Exceeded>, StoreError> {
        match self.ask(async |redis| redis.admit(client, limits, bytes).await).await? {
            Some(answer) => Ok(answer),
            None => Ok(self.memory().admit(client, limits, bytes, now())),
        }
    }

    /// Claims a message id for `ttl`. Of several that ask, at whatever proxy, one is the first.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Away`] if nobody can tell; then nothing is claimed.
    pub async fn claim(&self, id: &MessageId, ttl: Duration) -> Result<Claim, StoreError> {
        // What this proxy holds needs no question; and of two that ask here, one goes on.
        let Some(number) = self.memory().claim(id, ttl, now()) else { return Ok(Claim::Taken) };
        let mut doubt = Doubt { store: self, id, is_settled: false };
        let is_ours = self.ask(async |redis| redis.claim(id, number, ttl).await).await?;
        doubt.is_settled = true;
        if is_ours == Some(false) {
            // Not kept here: the other may release it.
            self.memory().release(id);
            return Ok(Claim::Taken);
        }
        Ok(Claim::First)
    }

    /// Gives a claim of this proxy up, because the message could not be published after all.
    pub async fn release(&self, id: &MessageId) {
        let Some(number) = self.memory().claim_number(id, now()) else { return };
        // Until Redis says that it is gone it may be there: then the next claim here is the same one.
        let mut doubt = Doubt { store: self, id, is_settled: false };
        let released = self.ask(async |redis| redis.release(id, number).await).await;
        if self.shared.is_none() || released == Ok(Some(())) {
            doubt.is_settled = true;
            self.memory().release(id);
        }
    }

    /// Adds a topic to a client's, or changes its threshold; all of them hold for `ttl` from now.
    ///
    /// # Errors
    ///
    /// Returns an error if there are too many, or Redis is away.
    pub async fn subscribe(
        &self,
        client: &str,
        wanted: &Subscription,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        match self.ask(async |redis| redis.subscribe(client, wanted, ttl).await).await? {
            Some(false) => Err(StoreError::TopicsFull),
            Some(true) => {
                // For when Redis is away. It is the one that counts topics.
                let _ = self.memory().subscribe(client, wanted, ttl, now());
                Ok(())
            }
            None => self.memory().subscribe(client, wanted, ttl, now()),
        }
    }

    /// Takes a topic from a client's; the others hold on.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Away`] if Redis is.
    pub async fn unsubscribe(&self, client: &str, topic: &str) -> Result<(), StoreError> {
        self.memory().unsubscribe(client, topic, now());
        self.ask(async |redis| redis.unsubscribe(client, topic).await).await.map(drop)
    }

    /// Returns the topics of a client, by name.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Away`] if Redis is.
    pub async fn subscriptions(&self, client: &str) -> Result<Vec<Subscription>, StoreError> {
        match self.ask(async |redis| redis.subscriptions(client).await).await? {
            Some(subscriptions) => Ok(subscriptions),
            None => Ok(self.memory().subscriptions(client, now())),
        }
    }

    /// Lets the topics of a client hold for `ttl` from now. Returns whether there are any: a Redis
    /// that came back empty has none, and whoever knows them subscribes again.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Away`] if Redis is.
    pub async fn keep(&self, client: &str, ttl: Duration) -> Result<bool, StoreError> {
        let in_memory = self.memory().keep(client, ttl, now());
        Ok(self.ask(async |redis| redis.keep(client, ttl).await).await?.unwrap_or(in_memory))
    }

    /// Returns news of subscriptions that any proxy of the cluster changed, this one too. One that
    /// lags has lost some: the same as [`Change::Any`]. In memory there are none.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Returns numbers for a page of metrics.
    pub fn counts(&self) -> Counts {
        let forgotten = self.memory().forgotten();
        let counts = Counts {
            usages_forgotten: forgotten.usages,
            claims_forgotten: forgotten.claims,
            subscriptions_forgotten: forgotten.subscriptions,
            ..Counts::default()
        };
        let Some(shared) = &self.shared else { return counts };
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        Counts {
            redis_is_there: Some(shared.breaker().is_there()),
            redis_answered: count(&shared.answered),
            redis_failed: count(&shared.failed),
            went_by_memory: count(&shared.went_by_memory),
            refused: count(&shared.refused),
            ..counts
        }
    }

    /// Asks Redis; none goes by memory.
    async fn ask<T>(
        &self,
        call: impl AsyncFnOnce(&Redis) -> RedisResult<T>,
    ) -> Result<Option<T>, StoreError> {
        let Some(shared) = &self.shared else { return Ok(None) };
        shared.ask(call).await
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("nothing panics under it")
    }
}

impl Shared {
    async fn ask<T>(
        &self,
        call: impl AsyncFnOnce(&Redis) -> RedisResult<T>,
    ) -> Result<Option<T>, StoreError> {
        let may_ask = self.breaker().may_ask(now());
        if may_ask {
            match call(&self.redis).await {
                Ok(answer) => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    if self.breaker().answered() {
                        info!("Redis is back");
                    }
                    return Ok(Some(answer));
                }
                Err(error) => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    if self.breaker().failed(now()) {
                        warn!(%error, on_failure = ?self.on_failure, "Redis is away");
                    }
                }
            }
        }
        match self.on_failure {
            OnFailure::Open => {
                self.went_by_memory.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
            OnFailure::Closed => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(StoreError::Away)
            }
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().expect("nothing panics under it")
    }
}

/// Doubts a claim about which there was no answer, also when the call is dropped halfway.
struct Doubt<'a> {
    store: &'a Store,
    id: &'a MessageId,
    is_settled: bool,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.store.memory().doubt(self.id, now());
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
