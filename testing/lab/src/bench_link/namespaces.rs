//! Two network namespaces joined by a shaped veth pair.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// Where the receivers listen.
pub(crate) const RECEIVER: &str = "10.222.0.2";
const SENDER: &str = "10.222.0.1";

/// Both namespaces; they go when this is dropped.
pub(crate) struct Namespaces {
    pub(crate) sender: String,
    pub(crate) receiver: String,
}

impl Namespaces {
    pub(crate) fn make(rate_mbit: u32, latency_ms: u32, congestion: &str) -> Result<Self> {
        let id = std::process::id();
        let made = Self { sender: format!("link-s-{id}"), receiver: format!("link-r-{id}") };
        let (a, b) = (&made.sender, &made.receiver);
        // Names of interfaces have at most 15 bytes and stay inside the namespaces.
        run(&format!("ip netns add {a}"))?;
        run(&format!("ip netns add {b}"))?;
        run(&format!("ip link add veth0 netns {a} type veth peer name veth0 netns {b}"))?;
        for (namespace, address) in [(a, SENDER), (b, RECEIVER)] {
            run(&format!("ip -n {namespace} address add {address}/24 dev veth0"))?;
            run(&format!("ip -n {namespace} link set veth0 up"))?;
            run(&format!("ip -n {namespace} link set lo up"))?;
            run(&format!(
                "ip -n {namespace} route replace 10.222.0.0/24 dev veth0 congctl {congestion}"
            ))?;
            run(&format!(
                "tc -n {namespace} qdisc add dev veth0 root handle 1: tbf rate {rate_mbit}mbit burst 16kb \
                 latency 100ms"
            ))?;
            if latency_ms > 0 {
                run(&format!(
                    "tc -n {namespace} qdisc add dev veth0 parent 1:1 netem delay {latency_ms}ms \
                     limit 10000"
                ))?;
            }
        }
        Ok(made)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for namespace in [&self.sender, &self.receiver] {
            if let Err(error) = run(&format!("ip netns delete {namespace}")) {
                eprintln!("{error}");
            }
        }
    }
}

fn run(line: &str) -> Result<()> {
    let mut words = line.split_whitespace();
    let output =
        Command::new(words.next().unwrap_or_default()).args(words).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
