//! What nodes and machine have used.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use lab::process::{cpu_time, machine_time, received_bytes, tcp_segments};

use crate::scenario::Load;

/// How often it is looked whether all cores are busy: ten ticks of their counters.
const LOOK: Duration = Duration::from_millis(100);

/// From this share on they are.
const SATURATED: f64 = 0.95;

/// Counters that only rise.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// By all nodes.
    received_bytes: u64,
    cpu: Duration,
    segments: u64,
    segments_again: u64,
    /// By the process that delays packets.
    delay_cpu: Duration,
    /// By this process.
    own_cpu: Duration,
    machine_busy: Duration,
    machine_all: Duration,
}

/// What a run used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// By a node, in the mean, per byte of the messages; with the headers of packets.
    pub(crate) received: f64,
    /// Of all nodes, for each MiB delivered to one of them.
    pub(crate) cpu_s_per_mib: f64,
    /// Of all TCP segments, those that were sent again.
    pub(crate) segments_again: f64,
    /// Cores that the nodes took, in the mean over the run.
    pub(crate) node_cores: f64,
    /// The same of the process that delays packets.
    pub(crate) delay_cores: f64,
    /// The same of all that does not belong to the lab: what disturbs.
    pub(crate) other_cores: f64,
}

impl Counters {
    /// Reads those of the processes `nodes`, each in a namespace with a `device`.
    pub(crate) fn read(nodes: &[u32], device: &str, delay: Option<u32>) -> Result<Self> {
        let mut counters = Self::default();
        for &node in nodes {
            counters.received_bytes += received_bytes(node, device)?;
            counters.cpu += cpu_time(node)?;
            let (segments, again) = tcp_segments(node)?;
            counters.segments += segments;
            counters.segments_again += again;
        }
        counters.delay_cpu = delay.map_or(Ok(Duration::ZERO), cpu_time)?;
        counters.own_cpu = cpu_time(std::process::id())?;
        (counters.machine_busy, counters.machine_all) = machine_time()?;
        Ok(counters)
    }

    /// Returns what was used since `before`, in which `deliveries` messages came.
    pub(crate) fn since(&self, before: &Self, load: &Load, deliveries: usize) -> Used {
        let time = |of: fn(&Self) -> Duration| of(self).saturating_sub(of(before)).as_secs_f64();
        let count = |of: fn(&Self) -> u64| of(self).saturating_sub(of(before)) as f64;
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        let seconds = time(|c| c.machine_all) / cores;
        let (nodes, delay) = (time(|c| c.cpu), time(|c| c.delay_cpu));
        let others = time(|c| c.machine_busy) - nodes - delay - time(|c| c.own_cpu);
        let mib = (deliveries * load.bytes) as f64 / f64::from(1 << 20);
        Used {
            received: count(|c| c.received_bytes) / load.links.nodes as f64 / load.message_bytes(),
            cpu_s_per_mib: nodes / mib,
            segments_again: count(|c| c.segments_again) / count(|c| c.segments).max(1.0),
            node_cores: nodes / seconds,
            delay_cores: delay / seconds,
            other_cores: others.max(0.0) / seconds,
        }
    }
}

/// Looks again and again whether all cores are busy, which is when they decide and not the links.
#[derive(Debug)]
pub(crate) struct Watch {
    task: tokio::task::JoinHandle<()>,
    /// Looks, and those at which all cores were busy.
    looks: Arc<[AtomicU32; 2]>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        let looks: Arc<[AtomicU32; 2]> = Arc::default();
        let counted = looks.clone();
        let task = tokio::spawn(async move {
            let mut before = None;
            // It ends when this is dropped, or where there is no process folder.
            while let Ok((busy, all)) = machine_time() {
                if let Some((busy_before, all_before)) = before.replace((busy, all)) {
                    let (busy, all) =
                        (busy.saturating_sub(busy_before), all.saturating_sub(all_before));
                    counted[0].fetch_add(1, Ordering::Relaxed);
                    let saturated = busy.as_secs_f64() >= SATURATED * all.as_secs_f64();
                    counted[1].fetch_add(u32::from(saturated), Ordering::Relaxed);
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Self { task, looks }
    }

    /// Returns the share of looks at which all cores were busy.
    pub(crate) fn saturated(&self) -> f64 {
        let [all, saturated] = &*self.looks;
        let all = f64::from(all.load(Ordering::Relaxed));
        f64::from(saturated.load(Ordering::Relaxed)) / all.max(1.0)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{network::Links, scenario::Pace};

    #[test]
    fn what_was_used_is_told_per_node_byte_and_delivered_mebibyte() {
        let links = Links { nodes: 4, mbps: 50, latency_ms: 0 };
        let load = Load { links, bytes: 1 << 20, messages: 2, pace: Pace::Apart };
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u32;
        let cores = Duration::from_secs(cores.into());
        let before = Counters { received_bytes: 100, ..Counters::default() };
        let after = Counters {
            received_bytes: 100 + 12 * (1 << 20),
            cpu: Duration::from_millis(600),
            segments: 1000,
            segments_again: 10,
            machine_busy: Duration::from_secs(1),
            machine_all: 2 * cores,
            ..Counters::default()
        };
        let used = after.since(&before, &load, 6);
        assert!((used.received - 1.5).abs() < 1e-9, "{}", used.received);
        assert!((used.cpu_s_per_mib - 0.1).abs() < 1e-9, "{}", used.cpu_s_per_mib);
        assert!((used.segments_again - 0.01).abs() < 1e-9);
        assert!((used.node_cores - 0.3).abs() < 1e-9 && (used.other_cores - 0.2).abs() < 1e-9);
    }
}
