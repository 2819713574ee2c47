//! Kademlia for one cluster: who knows one node finds the others.

use std::time::Duration;

use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    kad::{self, BucketInserts, Mode, StoreInserts, store::MemoryStore},
    multiaddr::Protocol,
};
use sha2::{Digest as _, Sha256};

use super::limits::ip_of;

/// How often a random part of the network is looked at.
pub(crate) const WALK_INTERVAL: Duration = Duration::from_secs(5);

/// How soon after another a look-up of our own neighbourhood may start.
pub(crate) const LOOKUP_INTERVAL: Duration = Duration::from_millis(500);

/// How long one look-up may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a peer that could not be reached is not dialled by look-ups.
pub(crate) const UNREACHABLE_REST: Duration = Duration::from_secs(10);

/// Addresses taken of what one peer says of itself.
const ADDRESSES_MAX: usize = 16;

/// The stream protocol and routing table.
pub(crate) type Behaviour = kad::Behaviour<MemoryStore>;

/// Returns the protocol id of a cluster: its suffix is the last 16 hex digits of SHA-256 of the
/// trimmed cluster id, nothing without one.
pub(crate) fn protocol(cluster_id: &str) -> StreamProtocol {
    let cluster_id = cluster_id.trim();
    let suffix = if cluster_id.is_empty() {
        String::new()
    } else {
        let digest = Sha256::digest(cluster_id.as_bytes());
        format!("/{}", hex::encode(&digest[24..]))
    };
    StreamProtocol::try_from_owned(format!("/open-optimump2p/kad/1{suffix}"))
        .expect("begins with a slash")
}

/// Makes the routing table of a node. Only admitted peers are put into it, and no records are
/// kept: it is used to find peers.
pub(crate) fn behaviour(own: PeerId, cluster_id: &str) -> Behaviour {
    let mut config = kad::Config::new(protocol(cluster_id));
    config
        .set_query_timeout(QUERY_TIMEOUT)
        .set_kbucket_inserts(BucketInserts::Manual)
        .set_record_filtering(StoreInserts::FilterBoth)
        .set_periodic_bootstrap_interval(None);
    let mut behaviour = Behaviour::with_config(own, MemoryStore::new(own), config);
    behaviour.set_mode(Some(Mode::Server));
    behaviour
}

/// Returns the addresses under which a peer may be found, of those it names. One that is connected
/// over loopback is on this machine and may name loopback addresses; from elsewhere they would
/// lead to this machine itself. QUIC addresses are of use only where `quic` is spoken.
pub(crate) fn usable(remote: &Multiaddr, named: Vec<Multiaddr>, quic: bool) -> Vec<Multiaddr> {
    let local = ip_of(remote).is_some_and(|ip| ip.is_loopback());
    let usable = named.into_iter().filter(|address| {
        let reachable =
            ip_of(address).is_none_or(|ip| !ip.is_unspecified() && (local || !ip.is_loopback()));
        let has = |wanted: &dyn Fn(&Protocol<'_>) -> bool| address.iter().any(|part| wanted(&part));
        let over_tcp = has(&|part| matches!(part, Protocol::Tcp(port) if *port != 0));
        let over_quic = has(&|part| matches!(part, Protocol::Udp(port) if *port != 0))
            && has(&|part| matches!(part, Protocol::QuicV1));
        reachable && (over_tcp || quic && over_quic)
    });
    usable.map(without_peer).take(ADDRESSES_MAX).collect()
}

/// Returns `address` without a peer id at its end.
pub(crate) fn without_peer(mut address: Multiaddr) -> Multiaddr {
    if let Some(Protocol::P2p(_)) = address.iter().last() {
        address.pop();
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Multiaddr> {
        texts.iter().map(|text| text.parse().expect("a multiaddress")).collect()
    }

    #[test]
    fn the_protocol_id_ends_in_the_last_16_digits_of_the_cluster_ids_hash() {
        // printf docker-dev-cluster | sha256sum
        assert_eq!(
            protocol(" docker-dev-cluster\n").as_ref(),
            "/open-optimump2p/kad/1/225ce3119bd19a5f"
        );
        assert_eq!(protocol("").as_ref(), "/open-optimump2p/kad/1");
        assert_ne!(protocol("a"), protocol("b"));
    }

    #[test]
    fn loopback_addresses_are_taken_from_peers_on_this_machine_only() {
        let named = ["/ip4/127.0.0.1/tcp/7070", "/ip4/192.0.2.7/tcp/7070", "/ip6/::1/tcp/7070"];
        let from = |remote: &str| usable(&remote.parse().expect("one"), addresses(&named), false);
        assert_eq!(from("/ip4/127.0.0.1/tcp/9").len(), 3);
        assert_eq!(from("/ip4/192.0.2.7/tcp/9"), addresses(&["/ip4/192.0.2.7/tcp/7070"]));
    }

    #[test]
    fn addresses_that_lead_nowhere_are_left_out() {
        let named = ["/ip4/0.0.0.0/tcp/7070", "/ip4/192.0.2.7/tcp/0", "/ip4/192.0.2.7/udp/7070"];
        let remote = "/ip4/192.0.2.7/tcp/9".parse().expect("one");
        assert!(usable(&remote, addresses(&named), true).is_empty());
    }

    #[test]
    fn quic_addresses_are_taken_only_where_quic_is_spoken() {
        let named = ["/ip4/192.0.2.7/udp/7070/quic-v1", "/ip4/192.0.2.7/udp/0/quic-v1"];
        let remote = "/ip4/192.0.2.7/tcp/9".parse().expect("one");
        assert_eq!(usable(&remote, addresses(&named), false), []);
        assert_eq!(usable(&remote, addresses(&named), true), addresses(&named[..1]));
    }
}
