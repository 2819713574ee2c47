//! What a scenario may change of profile `adaptive`.

use std::time::Duration;

use gossip::AdaptiveConfig;
use serde::{Deserialize, Serialize};

/// Settings of profile `adaptive` that differ; see [`AdaptiveConfig`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptiveSettings {
    /// See there, as all that follow.
    pub whole_bytes_max: Option<u64>,
    #[expect(missing_docs, reason = "as there")]
    pub fragments_target: Option<u16>,
    #[expect(missing_docs, reason = "as there")]
    pub fragment_bytes_min: Option<u64>,
    #[expect(missing_docs, reason = "as there")]
    pub fragment_bytes_max: Option<u64>,
    #[expect(missing_docs, reason = "as there")]
    pub generation_fragments: Option<u16>,
    #[expect(missing_docs, reason = "as there")]
    pub data_peers: Option<usize>,
    #[expect(missing_docs, reason = "as there")]
    pub data_peers_max: Option<usize>,
    #[expect(missing_docs, reason = "as there")]
    pub data_peers_nearest: Option<usize>,
    #[expect(missing_docs, reason = "as there")]
    pub near_rtt_ms: Option<u64>,
    #[expect(missing_docs, reason = "as there")]
    pub near_peers_few: Option<usize>,
    #[expect(missing_docs, reason = "as there")]
    pub tell_near_after_ms: Option<u64>,
    #[expect(missing_docs, reason = "as there")]
    pub tell_far_after_ms: Option<u64>,
    #[expect(missing_docs, reason = "as there")]
    pub asks_per_peer: Option<usize>,
    #[expect(missing_docs, reason = "as there")]
    pub far_patience_ms: Option<u64>,
    #[expect(missing_docs, reason = "as there")]
    pub first_peers: Option<usize>,
    #[expect(missing_docs, reason = "as there")]
    pub carried_over: Option<usize>,
    #[expect(missing_docs, reason = "as there")]
    pub pushes: Option<Vec<usize>>,
    #[expect(missing_docs, reason = "as there")]
    pub pushes_alone: Option<Vec<usize>>,
    #[expect(missing_docs, reason = "as there")]
    pub combination_share: Option<f64>,
}

impl AdaptiveSettings {
    /// Changes what differs.
    pub fn apply(&self, config: &mut AdaptiveConfig) {
        macro_rules! set {
            ($($field:ident = $from:ident $(as $make:path)?),* $(,)?) => {
                $(if let Some(value) = self.$from.clone() {
                    config.$field = $($make)? (value);
                })*
            };
        }
        set!(
            whole_bytes_max = whole_bytes_max,
            fragments_target = fragments_target,
            fragment_bytes_min = fragment_bytes_min,
            fragment_bytes_max = fragment_bytes_max,
            generation_fragments = generation_fragments,
            data_peers = data_peers,
            data_peers_max = data_peers_max,
            data_peers_nearest = data_peers_nearest,
            near_rtt = near_rtt_ms as Duration::from_millis,
            near_peers_few = near_peers_few,
            tell_near_after = tell_near_after_ms as Duration::from_millis,
            tell_far_after = tell_far_after_ms as Duration::from_millis,
            asks_per_peer = asks_per_peer,
            far_patience = far_patience_ms as Duration::from_millis,
            first_peers = first_peers,
            carried_over = carried_over,
            pushes = pushes,
            pushes_alone = pushes_alone,
            combination_share = combination_share,
        );
    }
}
