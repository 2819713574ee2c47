//! Where the proxy's core goes, by perf.

use std::{
    fmt::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::server::{Programs, Server, System};

/// Lines of a profile.
const SYMBOLS: usize = 12;

/// Returns the functions of a proxy that take most under a load.
pub(crate) async fn of(
    programs: &Programs,
    what: &str,
    load: impl AsyncFnOnce(&Server) -> Result<()>,
) -> Result<String> {
    let server = Server::start(System::Proxy, programs).await?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("perf.data");
    let mut recorder = Command::new("perf")
        .args(["record", "--quiet", "--freq", "499", "--event", "cpu-clock", "--pid"])
        .arg(server.process().to_string())
        .arg("--output")
        .arg(&data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("perf does not start; a profile needs it")?;
    let done = load(&server).await;
    // It writes its record when the process it looks at has ended.
    drop(server);
    recorder.wait()?;
    done?;
    let output = Command::new("perf")
        .args(["report", "--stdio", "--no-children", "--fields", "overhead,symbol", "--input"])
        .arg(&data)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = String::from_utf8_lossy(&output.stdout);
    let mut text = format!("\nWhere the proxy's core goes, {what}:\n\n");
    let lines =
        report.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines.take(SYMBOLS) {
        let (share, symbol) = line.split_once('%').unwrap_or(("", line));
        writeln!(text, "* {} %: `{}`", share.trim(), symbol.trim())?;
    }
    Ok(text)
}
