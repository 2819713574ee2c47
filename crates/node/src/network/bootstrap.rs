//! When to dial whom again: the bootstrap list for ever, peers that were lost a few times.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use rand::{Rng, RngExt as _};
use thiserror::Error;

/// The first wait after a failure; doubled at each further one.
const WAIT_FIRST: Duration = Duration::from_millis(250);

/// The longest wait. A dial of an address that refuses costs next to nothing.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Failures in a row after which a peer that is not in the bootstrap list is forgotten; discovery
/// finds it again when it comes back. With the waits above: about half a minute.
const FAILURES_MAX: u32 = 8;

/// Peers remembered beside the bootstrap list; above, a newly lost peer is left to discovery.
const REMEMBERED_MAX: usize = 256;

/// Addresses tried of one peer.
const ADDRESSES_MAX: usize = 16;

/// One entry of `BOOTSTRAP_PEERS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapPeer {
    /// Who.
    pub peer: PeerId,
    /// Where, without the peer id at the end.
    pub address: Multiaddr,
}

/// Why a text is no bootstrap address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BootstrapError {
    /// No multiaddress at all.
    #[error(
        "{text:?} is no multiaddress ({reason}); wanted is /ip4/<address>/tcp/<port>/p2p/<peer id>"
    )]
    Malformed {
        /// The entry.
        text: String,
        /// What the parser says.
        reason: String,
    },
    /// A multiaddress without a peer id at its end.
    #[error("{text:?} does not end in /p2p/<peer id>")]
    NoPeer {
        /// The entry.
        text: String,
    },
    /// A peer id without an address.
    #[error("{text:?} has no address before /p2p/<peer id>")]
    NoAddress {
        /// The entry.
        text: String,
    },
}

impl std::str::FromStr for BootstrapPeer {
    type Err = BootstrapError;

    fn from_str(text: &str) -> Result<Self, BootstrapError> {
        let mut address: Multiaddr = text.parse().map_err(|error: libp2p::multiaddr::Error| {
            BootstrapError::Malformed { text: text.to_owned(), reason: error.to_string() }
        })?;
        let Some(Protocol::P2p(peer)) = address.pop() else {
            return Err(BootstrapError::NoPeer { text: text.to_owned() });
        };
        if address.is_empty() {
            return Err(BootstrapError::NoAddress { text: text.to_owned() });
        }
        Ok(Self { peer, address })
    }
}

/// A peer that is to be connected.
#[derive(Clone, Debug)]
struct Target {
    addresses: Vec<Multiaddr>,
    permanent: bool,
    failures: u32,
    /// When to dial; none while connected or being dialled.
    due: Option<Instant>,
}

/// Knows when to dial whom. Told of every connection, loss and failure; dials nothing itself.
#[derive(Debug)]
pub(crate) struct Redial<R> {
    targets: BTreeMap<PeerId, Target>,
    rng: R,
}

impl<R: Rng> Redial<R> {
    /// Everybody in `list` but `own` is due at `now`.
    pub(crate) fn new(own: PeerId, list: &[BootstrapPeer], now: Instant, rng: R) -> Self {
        let mut targets = BTreeMap::<PeerId, Target>::new();
        for BootstrapPeer { peer, address } in list.iter().filter(|entry| entry.peer != own) {
            let target = targets.entry(*peer).or_insert_with(|| Target {
                addresses: Vec::new(),
                permanent: true,
                failures: 0,
                due: Some(now),
            });
            if !target.addresses.contains(address) {
                target.addresses.push(address.clone());
            }
        }
        Self { targets, rng }
    }

    /// The peer was admitted; `addresses` are where it may be found later.
    pub(crate) fn connected(
        &mut self,
        peer: PeerId,
        addresses: impl IntoIterator<Item = Multiaddr>,
    ) {
        let addresses = addresses.into_iter();
        let known = self.targets.len();
        let target = match self.targets.entry(peer) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(_) if known >= REMEMBERED_MAX => return,
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Target {
                addresses: Vec::new(),
                permanent: false,
                failures: 0,
                due: None,
            }),
        };
        target.failures = 0;
        target.due = None;
        for address in addresses {
            if target.addresses.len() < ADDRESSES_MAX && !target.addresses.contains(&address) {
                target.addresses.push(address);
            }
        }
    }

    /// The last connection with the peer was lost, or a dial of it failed.
    pub(crate) fn failed(&mut self, now: Instant, peer: &PeerId) {
        let Some(target) = self.targets.get_mut(peer) else { return };
        if target.due.is_some() {
            return;
        }
        target.failures = target.failures.saturating_add(1);
        if !target.permanent && (target.failures > FAILURES_MAX || target.addresses.is_empty()) {
            self.targets.remove(peer);
            return;
        }
        let doublings = (target.failures - 1).min(16);
        let longest = WAIT_FIRST.saturating_mul(1 << doublings).min(WAIT_MAX);
        // Half of the wait is jitter, so that nodes that lost the same peer spread out.
        target.due = Some(now + longest.mul_f64(self.rng.random_range(0.5..=1.0)));
    }

    /// The peer is not wanted any more (barred, or of another cluster). The bootstrap list stays,
    /// at its longest wait.
    pub(crate) fn unwanted(&mut self, now: Instant, peer: &PeerId) {
        let Some(target) = self.targets.get_mut(peer) else { return };
        if target.permanent {
            target.failures = FAILURES_MAX;
            target.due = None;
            self.failed(now, peer);
        } else {
            self.targets.remove(peer);
        }
    }

    /// Returns whom to dial now and takes them off the list until [`Redial::failed`].
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let due = self.targets.iter_mut().filter(|(_, t)| t.due.is_some_and(|due| due <= now));
        due.map(|(peer, target)| {
            target.due = None;
            (*peer, target.addresses.clone())
        })
        .collect()
    }

    /// Returns when [`Redial::due`] has somebody next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.targets.values().filter_map(|target| target.due).min()
    }

    /// Returns whether the peer is in the bootstrap list.
    pub(crate) fn is_permanent(&self, peer: &PeerId) -> bool {
        self.targets.get(peer).is_some_and(|target| target.permanent)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    type TestRng = rand::rngs::StdRng;

    fn entry() -> BootstrapPeer {
        let address = "/ip4/127.0.0.1/tcp/7070".parse().expect("a multiaddress");
        BootstrapPeer { peer: PeerId::random(), address }
    }

    fn redial(list: &[BootstrapPeer], now: Instant) -> Redial<TestRng> {
        Redial::new(PeerId::random(), list, now, TestRng::seed_from_u64(1))
    }

    #[test]
    fn an_address_of_the_list_is_parsed_and_a_wrong_one_is_named() {
        let peer = PeerId::random();
        let parsed: BootstrapPeer =
            format!("/ip4/172.28.0.12/tcp/7070/p2p/{peer}").parse().expect("well formed");
        assert_eq!(parsed.peer, peer);
        assert_eq!(parsed.address.to_string(), "/ip4/172.28.0.12/tcp/7070");
        for wrong in ["nonsense", "/ip4/1.2.3.4/tcp/99999/p2p/x", "/ip4/1.2.3.4/tcp/7070"] {
            let error = wrong.parse::<BootstrapPeer>().expect_err(wrong).to_string();
            assert!(error.contains(wrong), "{error}");
        }
        let error = format!("/p2p/{peer}").parse::<BootstrapPeer>().expect_err("no address");
        assert!(matches!(error, BootstrapError::NoAddress { .. }));
    }

    #[test]
    fn the_node_itself_in_the_list_is_skipped_and_the_others_are_due_at_once() {
        let (now, own, other) = (Instant::now(), entry(), entry());
        let list = [own.clone(), other.clone()];
        let mut redial = Redial::new(own.peer, &list, now, TestRng::seed_from_u64(1));
        assert_eq!(redial.due(now), [(other.peer, vec![other.address])]);
        assert_eq!(redial.next(), None, "being dialled");
    }

    #[test]
    fn waits_double_up_to_the_longest_and_the_bootstrap_list_is_never_given_up() {
        let list = [entry()];
        let peer = list[0].peer;
        let mut now = Instant::now();
        let mut redial = redial(&list, now);
        for failure in 0..40_u32 {
            assert_eq!(redial.due(now).len(), 1);
            redial.failed(now, &peer);
            let wait = redial.next().expect("never given up") - now;
            let longest = WAIT_FIRST.saturating_mul(1 << failure.min(16)).min(WAIT_MAX);
            assert!(wait <= longest && wait >= longest / 2, "{wait:?} after failure {failure}");
            now += wait;
        }
    }

    #[test]
    fn a_lost_peer_is_dialled_again_a_few_times_and_then_forgotten() {
        let mut now = Instant::now();
        let mut redial = redial(&[], now);
        let BootstrapPeer { peer, address } = entry();
        redial.connected(peer, [address.clone()]);
        let mut dials = 0;
        redial.failed(now, &peer);
        while let Some(due) = redial.next() {
            now = due;
            assert_eq!(redial.due(now), [(peer, vec![address.clone()])]);
            dials += 1;
            redial.failed(now, &peer);
        }
        assert_eq!(dials, FAILURES_MAX);
        assert!(redial.targets.is_empty());
    }

    #[test]
    fn a_success_starts_the_waits_anew() {
        let list = [entry()];
        let peer = list[0].peer;
        let now = Instant::now();
        let mut redial = redial(&list, now);
        for _ in 0..10 {
            redial.due(now + WAIT_MAX);
            redial.failed(now, &peer);
        }
        redial.due(now + WAIT_MAX);
        redial.connected(peer, []);
        assert_eq!(redial.next(), None);
        redial.failed(now, &peer);
        assert!(redial.next().expect("due") - now <= WAIT_FIRST);
    }

    #[test]
    fn an_unwanted_peer_is_forgotten_but_the_bootstrap_list_waits_longest() {
        let list = [entry()];
        let now = Instant::now();
        let mut redial = redial(&list, now);
        redial.due(now);
        redial.unwanted(now, &list[0].peer);
        assert!(redial.next().expect("kept") - now >= WAIT_MAX / 2);
        let other = entry();
        redial.connected(other.peer, [other.address]);
        redial.unwanted(now, &other.peer);
        assert!(!redial.targets.contains_key(&other.peer));
    }

    #[test]
    fn more_peers_than_are_remembered_are_left_to_discovery() {
        let mut redial = redial(&[], Instant::now());
        for _ in 0..=REMEMBERED_MAX {
            redial.connected(PeerId::random(), []);
        }
        assert_eq!(redial.targets.len(), REMEMBERED_MAX);
    }
}
