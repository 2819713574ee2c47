//! How much of the machine is used.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sysinfo::{Disks, System};

/// How old a measurement may be before it is taken anew.
const USAGE_AGE_MAX: Duration = Duration::from_secs(1);

/// How much of the machine is used, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processors, all of them together.
    pub cpu: f32,
    /// Main memory.
    pub memory: f32,
    /// The disk that holds the working folder.
    pub disk: f32,
}

/// Measures the machine. What the system does not tell is 0.
#[derive(Debug)]
pub struct Host {
    system: Option<System>,
    folder: PathBuf,
}

impl Host {
    /// Begins to measure; processors are measured from here to the first [`Host::usage`].
    pub fn new() -> Self {
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            system.refresh_cpu_usage();
        }
        Self { system, folder: std::env::current_dir().unwrap_or_else(|_| "/".into()) }
    }

    /// Measures; processors are averaged since the last call.
    pub fn usage(&mut self) -> Usage {
        let Some(system) = &mut self.system else { return Usage::default() };
        system.refresh_cpu_usage();
        system.refresh_memory();
        Usage {
            cpu: system.global_cpu_usage(),
            memory: percent(system.used_memory(), system.total_memory()),
            disk: disk(&self.folder),
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// Measures the machine at most once a second, whoever asks.
#[derive(Debug)]
pub struct Machine(Mutex<Measured>);

#[derive(Debug)]
struct Measured {
    host: Host,
    usage: Usage,
    at: Instant,
}

impl Default for Machine {
    fn default() -> Self {
        let mut host = Host::new();
        let usage = host.usage();
        Self(Mutex::new(Measured { host, usage, at: Instant::now() }))
    }
}

impl Machine {
    /// Returns how much of the machine is used, at most a second ago.
    pub fn usage(&self) -> Usage {
        let mut measured = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if measured.at.elapsed() > USAGE_AGE_MAX {
            measured.usage = measured.host.usage();
            measured.at = Instant::now();
        }
        measured.usage
    }
}

fn percent(used: u64, total: u64) -> f32 {
    if total == 0 { 0.0 } else { (used as f64 / total as f64 * 100.0) as f32 }
}

/// Returns the usage of the disk whose mount point leads to `folder`, the longest of them.
fn disk(folder: &Path) -> f32 {
    let Ok(disks) = Disks::new_with_refreshed_list() else { return 0.0 };
    let holding = disks.iter().filter(|disk| folder.starts_with(disk.mount_point()));
    let nearest = holding.max_by_key(|disk| disk.mount_point().as_os_str().len());
    nearest.map_or(0.0, |disk| {
        let total = disk.total_space();
        percent(total.saturating_sub(disk.available_space()), total)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_in_percent_and_some_memory_is_used() {
        let usage = Host::new().usage();
        for part in [usage.cpu, usage.memory, usage.disk] {
            assert!((0.0..=100.0).contains(&part), "{usage:?}");
        }
        assert!(usage.memory > 0.0);
    }

    #[test]
    fn a_share_of_nothing_is_nothing() {
        assert!(percent(5, 0).abs() < f32::EPSILON);
        assert!((percent(1, 4) - 25.0).abs() < f32::EPSILON);
    }
}
