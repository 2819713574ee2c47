//! Mode optimum: coded gossip.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use gossip::{Config, State, Topic, Trace};
use gossip_libp2p::{Event as Told, NodeKeys, Versions};
use libp2p::{PeerId, identity::Keypair};

use super::{
    Event, Messages, OpenMessage, OwnCounter, PeerTopics, PeerTraffic, ProtocolCounters, Pubsub,
    ShardCounters, TopicCounters,
};

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
            Told::Traced(trace) => {
                let added = matches!(trace, Trace::AddPeer { .. });
                Self::Traced { trace, protocol: if added { protocol() } else { "" } }
            }
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

    fn is_subscribed(&self, topic: &Topic) -> bool {
        self.view().is_subscribed(topic)
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
            topics: self.topic_stats().iter().map(topic_counters).collect(),
            shards: Some(shards),
            peers_per_protocol: [(protocol().to_owned(), self.view().peers().count() as u64)]
                .into(),
        }
    }

    fn own_counters(&self) -> Vec<OwnCounter> {
        own_counters(self.stats())
    }

    fn traffic(&self) -> BTreeMap<PeerId, PeerTraffic> {
        let view = self.view();
        let traffic = view.peers().map(|peer| {
            let traffic = PeerTraffic {
                shards_sent: peer.shards_sent,
                shards_received: peer.shards_received,
                shards_innovative: peer.shards_innovative,
                in_flight_bytes: peer.in_flight_bytes,
                window_bytes: peer.window_bytes,
                rtt: peer.rtt,
                stalled: peer.stalled,
                score: peer.score,
                graylisted: peer.graylisted,
            };
            (peer.peer, traffic)
        });
        traffic.collect()
    }

    fn messages(&self) -> Messages {
        let view = self.view();
        let open =
            view.open_messages().map(|open| OpenMessage { message: open.message, rank: open.rank });
        Messages { open: open.collect(), decoded: view.retained_messages().collect() }
    }
}

/// Returns the protocol id that all peers speak.
fn protocol() -> &'static str {
    static PROTOCOL: LazyLock<String> =
        LazyLock::new(|| format!("/open-optimump2p/gossip/{}", gossip::wire::VERSION));
    &PROTOCOL
}

fn names<'a>(topics: impl IntoIterator<Item = &'a Topic>) -> Vec<String> {
    topics.into_iter().map(|topic| topic.as_str().to_owned()).collect()
}

fn topic_counters((topic, stats): (&Topic, &gossip::TopicStats)) -> (String, TopicCounters) {
    let counters = TopicCounters {
        received_messages: stats.received,
        received_bytes: stats.received_bytes,
        delivered_messages: stats.delivered,
        delivered_bytes: stats.delivered_bytes,
        // Messages do not wait to be checked.
        dropped_queue_full: 0,
        dropped_throttled: stats.throttled,
        dropped_rejected: stats.rejected,
    };
    (topic.as_str().to_owned(), counters)
}

#[rustfmt::skip]
fn own_counters(stats: &gossip::Stats) -> Vec<OwnCounter> {
    vec![
        ("published", "Own messages published.", stats.published),
        ("publish_refused", "Own messages refused: empty, too large, duplicate, on one topic too many, or busy.", stats.publish_refused),
        ("published_without_peers", "Own messages that went out of retention without a topic peer to send them to.", stats.published_without_peers),
        ("delivered", "Messages delivered to the application, own ones included.", stats.delivered),
        ("delivered_bytes", "Bytes of messages delivered to the application.", stats.delivered_bytes),
        ("duplicate_messages", "Verified messages, or headers, of a message that was delivered already.", stats.duplicate_messages),
        ("decodes_failed", "Decodes that were not what their header claims.", stats.decodes_failed),
        ("messages_rejected", "Messages given up after too many failed decodes.", stats.messages_rejected),
        ("messages_expired", "Open messages dropped because nothing came of them for the configured time.", stats.messages_expired),
        ("messages_evicted", "Open messages dropped to make room for a peer that holds less.", stats.messages_evicted),
        ("retention_evicted", "Decoded messages that left retention early because of its bytes.", stats.retention_evicted),
        ("shards_innovative", "Innovative shards received.", stats.shards_innovative),
        ("shards_duplicate", "Shards received that were held already.", stats.shards_duplicate),
        ("shards_unhelpful", "Shards received that were combinations of those held.", stats.shards_unhelpful),
        ("shards_unnecessary", "Shards received of messages that needed none.", stats.shards_unnecessary),
        ("shards_refused", "Shards dropped because we had refused their header.", stats.shards_refused),
        ("shards_without_header", "Shards dropped because their header is not known on the connection.", stats.shards_without_header),
        ("shards_sent", "Whole shards sent.", stats.shards_sent),
        ("shards_recoded", "Whole shards sent that are combinations of shards received.", stats.shards_recoded),
        ("data_bytes_sent", "Data bytes sent, heads included.", stats.data_bytes_sent),
        ("data_bytes_received", "Data bytes received, heads included.", stats.data_bytes_received),
        ("control_bytes_sent", "Control bytes sent.", stats.control_bytes_sent),
        ("control_bytes_received", "Control bytes received.", stats.control_bytes_received),
        ("headers_accepted", "Headers accepted.", stats.headers_accepted),
        ("headers_refused", "Headers refused, for whatever reason.", stats.headers_refused),
        ("headers_replayed", "Headers refused because their sequence number was used, too old or barred.", stats.headers_replayed),
        ("publishers_barred", "Publishers found to have signed two messages under one sequence number.", stats.publishers_barred),
        ("publishers_evicted", "Publishers forgotten because there were too many.", stats.publishers_evicted),
        ("seen_evicted", "Ids that left the seen-cache early because there were too many.", stats.seen_evicted),
        ("pulls_sent", "Pulls (IWANT) sent.", stats.pulls_sent),
        ("pulls_served", "Pulls served.", stats.pulls_served),
        ("pulls_gone", "Pulls answered GONE.", stats.pulls_gone),
        ("pulls_ignored", "Pulls beyond a bound, ignored.", stats.pulls_ignored),
        ("news_ignored", "News (IHAVE entries) beyond a bound, ignored.", stats.news_ignored),
        ("repairs_dropped", "Messages known from news only that were given up or pushed out.", stats.repairs_dropped),
        ("subscriptions_ignored", "Subscriptions beyond the bound, own ones and those of peers, ignored.", stats.subscriptions_ignored),
        ("peers_disconnected", "Peers disconnected because they broke a rule.", stats.peers_disconnected),
        ("control_backlogs", "Peers disconnected because they did not read their control stream.", stats.control_backlogs),
        ("peers_graylisted", "Times that a peer's score fell so low that it is kept out of meshes.", stats.peers_graylisted),
        ("headers_graylisted", "Headers refused because of that.", stats.headers_graylisted),
        ("grafts_graylisted", "Grafts refused because of that.", stats.grafts_graylisted),
        ("records_evicted", "Records of peers that left, given up because there were too many.", stats.records_evicted),
        ("opportunistic_grafts", "Peers taken into a mesh because its members were of little use.", stats.opportunistic_grafts),
        ("peers_stalled", "Times that a peer was sent nothing more for want of acknowledgements.", stats.peers_stalled),
        ("jobs_orphaned", "Results of jobs that nothing waited for any more.", stats.jobs_orphaned),
        ("jobs_failed", "Jobs that failed.", stats.jobs_failed),
    ]
}
