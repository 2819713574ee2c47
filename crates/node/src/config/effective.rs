//! Settings as they are in effect, where that may differ from what was written.

use std::fmt;

use super::{Config, HandshakePolicy, Mode, Optimum, TraceFilter};

impl HandshakePolicy {
    /// Returns its name in configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Required => "required",
        }
    }
}

impl fmt::Display for TraceFilter {
    /// Writes it as `OPTIMUM_TRACE` would have it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ALL => return formatter.write_str("all"),
            Self::NONE => return formatter.write_str("none"),
            Self(_) => {}
        }
        let numbered = (0..).zip(Self::NAMES);
        let names = numbered.filter(|(number, _)| self.allows(*number)).map(|(_, name)| name);
        formatter.write_str(&names.collect::<Vec<_>>().join(","))
    }
}

impl Config {
    /// Returns the variables that were given another value than the default and do not count in
    /// the profile that runs.
    pub fn without_effect(&self) -> Vec<&'static str> {
        if self.mode != Mode::Optimum || self.optimum.profile == gossip::Profile::Documented {
            return Vec::new();
        }
        let (ours, default) = (&self.optimum, Optimum::default());
        let changed = [
            ("OPTIMUM_SHARD_FACTOR", ours.shard_factor != default.shard_factor),
            (
                "OPTIMUM_SHARD_MULT",
                ours.shard_multiplier.to_bits() != default.shard_multiplier.to_bits(),
            ),
            ("OPTIMUM_THRESHOLD", ours.threshold.to_bits() != default.threshold.to_bits()),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
    }

    /// Returns the level of the log in effect.
    pub fn log_level(&self) -> &'static str {
        service::log::effective(&self.log_level)
    }

    /// Returns variables whose values in effect may be other words than those written.
    pub fn effective(&self) -> Vec<(&'static str, String)> {
        vec![
            ("CLUSTER_ID", self.cluster_id.clone()),
            ("NODE_MODE", self.mode.name().to_owned()),
            ("LOG_LEVEL", self.log_level().to_owned()),
            ("CLUSTER_HANDSHAKE", self.handshake.name().to_owned()),
            ("OPTIMUM_PROFILE", self.optimum.profile.name().to_owned()),
            ("OPTIMUM_TRACE", self.trace.to_string()),
            ("OPTIMUM_QUIC", self.quic.to_string()),
        ]
    }
}
