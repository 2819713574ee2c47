//! What a process has used, from the process folder.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::node_process::NodeProcess;

/// Ticks of a second in the process folder; the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What one process has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time since the start.
    pub(crate) cpu: Duration,
    /// Resident now.
    pub(crate) resident_kib: u64,
    /// Resident at most.
    pub(crate) peak_kib: u64,
}

impl Usage {
    pub(crate) fn of(node: &NodeProcess) -> Result<Self> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", node.id()))?;
        // The name of the program, in brackets, may contain anything.
        let (_, fields) = text.rsplit_once(')').context("no name in the process's status")?;
        let ticks: f64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|field| field.parse::<f64>().unwrap_or_default())
            .sum();
        Ok(Self {
            cpu: Duration::from_secs_f64(ticks / TICKS_PER_SECOND),
            resident_kib: node.memory_kib("VmRSS"),
            peak_kib: node.memory_kib("VmHWM"),
        })
    }

    /// Returns the CPU time of all together, and the memory of the one that has most.
    pub(crate) fn of_all(nodes: &[NodeProcess]) -> Result<Self> {
        nodes.iter().try_fold(Self::default(), |all, node| {
            let one = Self::of(node)?;
            Ok(Self {
                cpu: all.cpu + one.cpu,
                resident_kib: all.resident_kib.max(one.resident_kib),
                peak_kib: all.peak_kib.max(one.peak_kib),
            })
        })
    }

    /// Returns the CPU time since `earlier`, and memory as it is.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), ..self }
    }
}
