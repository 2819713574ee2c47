//! What a client can ask for, whatever protocol it speaks.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use access::{Claim, Quotas, Store, Subscription, Verifier, client_id_problem};
use api::rest::{BodyError, Content, proxy_message_id};
use broker::{ClientId, MessageId, Topic};
use bytes::Bytes;
use service::{geo::Place, host::Machine, jwks::LEEWAY_SECONDS};
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, warn};

use crate::{
    budget::Budget,
    config::Config,
    connection::Inbox,
    deliveries::Deliveries,
    error::{MESSAGE_BYTES_MAX, RequestError},
    sessions::Sessions,
    traffic::Traffic,
    upstream::Upstream,
};

/// How long an equal message counts as published already. Long enough for two runs of a test suite,
/// which expects that (the contract, section 2.2.4).
pub(crate) const DEDUPLICATION_TTL: Duration = Duration::from_secs(300);

/// Who a client is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: ClientId,
    /// What its token says; none with authentication off.
    token: Option<access::Client>,
}

impl Identity {
    /// Returns the client of a checked token, or without one by the name it gives.
    pub(crate) fn new(token: Option<access::Client>, name: &str) -> Result<Self, RequestError> {
        if let Some(token) = token {
            return Ok(Self { id: ClientId::from(&*token.id), token: Some(token) });
        }
        if name.is_empty() {
            return Err(BodyError::NoClient.into());
        }
        match client_id_problem(name) {
            Some(problem) => Err(RequestError::ClientId(problem)),
            None => Ok(Self { id: ClientId::from(name), token: None }),
        }
    }

    /// Returns how long its token holds, if it has one.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        // Clocks may be apart, as they may when it is verified.
        let expires = self.token.as_ref()?.expires_unix_seconds.saturating_add(LEEWAY_SECONDS);
        let expires = UNIX_EPOCH.checked_add(Duration::from_secs(expires))?;
        Some(expires.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

/// A message to be published.
#[derive(Clone, Debug)]
pub(crate) struct Publish {
    pub(crate) topic: String,
    pub(crate) content: Content,
    pub(crate) timestamp: Option<i64>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// The proxy's id of it.
    pub(crate) id: [u8; 32],
    /// Whether an equal one was published before.
    pub(crate) deduplicated: bool,
}

/// Everything that requests need.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) config: Config,
    pub(crate) deliveries: Deliveries,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) store: Arc<Store>,
    pub(crate) verifier: Option<Verifier>,
    pub(crate) quotas: Quotas,
    pub(crate) sessions: Sessions,
    pub(crate) traffic: Arc<Mutex<Traffic>>,
    /// Room for bodies and content that is made here.
    pub(crate) budget: Arc<Budget>,
    pub(crate) machine: Machine,
    pub(crate) place: Place,
}

impl Proxy {
    /// Returns whether clients are known from tokens.
    pub(crate) fn has_auth(&self) -> bool {
        self.verifier.is_some()
    }

    /// Checks a token, if tokens are asked for.
    pub(crate) async fn token(
        &self,
        authorization: Option<&str>,
    ) -> Result<Option<access::Client>, RequestError> {
        match &self.verifier {
            Some(verifier) => Ok(Some(verifier.client(authorization).await?)),
            None => Ok(None),
        }
    }

    /// Subscribes a topic, here and for the other proxies.
    pub(crate) async fn subscribe(
        &self,
        client: &Identity,
        topic: &str,
        threshold: Option<f64>,
    ) -> Result<(), RequestError> {
        let topic = Topic::from(topic);
        self.deliveries.subscribe(client.id.clone(), topic.clone(), threshold).await?;
        debug!(client = %client.id, %topic, threshold, "subscribed");
        let threshold = threshold.unwrap_or(self.config.threshold) as f32;
        let wanted = Subscription { topic: topic.to_string(), threshold };
        // It holds here whatever becomes of the others' knowledge: said if that is asked for.
        Ok(self.store.subscribe(&client.id, &wanted, self.config.subscription_ttl).await?)
    }

    /// Takes a connection, and with it what the client subscribed at other proxies.
    pub(crate) async fn connect(&self, client: &Identity) -> Result<Inbox, RequestError> {
        let inbox = self.deliveries.connect(client.id.clone()).await?;
        self.synchronize(&client.id).await;
        Ok(inbox)
    }

    /// Brings what is known of a client here and what all proxies know together.
    pub(crate) async fn synchronize(&self, client: &ClientId) {
        let shared = match self.store.subscriptions(client).await {
            Ok(shared) => shared,
            Err(error) => return warn!(%client, %error, "subscriptions elsewhere are not known"),
        };
        let here = self.deliveries.topics_of(client.clone()).await.unwrap_or_default();
        for Subscription { topic, threshold } in &shared {
            let threshold = share(*threshold);
            let is_here = here.iter().any(|(known, at)| {
                **known == **topic && (at - threshold).abs() < f64::from(f32::EPSILON)
            });
            if is_here {
                continue;
            }
            let topic = Topic::from(&**topic);
            let taken = self.deliveries.subscribe(client.clone(), topic, Some(threshold)).await;
            if let Err(error) = taken {
                warn!(%client, %error, "a subscription of another proxy is not taken");
            }
        }
        // A Redis that came back empty is told again.
        for (topic, threshold) in here {
            if shared.iter().any(|known| *known.topic == *topic) {
                continue;
            }
            let wanted = Subscription { topic: topic.to_string(), threshold: threshold as f32 };
            let told = self.store.subscribe(client, &wanted, self.config.subscription_ttl).await;
            if let Err(error) = told {
                debug!(%client, %error, "a subscription is not shared");
            }
        }
    }

    /// Publishes a message.
    pub(crate) async fn publish(
        &self,
        client: &Identity,
        publish: Publish,
    ) -> Result<Published, RequestError> {
        let topic = Topic::from(&*publish.topic);
        let result = self.try_publish(client, &topic, publish).await;
        match &result {
            Ok(published) => {
                let (id, deduplicated) = (hex::encode(published.id), published.deduplicated);
                debug!(client = %client.id, %topic, id, deduplicated, "published");
            }
            Err(error) => {
                debug!(client = %client.id, %topic, %error, "not published");
                self.traffic().failed(&client.id, &topic, error.kind());
            }
        }
        result
    }

    async fn try_publish(
        &self,
        client: &Identity,
        topic: &Topic,
        publish: Publish,
    ) -> Result<Published, RequestError> {
        let bytes = length(&publish.content)?;
        if let Content::Random(_) = publish.content {
            // Made only for who may publish it.
            self.check_assigned(topic).await?;
        }
        let _room = self.random_room(&publish.content)?;
        let (topic_name, timestamp) = (topic.clone(), publish.timestamp);
        let made = off_the_way(bytes, move || {
            let payload = payload(publish.content);
            let id = proxy_message_id(&topic_name, &payload, timestamp);
            let in_mesh = MessageId(Sha256::digest(&payload).into());
            (payload, id, in_mesh)
        });
        let (payload, id, in_mesh) = made.await?;
        if self.store.claim(&id, DEDUPLICATION_TTL).await? == Claim::Taken {
            self.traffic().repeated(&in_mesh);
            return Ok(Published { id, deduplicated: true });
        }
        let claim = Held { store: &self.store, id, settled: false };
        let result = self.publish_claimed(client, topic, &payload, in_mesh).await;
        claim.settle(result.is_ok()).await;
        result?;
        Ok(Published { id, deduplicated: false })
    }

    /// Takes room for content that is made here, as bodies do while they come.
    fn random_room(&self, content: &Content) -> Result<Option<OwnedSemaphorePermit>, RequestError> {
        match content {
            Content::Random(bytes) => self.budget.take(*bytes as usize).map(Some),
            Content::Message(_) => Ok(None),
        }
    }

    async fn check_assigned(&self, topic: &Topic) -> Result<(), RequestError> {
        if self.deliveries.is_subscribed(topic) {
            return Ok(());
        }
        // Who can tell is a node.
        if self.upstream.ranked().is_empty() {
            return Err(RequestError::NoNode);
        }
        if self.upstream.is_assigned(topic).await? {
            return Ok(());
        }
        Err(RequestError::NotAssigned(topic.to_string()))
    }

    async fn publish_claimed(
        &self,
        client: &Identity,
        topic: &Topic,
        payload: &Bytes,
        in_mesh: MessageId,
    ) -> Result<(), RequestError> {
        self.check_assigned(topic).await?;
        if let Some(token) = &client.token {
            self.quotas.admit(token, payload.len() as u64).await?;
        }
        self.traffic().sent(Instant::now(), topic, in_mesh, payload.len());
        self.upstream.publish(topic, payload, in_mesh).await?;
        self.traffic().published(&client.id, topic, payload.len());
        Ok(())
    }

    pub(crate) fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A claim that is given up unless its message was published: also when the request is gone.
struct Held<'a> {
    store: &'a Arc<Store>,
    id: [u8; 32],
    settled: bool,
}

impl Held<'_> {
    async fn settle(mut self, published: bool) {
        self.settled = true;
        if !published {
            self.store.release(&self.id).await;
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if !self.settled {
            let (store, id) = (Arc::clone(self.store), self.id);
            tokio::spawn(async move { store.release(&id).await });
        }
    }
}

/// Content longer than this is made and hashed beside the tasks that serve others.
const AT_ONCE_BYTES_MAX: u64 = 256 << 10;

/// Does what takes time in proportion to `bytes` where it keeps nobody waiting.
async fn off_the_way<T: Send + 'static>(
    bytes: u64,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RequestError> {
    if bytes <= AT_ONCE_BYTES_MAX {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| RequestError::Closed)
}

/// Returns how long a message would be, if it may be so long.
fn length(content: &Content) -> Result<u64, RequestError> {
    let bytes = match content {
        Content::Message(message) => message.len() as u64,
        Content::Random(bytes) => *bytes,
    };
    if bytes > MESSAGE_BYTES_MAX { Err(RequestError::TooLong(bytes)) } else { Ok(bytes) }
}

/// Returns the bytes to be published.
fn payload(content: Content) -> Bytes {
    match content {
        Content::Message(message) => message,
        Content::Random(bytes) => {
            let mut random = vec![0; bytes as usize];
            rand::fill(&mut random[..]);
            random.into()
        }
    }
}

/// Returns the share that was written: 0.1 is a little more in 32 bits than in 64, and would ask for
/// one node more.
pub(crate) fn share(share: f32) -> f64 {
    share.to_string().parse().unwrap_or(f64::from(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_32_bits_is_the_one_that_was_written() {
        for (written, exact) in [(0.1_f32, 0.1_f64), (0.7, 0.7), (1.0, 1.0)] {
            assert_eq!(share(written).to_bits(), exact.to_bits(), "{written}");
        }
    }

    #[test]
    fn random_content_has_its_length_and_is_bounded() {
        let random = payload(Content::Random(1000));
        assert_eq!(random.len(), 1000);
        assert_ne!(random, payload(Content::Random(1000)));
        for content in [
            Content::Random(MESSAGE_BYTES_MAX + 1),
            Content::Random(u64::MAX),
            Content::Message(vec![0; MESSAGE_BYTES_MAX as usize + 1].into()),
        ] {
            assert!(matches!(length(&content), Err(RequestError::TooLong(_))));
        }
    }
}
