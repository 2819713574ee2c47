//! The swarm: transport, the behaviours of a node, and where it listens.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use libp2p::{
    Multiaddr, Swarm, SwarmBuilder, identify, identity::Keypair, noise, ping,
    swarm::NetworkBehaviour, tcp, yamux,
};

use socket2::{Domain, Socket, Type};

use super::{discovery, handshake, limits};
use crate::pubsub::{self, Pubsub};

/// How long an inbound or outbound connection may take to agree on encryption and multiplexing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection without streams stays: longer than a handshake may take.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a quiet connection is asked whether it is still there, and how long the answer may
/// take before it is closed.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Streams one connection may have open at once: gossip has 2 each way, the rest are look-ups.
const STREAMS_PER_CONNECTION_MAX: usize = 128;

/// Everything that runs on a connection.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    // First, so that nothing else sees a connection that is not let in.
    pub(crate) limits: limits::Behaviour,
    pub(crate) handshake: handshake::Behaviour,
    pub(crate) identify: identify::Behaviour,
    pub(crate) kad: discovery::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pubsub: pubsub::Behaviour,
}

impl Behaviour {
    /// Returns the publish/subscribe protocol, whichever it is.
    pub(crate) fn pubsub(&self) -> &impl Pubsub {
        &self.pubsub
    }

    /// The same, to ask something of it.
    pub(crate) fn pubsub_mut(&mut self) -> &mut impl Pubsub {
        &mut self.pubsub
    }
}

/// Makes the swarm of a node of `cluster_id`; it listens nowhere yet.
///
/// # Errors
///
/// Returns an error if the encryption cannot be set up.
pub(crate) fn build(
    keypair: &Keypair,
    cluster_id: &str,
    software: &str,
    pubsub: pubsub::Behaviour,
) -> anyhow::Result<Swarm<Behaviour>> {
    let own = keypair.public().to_peer_id();
    let identify = identify::Config::new("/open-optimump2p/id/1".to_owned(), keypair.public())
        .with_agent_version(format!("open-optimump2p/{software}"))
        .with_push_listen_addr_updates(true);
    let ping = ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT);
    let behaviour = Behaviour {
        limits: limits::Behaviour::new(limits::Limits::default()),
        handshake: handshake::behaviour(),
        identify: identify::Behaviour::new(identify),
        kad: discovery::behaviour(own, cluster_id),
        ping: ping::Behaviour::new(ping),
        pubsub,
    };
    let tcp = SwarmBuilder::with_existing_identity(keypair.clone())
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, multiplexer)
        .context("set up encryption")?;
    // Names are resolved by the system's configuration, or not at all where there is none.
    let swarm = match tcp.with_dns() {
        Ok(tcp) => tcp
            .with_behaviour(|_| behaviour)
            .context("set up behaviours")?
            .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT))
            .with_connection_timeout(CONNECT_TIMEOUT)
            .build(),
        Err(error) => {
            tracing::warn!(%error, "no DNS: addresses with names cannot be dialled");
            SwarmBuilder::with_existing_identity(keypair.clone())
                .with_tokio()
                .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, multiplexer)
                .context("set up encryption")?
                .with_behaviour(|_| behaviour)
                .context("set up behaviours")?
                .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT))
                .with_connection_timeout(CONNECT_TIMEOUT)
                .build()
        }
    };
    Ok(swarm)
}

fn multiplexer() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(STREAMS_PER_CONNECTION_MAX);
    config
}

/// Returns the addresses to bind for `bind`: all of IPv4 and IPv6 when none is given.
pub(crate) fn bind_ips(bind: Option<IpAddr>) -> Vec<IpAddr> {
    bind.map_or_else(
        || vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        |ip| vec![ip],
    )
}

/// Returns the multiaddress of TCP at `ip` and `port`.
pub(crate) fn tcp_address(ip: IpAddr, port: u16) -> Multiaddr {
    Multiaddr::from(ip).with(libp2p::multiaddr::Protocol::Tcp(port))
}

/// Checks that nobody else listens at the address. The transport's own listener shares its port
/// (that is how it dials from it), so it would not notice a second node.
pub(crate) fn check_port_is_free(ip: IpAddr, port: u16) -> io::Result<()> {
    let address = SocketAddr::new(ip, port);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if ip.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if port != 0 {
        socket.bind(&address.into())?;
        socket.listen(1)?;
    }
    Ok(())
}
