//! The switches of the link model.

use serde::{Deserialize, Serialize};

use super::{ScenarioError, in_range};
use crate::network::{LinkModel, Loss, Sharing, SlowStart};

/// What is modelled of the links; without a key, what [`LinkModel::default`] has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "switches, each of its own")]
pub struct Links {
    /// `frames` in turns, or `fluid`: max-min fairly.
    pub sharing: Sharing,
    /// Connections begin with a small window that doubles.
    pub slow_start: bool,
    /// And so they do after an idle second.
    pub idle_restart: bool,
    /// The share of the latency that a slice may take longer.
    pub jitter: f64,
    /// The share of packets that are lost.
    pub loss: f64,
    /// A loss halves the window of its connection, too.
    pub congestion_control: bool,
    /// Payload alone costs.
    pub payload_only: bool,
    /// Of one frame that an uplink sends before another connection has its turn; 0 is all of it.
    pub slice_bytes: u32,
    /// That may wait on a connection; 0 is no bound.
    pub queue_bytes: u32,
}

impl Default for Links {
    fn default() -> Self {
        let model = LinkModel::default();
        Self {
            sharing: model.sharing,
            slow_start: model.slow_start.is_some(),
            idle_restart: SlowStart::default().idle_restart,
            jitter: model.jitter,
            loss: 0.0,
            congestion_control: false,
            payload_only: model.payload_only,
            slice_bytes: model.slice_bytes.unwrap_or(0),
            queue_bytes: model.queue_bytes.unwrap_or(0),
        }
    }
}

impl Links {
    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        in_range("links.jitter", self.jitter, 0.0, 10.0)?;
        in_range("links.loss", self.loss, 0.0, 0.5)?;
        in_range("links.slice_bytes", self.slice_bytes, 0, 1 << 24)?;
        in_range("links.queue_bytes", self.queue_bytes, 0, 1 << 30)?;
        if self.congestion_control && !self.slow_start {
            return Err(ScenarioError::Range {
                key: "links.congestion_control",
                value: "true".to_owned(),
                range: "needs links.slow_start = true, which has the window".to_owned(),
            });
        }
        Ok(())
    }

    /// Returns the model.
    pub fn model(&self) -> LinkModel {
        let some = |bytes: u32| (bytes > 0).then_some(bytes);
        let slow_start = SlowStart { idle_restart: self.idle_restart, ..SlowStart::default() };
        let loss = Loss { share: self.loss, congestion_control: self.congestion_control };
        LinkModel {
            sharing: self.sharing,
            slice_bytes: some(self.slice_bytes),
            queue_bytes: some(self.queue_bytes),
            slow_start: self.slow_start.then_some(slow_start),
            jitter: self.jitter,
            loss: (self.loss > 0.0).then_some(loss),
            payload_only: self.payload_only,
        }
    }
}
