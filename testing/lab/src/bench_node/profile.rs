//! Where the CPU goes, by perf.

use std::{
    fmt::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::node_process::cluster;

use crate::{Mode, Options, load::Load};

/// Lines of a profile.
const SYMBOLS: usize = 12;

/// Returns the functions of four nodes that take most, for the longest of the messages.
pub(crate) async fn of(options: &Options, mode: Mode) -> Result<String> {
    let bytes = options.sizes.iter().copied().max().context("no size is given")?;
    let nodes = cluster(4, |command| mode.node(command)).await;
    let mut load = Load::start(&nodes, bytes).await?;
    let ids: Vec<String> = nodes.iter().map(|node| node.id().to_string()).collect();
    let data = std::env::temp_dir().join(format!("bench-node-{}.perf", std::process::id()));
    let mut recorder = Command::new("perf")
        .args(["record", "--quiet", "--freq", "499", "--event", "cpu-clock", "--pid"])
        .arg(ids.join(","))
        .arg("--output")
        .arg(&data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("perf does not start; a profile needs it")?;
    let figures = load.run(&nodes, Duration::from_secs_f64(options.seconds)).await;
    // It writes its record when the processes it looks at have ended.
    drop(nodes);
    recorder.wait()?;
    figures?;
    let output = Command::new("perf")
        .args(["report", "--stdio", "--no-children", "--fields", "overhead,symbol", "--input"])
        .arg(&data)
        .output()?;
    std::fs::remove_file(&data)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = String::from_utf8_lossy(&output.stdout);
    let mut text =
        format!("\nWhere the CPU of four nodes goes, {} with {bytes} B:\n\n", mode.name());
    let lines =
        report.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines.take(SYMBOLS) {
        // Writing to a string does not fail.
        let (share, symbol) = line.split_once('%').unwrap_or(("", line));
        let _ = writeln!(text, "* {} %: `{}`", share.trim(), symbol.trim());
    }
    Ok(text)
}
