//! Mode optimum: coded gossip.

use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use gossip::{Config, State, Topic};
use gossip_libp2p::{Event as Told, NodeKeys, Versions};
use libp2p::{PeerId, identity::Keypair};

use super::{Event, PeerTopics, ProtocolCounters, Pubsub, ShardCounters};

pub(crate) use gossip_libp2p::{Behaviour, Event as BehaviourEvent};

/// Makes the behaviour of a node with this key pair that speaks these versions. Must be called inside a tokio runtime.
///
/// # Errors
///
/// Returns an error if `config` cannot work or the key pair cannot sign.
pub(crate) fn new(
    config: Config,
    versions: &[u32],
    keypair: &Keypair,
) -> anyhow::Result<Behaviour> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let sequence = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
    let keys = Arc::new(NodeKeys::new(keypair.clone())?);
    let state = State::new(config, keys, rand::random(), sequence, Instant::now())?;
    Ok(Behaviour::new(state, Versions::new(versions)))
}

impl From<Told> for Event {
    fn from(told: Told) -> Self {
        match told {
            Told::Delivered(delivery) => Self::Delivered(delivery),
            Told::Traced(trace) => Self::Traced(trace),
            Told::Published { ticket, message, topic } => {
                Self::Published { ticket, message, topic }
            }
            Told::PublishRefused { ticket, topic, error } => Self::Refused { ticket, topic, error },
            Told::PublishRoom => Self::Room,
            Told::Misbehaved { peer, reason, ban } => Self::Misbehaved { peer, reason, ban },
        }
    }
}

impl Pubsub for Behaviour {
    fn admit(&mut self, peer: PeerId) {
        Self::admit(self, peer);
    }

    fn subscribe(&mut self, topic: Topic) {
        Self::subscribe(self, topic);
    }

    fn unsubscribe(&mut self, topic: Topic) {
        Self::unsubscribe(self, topic);
    }

    fn publish(&mut self, publish: gossip::Publish) {
        Self::publish(self, publish);
    }

    fn accepts_publish(&self) -> bool {
        Self::accepts_publish(self)
    }

    fn set_tracing(&mut self, wanted: bool) {
        Self::set_tracing(self, wanted);
    }

    fn topics(&self) -> Vec<String> {
        names(self.view().topics())
    }

    fn peers(&self) -> Vec<PeerTopics> {
        let view = self.view();
        let peers = view.peers().map(|peer| PeerTopics {
            peer: peer.peer,
            topics: names(&peer.topics),
            mesh: names(&peer.mesh),
        });
        peers.collect()
    }

    fn counters(&self) -> ProtocolCounters {
        let stats = self.stats();
        let shards = ShardCounters {
            new: stats.shards_innovative,
            duplicate: stats.shards_duplicate,
            unnecessary: stats.shards_unnecessary,
            unhelpful: stats.shards_unhelpful,
        };
        ProtocolCounters {
            shards: Some(shards),
            peers_per_protocol: [(protocol(), self.view().peers().count() as u64)].into(),
            ..ProtocolCounters::default()
        }
    }
}

fn protocol() -> String {
    format!("/open-optimump2p/gossip/{}", gossip::wire::VERSION)
}

fn names<'a>(topics: impl IntoIterator<Item = &'a Topic>) -> Vec<String> {
    topics.into_iter().map(|topic| topic.as_str().to_owned()).collect()
}
