//! One run: both ends in their namespaces, then the two records joined.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Child,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use lab::namespace::Namespace;

use crate::{
    Transport,
    namespaces::{Namespaces, RECEIVER},
};

/// Before the measurement: connections, mesh, the start of windows and of TCP.
const SETTLE: Duration = Duration::from_secs(3);

/// Data frames, peer by peer, in the order they moved: Unix time in nanoseconds, and bytes.
pub(crate) type Records = BTreeMap<String, Vec<(u128, u64)>>;

/// What is different from run to run.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) transport: Transport,
    pub(crate) peers: u16,
    pub(crate) windows: bool,
}

/// What one run showed.
pub(crate) struct Figures {
    pub(crate) frames: usize,
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) goodput_mbit: f64,
}

/// A process that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Process {
    fn start(namespace: &Namespace, arguments: &[String]) -> Result<Self> {
        let program = std::env::current_exe()?;
        Ok(Self(namespace.command(&program).args(arguments).spawn()?))
    }

    fn finish(mut self) -> Result<()> {
        let status = self.0.wait()?;
        ensure!(status.success(), "one end of the link ended with {status}");
        Ok(())
    }
}

/// Runs both ends; returns what was sent and what was taken.
pub(crate) fn run(
    namespaces: &Namespaces,
    folder: &Path,
    Setting { transport, peers, windows }: Setting,
    seconds: Duration,
) -> Result<(Records, Records)> {
    let transport = transport.name();
    let time = (SETTLE + seconds).as_secs_f64() + 1.0;
    let folder_text = folder.to_str().context("the folder's name is not UTF-8")?;
    let listening = folder.join("listening");
    let receive = format!(
        "receive --transport {transport} --peers {peers} --address {RECEIVER} --seconds {} \
         --folder {folder_text}",
        time + 2.0
    );
    let receiver = Process::start(&namespaces.receiver, &words(&receive))?;
    let limit = Instant::now() + Duration::from_secs(10);
    while !listening.exists() {
        if Instant::now() > limit {
            bail!("the receivers do not listen after ten seconds");
        }
        sleep(Duration::from_millis(20));
    }
    let addresses = std::fs::read_to_string(&listening)?;
    let without = if windows { "" } else { "--without-windows" };
    let send =
        format!("send --peers {addresses} {without} --seconds {time} --folder {folder_text}");
    Process::start(&namespaces.sender, &words(&send))?.finish()?;
    receiver.finish()?;
    let records = (read(&folder.join("sent"))?, read(&folder.join("taken"))?);
    std::fs::remove_file(listening)?;
    Ok(records)
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn read(path: &Path) -> Result<Records> {
    let mut records = Records::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let mut words = line.split(' ');
        let mut word = || words.next().context("a record of three words");
        let (peer, at, bytes) = (word()?, word()?.parse()?, word()?.parse()?);
        records.entry(peer.to_owned()).or_default().push((at, bytes));
    }
    Ok(records)
}

/// Joins the n-th frame sent to a peer with the n-th it took: streams keep the order.
pub(crate) fn delays(sent: &Records, taken: &Records, seconds: Duration) -> Result<Figures> {
    // The last second of the sender is left out: its end empties the link.
    let last = sent.values().flatten().map(|&(at, _)| at).max().context("nothing was sent")?;
    let end = last.saturating_sub(1_000_000_000);
    let begin = end.saturating_sub(seconds.as_nanos());
    let mut delays = Vec::new();
    let mut bytes_taken = 0;
    for (peer, taken) in taken {
        let sent = sent.get(peer).with_context(|| format!("nothing was sent to {peer}"))?;
        ensure!(taken.len() <= sent.len(), "{peer} took more frames than were sent");
        for (&(chosen, bytes), &(parsed, length)) in sent.iter().zip(taken) {
            ensure!(bytes == length, "a frame of {bytes} bytes arrived as {length}");
            if (begin..end).contains(&parsed) {
                bytes_taken += bytes;
                delays.push(Duration::from_nanos(parsed.saturating_sub(chosen) as u64));
            }
        }
    }
    delays.sort_unstable();
    ensure!(!delays.is_empty(), "no frame arrived in the measured time");
    Ok(Figures {
        frames: delays.len(),
        median: delays[delays.len() / 2],
        p99: delays[delays.len() * 99 / 100],
        goodput_mbit: bytes_taken as f64 * 8.0 / 1e6 / seconds.as_secs_f64(),
    })
}
