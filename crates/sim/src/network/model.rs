//! What is modelled of the links. Each part can be switched off; [`LinkModel::describe`] says which
//! were on, and goes into every report.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Payload of a TCP segment on a path of 1500 bytes.
pub const SEGMENT_BYTES: u32 = 1460;

/// A packet with its headers; the last one of a frame must still pass the receiver's downlink.
pub(super) const PACKET_BYTES: u32 = 1500;

/// What is modelled of the links between nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkModel {
    /// Uplinks shared in turns of slices, or max-min fairly between all flows.
    pub sharing: Sharing,
    /// An uplink sends at most so much of one frame before the next connection has its turn; the
    /// whole frame without. Frames of the coded protocols fit one slice.
    pub slice_bytes: Option<u32>,
    /// Only frames that fit below this many bytes waiting on a connection are asked for; without,
    /// all that a node has is taken at once.
    pub queue_bytes: Option<u32>,
    /// Each connection starts with a small window and doubles it per round trip.
    pub slow_start: Option<SlowStart>,
    /// A slice takes up to this share of the one-way latency longer, evenly distributed.
    pub jitter: f64,
    /// Lost packets.
    pub loss: Option<Loss>,
    /// Payload alone costs, as in models in rounds: frames without any take the latency only.
    pub payload_only: bool,
}

/// How flows share the links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// An uplink sends a slice of one connection at a time, in turns; a downlink takes slices in
    /// the order in which their first packets come.
    #[default]
    Frames,
    /// All connections with something to send share up- and downlinks max-min fairly, each a frame
    /// at a time. For small networks: the check of the other.
    Fluid,
}

/// The window of bytes on the way that the transport of a connection allows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlowStart {
    /// What a connection begins with. RFC 6928: 10 segments.
    pub initial_bytes: u32,
    /// What it grows to.
    pub max_bytes: u32,
    /// A connection that sent nothing for a second begins anew (RFC 2861).
    pub idle_restart: bool,
}

impl Default for SlowStart {
    fn default() -> Self {
        Self { initial_bytes: 10 * SEGMENT_BYTES, max_bytes: 4 << 20, idle_restart: true }
    }
}

/// Lost packets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Of all packets, 0 to below 1.
    pub share: f64,
    /// The window is halved by a loss, and grows by a segment per round trip from then on, as that
    /// of a loss-based congestion control; without, a loss costs a round trip only.
    pub congestion_control: bool,
}

impl Default for LinkModel {
    fn default() -> Self {
        Self {
            sharing: Sharing::Frames,
            slice_bytes: Some(24 << 10),
            queue_bytes: Some(256 << 10),
            slow_start: Some(SlowStart::default()),
            jitter: 0.05,
            loss: None,
            payload_only: false,
        }
    }
}

impl LinkModel {
    /// Bandwidth and latency and nothing else.
    pub fn plain() -> Self {
        Self { slow_start: None, jitter: 0.0, ..Self::default() }
    }

    /// Rounds in which only payload costs: what models of the literature count.
    pub fn rounds() -> Self {
        Self { payload_only: true, ..Self::plain() }
    }

    /// Returns what is on, in a few words.
    pub fn describe(&self) -> String {
        let mut parts = vec![match (self.sharing, self.slice_bytes) {
            (Sharing::Fluid, _) => "fluid".to_owned(),
            (Sharing::Frames, Some(bytes)) => format!("frames (slices of {} KiB)", bytes >> 10),
            (Sharing::Frames, None) => "frames (whole)".to_owned(),
        }];
        if let Some(SlowStart { initial_bytes, max_bytes, idle_restart }) = self.slow_start {
            let idle = if idle_restart { ", again when idle" } else { "" };
            parts.push(format!("slow start {initial_bytes} B to {} KiB{idle}", max_bytes >> 10));
        }
        if self.jitter > 0.0 {
            parts.push(format!("jitter {:.0} %", self.jitter * 100.0));
        }
        if let Some(Loss { share, congestion_control }) = self.loss {
            let kind = if congestion_control { "congestion control" } else { "delay only" };
            parts.push(format!("loss {:.1} % ({kind})", share * 100.0));
        }
        match self.queue_bytes {
            Some(bytes) => parts.push(format!("send queue {} KiB", bytes >> 10)),
            None => parts.push("send queue without bound".to_owned()),
        }
        if self.payload_only {
            parts.push("payload only".to_owned());
        }
        parts.join(", ")
    }

    /// Returns how long one way takes at most, given the latency of the path.
    pub(super) fn latency_max(&self, latency: Duration) -> Duration {
        latency.mul_f64(1.0 + self.jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_names_what_is_on_and_nothing_else() {
        assert_eq!(
            LinkModel::default().describe(),
            "frames (slices of 24 KiB), slow start 14600 B to 4096 KiB, again when idle, \
             jitter 5 %, send queue 256 KiB"
        );
        let mut plain = LinkModel::plain();
        plain.queue_bytes = None;
        plain.loss = Some(Loss { share: 0.01, congestion_control: true });
        assert_eq!(
            plain.describe(),
            "frames (slices of 24 KiB), loss 1.0 % (congestion control), send queue without bound"
        );
    }
}
