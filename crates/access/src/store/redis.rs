//! The same in a Redis or Valkey that several proxies share. Every key has a time to live; what
//! reads and then writes is a script. docs/access.md has the keys.

use std::time::Duration;

use futures::StreamExt as _;
use redis::{
    AsyncTypedCommands as _, Client, FromRedisValue, RedisError, RedisResult, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use token::Limits;
use tokio::{sync::broadcast, time};
use tracing::{debug, warn};

use super::{
    Change, MessageId, Subscription, TOPICS_PER_CLIENT_MAX,
    usage::{DAY, Exceeded, HOUR, SECOND},
};

/// How long a connection may take, and an answer.
const WAIT: Duration = Duration::from_millis(500);

/// How long all of a call may take, its waiting for others included.
const CALL_WAIT: Duration = Duration::from_secs(1);

/// How long the reader of news waits before it connects again.
const PAUSE: Duration = Duration::from_millis(500);

/// Calls that may wait to be written.
const CALLS_WAITING: usize = 1024;

pub(super) struct Redis {
    client: Client,
    connection: ConnectionManager,
    prefix: String,
    /// Who claims: this process, by a random name.
    owner: String,
    scripts: Scripts,
}

struct Scripts {
    admit: Script,
    claim: Script,
    release: Script,
    subscribe: Script,
    unsubscribe: Script,
}

impl Scripts {
    fn new() -> Self {
        Self {
            admit: Script::new(include_str!("scripts/admit.lua")),
            claim: Script::new(include_str!("scripts/claim.lua")),
            release: Script::new(include_str!("scripts/release.lua")),
            subscribe: Script::new(include_str!("scripts/subscribe.lua")),
            unsubscribe: Script::new(include_str!("scripts/unsubscribe.lua")),
        }
    }
}

impl Redis {
    /// Prepares a connection that is made with the first call.
    pub(super) fn new(url: &str, cluster_id: &str) -> RedisResult<Self> {
        // More than one library of ciphers may be linked, so one must be chosen for TLS. If somebody
        // chose before, that holds.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let client = Client::open(url)?;
        // Whether and when to try again is the breaker's to say.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(WAIT))
            .set_response_timeout(Some(WAIT))
            .set_pipeline_buffer_size(CALLS_WAITING);
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        let mut owner = [0; 16];
        aws_lc_rs::rand::fill(&mut owner).expect("the system has entropy");
        let owner = hex::encode(owner);
        let prefix = format!("optimum:{cluster_id}:");
        Ok(Self { client, connection, prefix, owner, scripts: Scripts::new() })
    }

    fn key(&self, kind: &str, of: &str) -> String {
        format!("{}{kind}:{of}", self.prefix)
    }

    fn channel(&self) -> String {
        format!("{}changes", self.prefix)
    }

    pub(super) async fn admit(
        &self,
        client: &str,
        limits: &Limits,
        bytes: u64,
    ) -> RedisResult<Option<Exceeded>> {
        let mut call = self.scripts.admit.prepare_invoke();
        for window in ["second", "hour", "day"] {
            call.key(self.key("quota", &format!("{window}:{client}")));
        }
        let limits = [limits.publishes_per_second, limits.publishes_per_hour, limits.daily_bytes];
        call.arg(&limits).arg(bytes);
        for window in [SECOND, HOUR, DAY] {
            call.arg(milliseconds(window));
        }
        let (limit, used, ends_ms): (u8, u64, u64) = self.invoke(&call).await?;
        let resets_in = Duration::from_millis(ends_ms);
        Ok(match limit {
            0 => None,
            1 => Some(Exceeded::Second),
            2 => Some(Exceeded::Hour { resets_in }),
            _ => Some(Exceeded::Day { used, resets_in }),
        })
    }

    /// Returns whether the claim is ours.
    pub(super) async fn claim(
        &self,
        id: &MessageId,
        number: u64,
        ttl: Duration,
    ) -> RedisResult<bool> {
        let mut call = self.scripts.claim.prepare_invoke();
        call.key(self.published(id)).arg(self.claimant(number)).arg(milliseconds(ttl));
        self.invoke(&call).await
    }

    pub(super) async fn release(&self, id: &MessageId, number: u64) -> RedisResult<()> {
        let mut call = self.scripts.release.prepare_invoke();
        self.invoke(call.key(self.published(id)).arg(self.claimant(number))).await
    }

    fn claimant(&self, number: u64) -> String {
        format!("{}:{number}", self.owner)
    }

    fn published(&self, id: &MessageId) -> String {
        self.key("published", &hex::encode(id))
    }

    /// Returns whether there was room.
    pub(super) async fn subscribe(
        &self,
        client: &str,
        wanted: &Subscription,
        ttl: Duration,
    ) -> RedisResult<bool> {
        let mut call = self.scripts.subscribe.prepare_invoke();
        call.key(self.key("subscriptions", client));
        call.arg(&wanted.topic).arg(wanted.threshold.to_string()).arg(milliseconds(ttl));
        call.arg(TOPICS_PER_CLIENT_MAX).arg(self.channel()).arg(client);
        self.invoke(&call).await
    }

    pub(super) async fn unsubscribe(&self, client: &str, topic: &str) -> RedisResult<()> {
        let mut call = self.scripts.unsubscribe.prepare_invoke();
        call.key(self.key("subscriptions", client)).arg(topic).arg(self.channel()).arg(client);
        self.invoke(&call).await
    }

    pub(super) async fn subscriptions(&self, client: &str) -> RedisResult<Vec<Subscription>> {
        let mut connection = self.connection.clone();
        let topics = within(connection.hgetall(self.key("subscriptions", client))).await?;
        let mut subscriptions = Vec::with_capacity(topics.len());
        for (topic, threshold) in topics {
            // Nobody but us writes there.
            let Ok(threshold) = threshold.parse() else {
                warn!(topic, threshold, "a subscription in Redis is malformed");
                continue;
            };
            subscriptions.push(Subscription { topic, threshold });
        }
        subscriptions.sort_by(|a, b| a.topic.cmp(&b.topic));
        Ok(subscriptions)
    }

    pub(super) async fn keep(&self, client: &str, ttl: Duration) -> RedisResult<bool> {
        let mut connection = self.connection.clone();
        let ttl = i64::try_from(milliseconds(ttl)).unwrap_or(i64::MAX);
        within(connection.pexpire(self.key("subscriptions", client), ttl)).await
    }

    async fn invoke<T: FromRedisValue>(
        &self,
        call: &redis::ScriptInvocation<'_>,
    ) -> RedisResult<T> {
        within(call.invoke_async(&mut self.connection.clone())).await
    }

    /// Reads news of subscriptions until nobody wants them, connecting again whenever it must.
    pub(super) fn news(
        &self,
        changes: broadcast::Sender<Change>,
    ) -> impl Future<Output = ()> + use<> {
        let (client, channel) = (self.client.clone(), self.channel());
        async move {
            loop {
                if let Err(error) = read_news(&client, &channel, &changes).await {
                    debug!(%error, "news of subscriptions cannot be read");
                }
                time::sleep(PAUSE).await;
            }
        }
    }
}

async fn read_news(
    client: &Client,
    channel: &str,
    changes: &broadcast::Sender<Change>,
) -> RedisResult<()> {
    let mut news = within(client.get_async_pubsub()).await?;
    within(news.subscribe(channel)).await?;
    // Whatever was said before is lost. Without a receiver nobody minds.
    drop(changes.send(Change::Any));
    let mut messages = news.on_message();
    while let Some(message) = messages.next().await {
        let client: String = message.get_payload()?;
        drop(changes.send(Change::Of(client.into())));
    }
    Ok(())
}

async fn within<T>(call: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = |_| RedisError::from((redis::ErrorKind::Io, "no answer in time"));
    time::timeout(CALL_WAIT, call).await.map_err(late)?
}

fn milliseconds(duration: Duration) -> u64 {
    duration.as_millis().clamp(1, u128::from(u64::MAX >> 1)) as u64
}
