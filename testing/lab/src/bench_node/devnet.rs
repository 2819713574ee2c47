//! How long many nodes in one process take to find each other.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Nodes of the cluster.
pub(crate) const NODES: u16 = 50;

/// A process that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Returns the time from the start of the process until all nodes run, and from there until each
/// has the mesh it needs.
pub(crate) fn mesh_times() -> Result<(Duration, Duration)> {
    // Ours, since the process is killed before it could remove its own.
    let folder = tempfile::tempdir().context("make a temporary folder for identities")?;
    let begin = Instant::now();
    let child = Command::new(e2e::program("devnet"))
        .args(["--nodes", &NODES.to_string(), "--base-port", "0", "--json"])
        .arg("--data")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("devnet does not start")?;
    let mut process = Process(child);
    let output = process.0.stdout.take().context("no output")?;
    let mut started = None;
    for line in BufReader::new(output).lines() {
        let line: Value = serde_json::from_str(&line?)?;
        match line["event"].as_str() {
            Some("started") => started = Some(begin.elapsed()),
            Some("meshed") => {
                let started = started.context("a mesh before the nodes started")?;
                return Ok((started, begin.elapsed().saturating_sub(started)));
            }
            _ => {}
        }
    }
    anyhow::bail!("devnet ended before its mesh stood")
}
