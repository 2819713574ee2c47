//! The swarm: transport, the behaviours of a node, and where it listens.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use futures::future::Either;
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport as _,
    core::{muxing::StreamMuxerBox, transport::Boxed, upgrade::Version},
    dns, identify,
    identity::Keypair,
    multiaddr::Protocol,
    noise, ping, quic,
    swarm::{self, NetworkBehaviour},
    tcp, yamux,
};

use socket2::{Domain, Socket, Type};

use super::{discovery, handshake, limits};
use crate::{
    metrics::{Metered, StreamMeter},
    pubsub::{self, Pubsub},
};

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

/// What a swarm is made from.
pub(crate) struct Settings<'a> {
    pub(crate) keypair: &'a Keypair,
    pub(crate) cluster_id: &'a str,
    /// The version of the program, told to peers.
    pub(crate) software: &'a str,
    /// Whether to speak QUIC beside TCP.
    pub(crate) quic: bool,
    /// Told to peers instead of the addresses listened on, unless empty.
    pub(crate) announce: &'a [Multiaddr],
    /// Where streams are counted.
    pub(crate) meter: &'a Arc<StreamMeter>,
}

/// Makes the swarm of a node; it listens nowhere yet.
///
/// # Errors
///
/// Returns an error if the encryption cannot be set up.
pub(crate) fn build(
    settings: &Settings<'_>,
    pubsub: pubsub::Behaviour,
) -> anyhow::Result<Swarm<Behaviour>> {
    let Settings { keypair, cluster_id, software, quic, announce, meter } = *settings;
    let own = keypair.public().to_peer_id();
    let identify = identify::Config::new("/open-optimump2p/id/1".to_owned(), keypair.public())
        .with_agent_version(format!("open-optimump2p/{software}"))
        .with_hide_listen_addrs(!announce.is_empty())
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
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_TIMEOUT);
    let mut swarm = Swarm::new(metered(transport(keypair, quic)?, meter), behaviour, own, config);
    for address in announce {
        swarm.add_external_address(address.clone());
    }
    Ok(swarm)
}

type Transport = Boxed<(PeerId, StreamMuxerBox)>;

/// Counts what the streams of every connection carry.
fn metered(transport: Transport, meter: &Arc<StreamMeter>) -> Transport {
    let meter = Arc::clone(meter);
    let metered = transport.map(move |(peer, muxer), _| {
        (peer, StreamMuxerBox::new(Metered::new(muxer, Arc::clone(&meter))))
    });
    metered.boxed()
}

/// Names are resolved by the system's configuration, or not at all where there is none.
fn transport(keypair: &Keypair, quic: bool) -> anyhow::Result<Transport> {
    match dns::tokio::Transport::system(ip_transport(keypair, quic)?) {
        Ok(transport) => Ok(transport.boxed()),
        Err(error) => {
            tracing::warn!(%error, "no DNS: addresses with names cannot be dialled");
            ip_transport(keypair, quic)
        }
    }
}

/// TCP, with QUIC before it if wanted.
fn ip_transport(keypair: &Keypair, quic: bool) -> anyhow::Result<Transport> {
    let noise = noise::Config::new(keypair).context("set up encryption")?;
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(multiplexer())
        .timeout(CONNECT_TIMEOUT)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    if !quic {
        return Ok(tcp.boxed());
    }
    let mut config = quic::Config::new(keypair);
    config.handshake_timeout = CONNECT_TIMEOUT;
    config.max_concurrent_stream_limit = STREAMS_PER_CONNECTION_MAX as u32;
    let quic = quic::tokio::Transport::new(config)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let either = quic.or_transport(tcp).map(|either, _| match either {
        Either::Left(connection) | Either::Right(connection) => connection,
    });
    Ok(either.boxed())
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
    Multiaddr::from(ip).with(Protocol::Tcp(port))
}

/// Returns the multiaddress of QUIC at `ip` and UDP `port`.
pub(crate) fn quic_address(ip: IpAddr, port: u16) -> Multiaddr {
    Multiaddr::from(ip).with(Protocol::Udp(port)).with(Protocol::QuicV1)
}

/// Returns where the swarm listens, what others can use best at first: TCP before QUIC, IPv4 before
/// IPv6, loopback at last.
pub(crate) fn listening(swarm: &Swarm<Behaviour>) -> Vec<Multiaddr> {
    let mut addresses: Vec<Multiaddr> = swarm.listeners().cloned().collect();
    addresses.sort_by_key(|address| {
        let ip = limits::ip_of(address);
        let over_udp = address.iter().any(|part| matches!(part, Protocol::Udp(_)));
        let loopback = ip.is_some_and(|ip| ip.is_loopback());
        (loopback, over_udp, ip.is_some_and(|ip| ip.is_ipv6()), address.clone())
    });
    addresses
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
