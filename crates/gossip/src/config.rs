//! Every number of the protocol: its unit, what raising it costs, where the default comes from.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::wire::{CLUSTER_BYTES_MAX, PIECE_BYTES_MAX};

/// How messages are coded and spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// What the public documentation of OptimumP2P describes: a fixed k, dense random shards
    /// round-robin over the mesh, recoding above a threshold.
    Documented,
    /// Fragments that the publisher committed to, asked for near by, fed over long ways, and
    /// combinations of them as repair.
    #[default]
    Adaptive,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::Documented, Self::Adaptive];

    /// Returns the name used in configuration and in the handshake.
    pub fn name(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Adaptive => "adaptive",
        }
    }
}

/// How many mesh peers a topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeshConfig {
    /// Below this, peers are grafted (`D_low`).
    pub low: usize,
    /// How many there should be (`D`).
    pub target: usize,
    /// Above this, peers are pruned (`D_high`).
    pub high: usize,
    /// How many of them this node should have chosen itself, so that strangers who connect cannot
    /// fill a mesh (`D_out`). At most `low` − 1 and half of `target`. GossipSub v1.1: 2.
    pub outbound: usize,
    /// How long a pruned peer is not grafted again. GossipSub v1.1: one minute.
    pub prune_backoff: Duration,
    /// The same after an unsubscribe. GossipSub v1.1: ten seconds.
    pub unsubscribe_backoff: Duration,
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            low: 3,
            target: 6,
            high: 12,
            outbound: 2,
            prune_backoff: Duration::from_secs(60),
            unsubscribe_backoff: Duration::from_secs(10),
        }
    }
}

/// The numbers of profile `adaptive`; `docs/protocol.md` has the reason of each.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveConfig {
    /// Up to this many bytes a message is one fragment, sent whole.
    pub whole_bytes_max: u64,
    /// Fragments that a longer message is cut into, where their length allows.
    pub fragments_target: u16,
    /// The shortest fragment.
    pub fragment_bytes_min: u64,
    /// The longest fragment; at most [`crate::wire::PIECE_BYTES_MAX`].
    pub fragment_bytes_max: u64,
    /// The most fragments of a generation.
    pub generation_fragments: u16,
    /// Data peers of a topic that this node looks for.
    pub data_peers: usize,
    /// Data peers above which others are turned away.
    pub data_peers_max: usize,
    /// Of those looked for, how many are the nearest.
    pub data_peers_nearest: usize,
    /// A peer that answers within this time is near: it is asked for what it has.
    pub near_rtt: Duration,
    /// A node with fewer near data peers is fed by all of them.
    pub near_peers_few: usize,
    /// After news, near data peers are told of it within this time.
    pub tell_near_after: Duration,
    /// The same for the others.
    pub tell_far_after: Duration,
    /// Fragments asked of one peer at a time.
    pub asks_per_peer: usize,
    /// How long a fragment is known to be held only far away before it is asked for there.
    pub far_patience: Duration,
    /// Data peers that the publisher sends to unasked, the nearest.
    pub first_peers: usize,
    /// To how many far peers a fragment is sent on unasked by who is first to hold it near by.
    pub carried_over: usize,
    /// To how many data peers it is sent on unasked by who has few near, by how many nodes it has
    /// passed.
    pub pushes: Vec<usize>,
    /// The same in a network in which hardly anybody has peers near by.
    pub pushes_alone: Vec<usize>,
    /// Combinations that who feeds adds when it has the message, as a share of what it fed.
    pub combination_share: f64,
}

impl Default for AdaptiveConfig {
    fn default() -> Self {
        Self {
            whole_bytes_max: 16 << 10,
            fragments_target: 64,
            fragment_bytes_min: 1 << 10,
            fragment_bytes_max: 16 << 10,
            generation_fragments: 128,
            data_peers: 72,
            data_peers_max: 108,
            data_peers_nearest: 8,
            near_rtt: Duration::from_millis(100),
            near_peers_few: 3,
            tell_near_after: Duration::from_millis(3),
            tell_far_after: Duration::from_millis(20),
            asks_per_peer: 1,
            far_patience: Duration::from_millis(300),
            first_peers: 10,
            carried_over: 1,
            pushes: vec![4, 4],
            pushes_alone: vec![16, 16, 3],
            combination_share: 0.25,
        }
    }
}

impl AdaptiveConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let (min, max) = (self.fragment_bytes_min, self.fragment_bytes_max);
        let (fragments, generation) = (self.fragments_target, self.generation_fragments);
        let possible = 1..=rlnc::FRAGMENTS_MAX;
        let sound = (1..=max).contains(&min)
            && max <= PIECE_BYTES_MAX as u64
            && self.whole_bytes_max <= PIECE_BYTES_MAX as u64
            && possible.contains(&fragments)
            && possible.contains(&generation);
        if sound { Ok(()) } else { Err(ConfigError::Fragments { min, max, fragments, generation }) }
    }
}

/// What outside input may fill. Where a bound acts, the outcome is counted in [`crate::Stats`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages not yet decoded, of all peers. At the bound a newcomer is refused, or the oldest
    /// of the peer that holds most gives way if that peer holds more than the newcomer's.
    pub open_messages_max: usize,
    /// Bytes that those may fill when complete, k × fragment each. Memory in proportion.
    pub open_bytes_max: u64,
    /// Bytes set aside for shards that come in pieces, of all peers: a peer may begin a shard of
    /// every open message. At the bound the message is refused for now.
    pub partial_bytes_max: u64,
    /// Different headers that claim one message id and are open at once.
    pub headers_per_message_max: usize,
    /// Bytes of decoded messages kept for repair (`OPTIMUM_RETAIN_BYTES`). Oldest go first.
    pub retain_bytes_max: u64,
    /// Ids in the seen-cache; 32 B and some bookkeeping each. Oldest go first.
    pub seen_messages_max: usize,
    /// Publishers whose sequence numbers are remembered; 5 to 20 KiB each.
    pub publishers_max: usize,
    /// Signature checks per peer and second; a check costs about 32 µs (Ed25519).
    pub signature_checks_per_second_max: u32,
    /// Topics a peer may subscribe.
    pub topics_per_peer_max: usize,
    /// Topics this node may subscribe.
    pub topics_max: usize,
    /// IWANT entries served per peer and heartbeat.
    pub pulls_per_heartbeat_max: u32,
    /// IHAVE entries read per peer and heartbeat.
    pub news_per_heartbeat_max: u32,
    /// HAVE entries read per peer and heartbeat: a near peer tells every millisecond.
    pub tells_per_heartbeat_max: u32,
    /// Control bytes waiting for one peer; above, it is disconnected.
    pub control_bytes_max: usize,
    /// Bytes of own messages not yet sent once; above, publishes are refused as busy.
    pub publish_bytes_max: u64,
    /// Jobs given out at once, and the payload bytes they read.
    pub jobs_max: usize,
    /// Payload bytes that jobs given out read at once; one job may always run.
    pub job_bytes_max: u64,
    /// Bytes of buffers of delivered messages that wait for the next one; above, they are freed.
    pub idle_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            open_messages_max: 1024,
            open_bytes_max: 256 * MIB,
            partial_bytes_max: 128 * MIB,
            headers_per_message_max: 4,
            retain_bytes_max: 256 * MIB,
            seen_messages_max: 1 << 18,
            publishers_max: 4096,
            signature_checks_per_second_max: 2000,
            topics_per_peer_max: 1024,
            topics_max: 1024,
            pulls_per_heartbeat_max: 512,
            news_per_heartbeat_max: 4096,
            tells_per_heartbeat_max: 1 << 15,
            control_bytes_max: 256 << 10,
            publish_bytes_max: 64 * MIB,
            jobs_max: 64,
            job_bytes_max: 256 * MIB,
            idle_bytes_max: 32 << 20,
        }
    }
}

/// Settings of one node.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster; only headers of the same are taken. 0 to [`CLUSTER_BYTES_MAX`] bytes.
    pub cluster: Bytes,
    /// How messages are coded and spread.
    pub profile: Profile,
    /// Longest payload in bytes (`OPTIMUM_MAX_MSG_SIZE`).
    pub message_bytes_max: u64,
    /// Fragments of a message, k (`OPTIMUM_SHARD_FACTOR`).
    pub shard_factor: u16,
    /// The publisher sends ⌈k × this⌉ shards (`OPTIMUM_SHARD_MULT`).
    pub shard_multiplier: f64,
    /// A relay recodes once it holds more than k × this shards (`OPTIMUM_THRESHOLD`).
    pub forward_threshold: f64,
    /// The numbers of profile `adaptive`.
    pub adaptive: AdaptiveConfig,
    /// Control-mesh degrees.
    pub mesh: MeshConfig,
    /// Time between two heartbeats. 700 ms as in the documented system.
    pub heartbeat: Duration,
    /// Heartbeats that a decoded message is kept for repair. The documented system: 6.
    pub retain_heartbeats: u32,
    /// Heartbeats that a decoded message is told of. The documented system: 3.
    pub news_heartbeats: u32,
    /// Topic peers told at a heartbeat, of those not known to have the message. GossipSub's
    /// `D_lazy`.
    pub news_peers: usize,
    /// How long an equal payload is the same message. GossipSub v1.0: 120 s.
    pub seen_ttl: Duration,
    /// How long an undecoded message waits for shards without any coming.
    pub open_ttl: Duration,
    /// Payloads of at least this many bytes are hashed and decoded as jobs, shorter ones at once.
    pub job_threshold_bytes: u64,
    /// What outside input may fill.
    pub limits: Limits,
    /// Whether what is on the way is limited by windows. Off only to measure what they are worth:
    /// without, all that fits below a writer is on the way, megabytes a peer.
    pub windows: bool,
    /// One payload byte stands for this many; 1 outside simulation.
    pub payload_scale: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cluster: Bytes::new(),
            profile: Profile::default(),
            message_bytes_max: 1 << 20,
            shard_factor: 4,
            shard_multiplier: 1.5,
            forward_threshold: 0.75,
            adaptive: AdaptiveConfig::default(),
            mesh: MeshConfig::default(),
            heartbeat: Duration::from_millis(700),
            retain_heartbeats: 6,
            news_heartbeats: 3,
            news_peers: 6,
            seen_ttl: Duration::from_secs(120),
            open_ttl: Duration::from_secs(30),
            job_threshold_bytes: 256 << 10,
            limits: Limits::default(),
            windows: true,
            payload_scale: 1,
        }
    }
}

/// Why settings cannot work.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ConfigError {
    /// Degrees out of order.
    #[error(
        "the mesh degrees are low {low}, target {target}, high {high}; 1 ≤ low ≤ target ≤ high is needed"
    )]
    MeshDegrees {
        /// `D_low`.
        low: usize,
        /// `D`.
        target: usize,
        /// `D_high`.
        high: usize,
    },
    /// The cluster does not fit into a header.
    #[error("the cluster has {bytes} bytes; at most {CLUSTER_BYTES_MAX} are possible")]
    Cluster {
        /// Its length.
        bytes: usize,
    },
    /// k out of range.
    #[error("the shard factor is {0}; 1 to 256 fragments are possible")]
    ShardFactor(u16),
    /// Multiplier below 1 or not finite.
    #[error("the shard multiplier is {0}; 1 to 16 is possible (below 1 nobody could decode)")]
    ShardMultiplier(f64),
    /// Threshold out of range.
    #[error("the forward threshold is {0}; 0 to 1 is possible")]
    ForwardThreshold(f64),
    /// The longest message does not fit.
    #[error(
        "the longest message is {bytes} bytes; with {fragments} fragments of at most 16 MiB, 1 to {max} are possible"
    )]
    MessageBytes {
        /// What was set.
        bytes: u64,
        /// k.
        fragments: u16,
        /// What is possible.
        max: u64,
    },
    /// Fragments of profile `adaptive` that there cannot be.
    #[error(
        "fragments of {min} to {max} bytes, {fragments} of a message and {generation} of a generation; 1 ≤ min ≤ max ≤ 16384 and 1 to 256 are possible"
    )]
    Fragments {
        /// [`AdaptiveConfig::fragment_bytes_min`].
        min: u64,
        /// [`AdaptiveConfig::fragment_bytes_max`].
        max: u64,
        /// [`AdaptiveConfig::fragments_target`].
        fragments: u16,
        /// [`AdaptiveConfig::generation_fragments`].
        generation: u16,
    },
    /// The longest message does not fit, whatever the shard factor.
    #[error(
        "the longest message is {bytes} bytes; in profile adaptive 1 to {max} are possible",
        max = rlnc::MESSAGE_BYTES_MAX
    )]
    AdaptiveMessageBytes {
        /// What was set.
        bytes: u64,
    },
    /// Heartbeat or scale of zero.
    #[error("{0} is zero; it must be more")]
    Zero(&'static str),
}

impl Config {
    /// Checks the settings against each other; [`crate::State::new`] asks for it.
    ///
    /// # Errors
    ///
    /// Returns the first [`ConfigError`] found.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let MeshConfig { low, target, high, .. } = self.mesh;
        if low < 1 || low > target || target > high {
            return Err(ConfigError::MeshDegrees { low, target, high });
        }
        if self.cluster.len() > CLUSTER_BYTES_MAX {
            return Err(ConfigError::Cluster { bytes: self.cluster.len() });
        }
        if !(1..=256).contains(&self.shard_factor) {
            return Err(ConfigError::ShardFactor(self.shard_factor));
        }
        if !(1.0..=16.0).contains(&self.shard_multiplier) {
            return Err(ConfigError::ShardMultiplier(self.shard_multiplier));
        }
        if !(0.0..=1.0).contains(&self.forward_threshold) {
            return Err(ConfigError::ForwardThreshold(self.forward_threshold));
        }
        let max = self.message_bytes_possible();
        if !(1..=max).contains(&self.message_bytes_max) {
            let (bytes, fragments) = (self.message_bytes_max, self.shard_factor);
            return Err(match self.profile {
                Profile::Documented => ConfigError::MessageBytes { bytes, fragments, max },
                Profile::Adaptive => ConfigError::AdaptiveMessageBytes { bytes },
            });
        }
        if self.heartbeat.is_zero() {
            return Err(ConfigError::Zero("the heartbeat"));
        }
        self.adaptive.validate()?;
        if self.payload_scale == 0 {
            return Err(ConfigError::Zero("the payload scale"));
        }
        Ok(())
    }

    /// Returns the longest payload in bytes that can be cut: one generation of k fragments in
    /// profile `documented`, as many generations as there may be in profile `adaptive`.
    pub fn message_bytes_possible(&self) -> u64 {
        match self.profile {
            Profile::Documented => {
                u64::from(self.shard_factor) * u64::from(rlnc::FRAGMENT_BYTES_MAX)
            }
            Profile::Adaptive => rlnc::MESSAGE_BYTES_MAX,
        }
    }

    /// Returns how many shards the publisher of a message makes: ⌈k × multiplier⌉.
    pub fn publisher_shards(&self) -> u16 {
        (f64::from(self.shard_factor) * self.shard_multiplier).ceil() as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is said of the default settings with `change`.
    fn changed(change: impl FnOnce(&mut Config)) -> Option<ConfigError> {
        let mut config = Config::default();
        change(&mut config);
        config.validate().err()
    }

    #[test]
    fn the_default_settings_can_work() {
        assert_eq!(changed(|_| {}), None);
    }

    #[test]
    fn settings_that_cannot_work_are_refused_with_their_numbers() {
        let degrees = MeshConfig { low: 5, target: 4, high: 12, ..MeshConfig::default() };
        assert_eq!(
            changed(|config| config.mesh = degrees),
            Some(ConfigError::MeshDegrees { low: 5, target: 4, high: 12 })
        );
        assert_eq!(
            changed(|config| config.cluster = vec![b'c'; 257].into()),
            Some(ConfigError::Cluster { bytes: 257 })
        );
        for factor in [0, 257] {
            let error = changed(|config| config.shard_factor = factor);
            assert_eq!(error, Some(ConfigError::ShardFactor(factor)));
        }
        for multiplier in [0.9, 16.1, f64::INFINITY] {
            let error = changed(|config| config.shard_multiplier = multiplier);
            assert_eq!(error, Some(ConfigError::ShardMultiplier(multiplier)));
        }
        assert!(changed(|config| config.shard_multiplier = f64::NAN).is_some());
        for threshold in [-0.1, 1.1] {
            let error = changed(|config| config.forward_threshold = threshold);
            assert_eq!(error, Some(ConfigError::ForwardThreshold(threshold)));
        }
        let (fragments, max) = (4, 64 << 20);
        for bytes in [0, max + 1] {
            let error = changed(|config| {
                config.profile = Profile::Documented;
                config.message_bytes_max = bytes;
            });
            assert_eq!(error, Some(ConfigError::MessageBytes { bytes, fragments, max }));
        }
        for change in [
            |config: &mut AdaptiveConfig| config.fragment_bytes_min = 0,
            |config: &mut AdaptiveConfig| config.fragment_bytes_min = 20_000,
            |config: &mut AdaptiveConfig| config.fragment_bytes_max = 16_385,
            |config: &mut AdaptiveConfig| config.fragments_target = 0,
            |config: &mut AdaptiveConfig| config.generation_fragments = 257,
        ] {
            let error = changed(|config| change(&mut config.adaptive));
            assert!(matches!(error, Some(ConfigError::Fragments { .. })), "{error:?}");
        }
        let adaptive = |bytes| {
            changed(|config| {
                (config.profile, config.shard_factor) = (Profile::Adaptive, 1);
                config.message_bytes_max = bytes;
            })
        };
        assert_eq!(adaptive(max), None, "the shard factor does not count");
        let bytes = max + 1;
        assert_eq!(adaptive(bytes), Some(ConfigError::AdaptiveMessageBytes { bytes }));
        assert!(changed(|config| config.heartbeat = Duration::ZERO).is_some());
        assert!(changed(|config| config.payload_scale = 0).is_some());
    }

    #[test]
    fn a_cluster_of_the_full_length_is_possible() {
        assert_eq!(changed(|config| config.cluster = vec![b'c'; 256].into()), None);
    }
}
