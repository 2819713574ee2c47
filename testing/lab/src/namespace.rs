//! Network namespaces, by the programs `ip` and `tc`.

use std::{
    fs::File,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Bytes that a shaped link lets through at once.
pub const BURST_KB: u32 = 32;

/// How long a packet may wait for a shaped link before it is dropped.
pub const QUEUE_MS: u32 = 100;

/// A network namespace of ours. It goes, with the devices in it, when this is dropped and the last
/// process in it has ended.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace.
    ///
    /// # Errors
    ///
    /// When the system refuses, or has one of that name.
    pub fn make(name: String) -> Result<Self> {
        run(&format!("ip netns add {name}"))?;
        Ok(Self { name })
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` in it with the words of a line.
    ///
    /// # Errors
    ///
    /// When `ip` fails; says the line and why.
    pub fn ip(&self, line: &str) -> Result<()> {
        run(&format!("ip -n {} {line}", self.name))
    }

    /// Shapes what leaves by a device to `rate_mbit` Mbit/s, with a burst of `burst_kb` kB.
    ///
    /// # Errors
    ///
    /// When `tc` fails; says the line and why.
    pub fn shape(&self, device: &str, rate_mbit: u32, burst_kb: u32) -> Result<()> {
        run(&format!(
            "tc -n {} qdisc add dev {device} root handle 1: tbf rate {rate_mbit}mbit burst \
             {burst_kb}kb latency {QUEUE_MS}ms",
            self.name
        ))
    }

    /// Adds a latency to what leaves by a shaped device; the kernel needs netem.
    ///
    /// # Errors
    ///
    /// When `tc` fails; says the line and why.
    pub fn delay_by_netem(&self, device: &str, latency_ms: u32) -> Result<()> {
        run(&format!(
            "tc -n {} qdisc add dev {device} parent 1:1 netem delay {latency_ms}ms limit 10000",
            self.name
        ))
    }

    /// Returns a command that runs a program in it; the process is the program's.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Does something on a thread in it: sockets that are made there stay there.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = PathBuf::from("/run/netns").join(&self.name);
        let file = File::open(&path).with_context(|| path.display().to_string())?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(work())
            });
            thread.join().ok().context("what was done in a namespace panicked")?
        })
    }
}

impl Drop for Namespace {
    #[expect(clippy::print_stderr, reason = "nobody else could tell what is left behind")]
    fn drop(&mut self) {
        if let Err(error) = run(&format!("ip netns delete {}", self.name)) {
            eprintln!("{error:#}");
        }
    }
}

/// Checks that namespaces can be made here.
///
/// # Errors
///
/// Says what is missing.
pub fn check() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "network namespaces are made by root alone: run this as root"
    );
    for program in ["ip", "tc"] {
        let found = Command::new(program).arg("-V").stdout(Stdio::null()).status();
        ensure!(
            found.is_ok_and(|status| status.success()),
            "there is no program {program:?}: install iproute2"
        );
    }
    Ok(())
}

/// Runs the words of a line as a command.
///
/// # Errors
///
/// When it fails; says the line and what the command said.
pub fn run(line: &str) -> Result<()> {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap_or_default())
        .args(words)
        .stdin(Stdio::null())
        .output()
        .with_context(|| line.to_owned())?;
    if !output.status.success() {
        bail!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
