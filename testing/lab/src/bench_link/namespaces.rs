//! Two network namespaces joined by a shaped veth pair.

use anyhow::Result;
use lab::namespace::{Namespace, run};

/// Where the receivers listen.
pub(crate) const RECEIVER: &str = "10.222.0.2";
const SENDER: &str = "10.222.0.1";

const BURST_KB: u32 = 16;

/// Both namespaces; they go when this is dropped.
pub(crate) struct Namespaces {
    pub(crate) sender: Namespace,
    pub(crate) receiver: Namespace,
}

impl Namespaces {
    pub(crate) fn make(rate_mbit: u32, latency_ms: u32, congestion: &str) -> Result<Self> {
        let id = std::process::id();
        let sender = Namespace::make(format!("link-s-{id}"))?;
        let made = Self { sender, receiver: Namespace::make(format!("link-r-{id}"))? };
        let (a, b) = (made.sender.name(), made.receiver.name());
        // Names of interfaces have at most 15 bytes and stay inside the namespaces.
        run(&format!("ip link add veth0 netns {a} type veth peer name veth0 netns {b}"))?;
        for (namespace, address) in [(&made.sender, SENDER), (&made.receiver, RECEIVER)] {
            namespace.ip(&format!("address add {address}/24 dev veth0"))?;
            namespace.ip("link set veth0 up")?;
            namespace.ip("link set lo up")?;
            namespace.ip(&format!("route replace 10.222.0.0/24 dev veth0 congctl {congestion}"))?;
            namespace.shape("veth0", rate_mbit, BURST_KB)?;
            if latency_ms > 0 {
                namespace.delay_by_netem("veth0", latency_ms)?;
            }
        }
        Ok(made)
    }
}
