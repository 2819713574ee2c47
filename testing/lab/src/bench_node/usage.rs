//! What a process has used, from the process folder.

use std::time::Duration;

use anyhow::Result;
use e2e::node_process::NodeProcess;
use lab::process::cpu_time;

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
        Ok(Self {
            cpu: cpu_time(node.id())?,
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
