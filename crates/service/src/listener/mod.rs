//! The TCP listeners of the gRPC and HTTP faces: all addresses or one, bounded connections, TLS if
//! asked for, and nothing lost of what a client sent before it went away.

mod connection;
mod preface;
mod refusals;
mod socket;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures::{Stream, stream};
use socket2::{Domain, Protocol, Type};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tracing::{debug, warn};

pub use connection::Connection;
use connection::Layer;
use preface::Preface;
pub use refusals::{Refusals, families};
use socket::Socket;

/// Connections of one face at once, unless it says otherwise. One more is closed at once, and
/// counted.
const CONNECTIONS_MAX: usize = 1024;

/// How long accepting pauses when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a client may take to agree on TLS.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// Connections that wait in the kernel to be accepted.
const BACKLOG: i32 = 1024;

/// A port that cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {address} ({variable}={})", .address.port())]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// The environment variable that says so.
    pub variable: &'static str,
    /// Why not.
    pub source: io::Error,
}

/// A bound listener with a bound on its connections.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    permits: Arc<Semaphore>,
    connections_max: usize,
    refusals: Arc<Refusals>,
    tls: Option<Arc<ServerConfig>>,
    http2_only: bool,
    /// Clients that agree on TLS. Each holds one of the permits, so these are bounded with them.
    handshakes: JoinSet<io::Result<(Layer, SocketAddr)>>,
}

impl Listener {
    /// Binds `port` at `ip`, or at all addresses, IPv4 and IPv6.
    ///
    /// # Errors
    ///
    /// Returns [`ListenError`] naming `variable`.
    pub fn bind(
        ip: Option<IpAddr>,
        port: u16,
        variable: &'static str,
    ) -> Result<Self, ListenError> {
        let bound = match ip {
            Some(ip) => bind(SocketAddr::new(ip, port)),
            // One socket for both families; the other where the kernel has no IPv6.
            None => bind(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)).or_else(|error| {
                if error.kind() == io::ErrorKind::AddrInUse {
                    return Err(error);
                }
                bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
            }),
        };
        let address = SocketAddr::new(ip.unwrap_or(Ipv6Addr::UNSPECIFIED.into()), port);
        let error = |source| ListenError { address, variable, source };
        let socket = bound.map_err(error)?;
        let address = socket.local_addr().map_err(error)?;
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let refusals = Arc::default();
        Ok(Self {
            socket,
            address,
            permits,
            connections_max: CONNECTIONS_MAX,
            refusals,
            tls: None,
            http2_only: false,
            handshakes: JoinSet::new(),
        })
    }

    /// Takes so many connections at once.
    #[must_use]
    pub fn with_connections_max(self, max: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(max)), connections_max: max, ..self }
    }

    /// Speaks TLS from here on, if there is anything to speak it with.
    #[must_use]
    pub fn with_tls(self, tls: Option<Arc<ServerConfig>>) -> Self {
        Self { tls, ..self }
    }

    /// Ends connections on which HTTP/2 does not begin within 75 s, and counts those that begin
    /// otherwise. Without, a client that sends nothing would keep its place for ever: the server
    /// asks whether a client is there only after that.
    #[must_use]
    pub fn with_http2_only(self) -> Self {
        Self { http2_only: true, ..self }
    }

    /// Returns where it listens, with the port that was taken if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns an address that a client on this machine can connect to.
    pub fn reachable_address(&self) -> SocketAddr {
        // One socket serves both families.
        let all = self.address.ip().is_unspecified();
        let ip = if all { Ipv4Addr::LOCALHOST.into() } else { self.address.ip() };
        SocketAddr::new(ip, self.address.port())
    }

    /// Returns the counters of what is not handed out.
    pub fn refusals(&self) -> Arc<Refusals> {
        Arc::clone(&self.refusals)
    }

    /// Returns the next connection within the bound. One that agrees on TLS keeps no other waiting.
    pub async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                Some(agreed) = self.handshakes.join_next() => match agreed {
                    Ok(Ok((layer, from))) => return (self.connection(layer), from),
                    Ok(Err(error)) => {
                        Refusals::count(&self.refusals.without_tls);
                        debug!(%error, port = self.address.port(), "a client did not agree on TLS");
                        continue;
                    }
                    Err(error) => {
                        Refusals::count(&self.refusals.without_tls);
                        warn!(%error, port = self.address.port(), "a TLS handshake failed");
                        continue;
                    }
                },
            };
            match accepted {
                Ok((stream, from)) => {
                    let Some(socket) = self.admit(stream, from) else { continue };
                    let Some(tls) = &self.tls else {
                        return (self.connection(Layer::Plain(socket)), from);
                    };
                    self.handshakes.spawn(agree(TlsAcceptor::from(Arc::clone(tls)), socket, from));
                }
                Err(error) => {
                    warn!(%error, port = self.address.port(), "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn connection(&self, layer: Layer) -> Connection {
        let preface = self.http2_only.then(|| Preface::new(Arc::clone(&self.refusals)));
        Connection { layer, preface }
    }

    fn admit(&self, stream: TcpStream, from: SocketAddr) -> Option<Socket> {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            Refusals::count(&self.refusals.beyond_bound);
            warn!(%from, port = self.address.port(), max = self.connections_max, "as many connections are open as may be; one more is closed");
            return None;
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%from, %error, "connection lost at once");
        }
        Some(Socket::new(stream, permit))
    }

    /// Returns all connections, for ever.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> {
        stream::unfold(self, |mut listener| async move {
            let (connection, _) = listener.accept().await;
            Some((Ok(connection), listener))
        })
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        Self::accept(self).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket =
        socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Agrees on TLS with a client.
async fn agree(
    tls: TlsAcceptor,
    socket: Socket,
    from: SocketAddr,
) -> io::Result<(Layer, SocketAddr)> {
    let agreed = tokio::time::timeout(HANDSHAKE_WAIT, tls.accept(socket)).await;
    let stream = agreed.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok((Layer::Tls(Box::new(stream)), from))
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::{
        TlsConnector,
        rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs::default_provider, pki_types},
    };

    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named_with_its_variable() {
        let loopback = Some(Ipv4Addr::LOCALHOST.into());
        let first = Listener::bind(loopback, 0, "API_PORT").expect("a free port");
        let port = first.address().port();
        let error = Listener::bind(loopback, port, "API_PORT").expect_err("in use").to_string();
        assert!(error.contains(&format!("127.0.0.1:{port} (API_PORT={port})")), "{error}");
    }

    #[tokio::test]
    async fn without_an_address_both_families_are_served() {
        let mut listener = Listener::bind(None, 0, "API_PORT").expect("a free port");
        let port = listener.address().port();
        let (connected, (_, from)) =
            tokio::join!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)), listener.accept());
        connected.expect("IPv4");
        assert!(from.ip().to_canonical().is_loopback());
    }

    /// A listener that speaks TLS, and a client that trusts it.
    fn with_tls() -> (Listener, TlsConnector) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        let key = pki_types::PrivateKeyDer::try_from(made.key_pair.serialize_der()).expect("a key");
        let provider = Arc::new(default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("a certificate");
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let loopback = Some(Ipv4Addr::LOCALHOST.into());
        let listener = Listener::bind(loopback, 0, "API_PORT").expect("a free port");
        (listener.with_tls(Some(Arc::new(server))), TlsConnector::from(Arc::new(client)))
    }

    fn connect(
        connector: TlsConnector,
        address: SocketAddr,
    ) -> impl Future<Output = tokio_rustls::client::TlsStream<TcpStream>> {
        let name = pki_types::ServerName::try_from("localhost").expect("a name");
        async move {
            let stream = TcpStream::connect(address).await.expect("connects");
            connector.connect(name, stream).await.expect("agrees")
        }
    }

    #[tokio::test]
    async fn a_client_that_never_agrees_on_tls_keeps_no_other_waiting() {
        let (mut listener, connector) = with_tls();
        let address = listener.address();
        let _silent = TcpStream::connect(address).await.expect("connects");
        let mut noise = TcpStream::connect(address).await.expect("connects");
        noise.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
        let (mut client, (mut server, _)) =
            tokio::join!(connect(connector, address), listener.accept());
        client.write_all(b"hello").await.expect("sent");
        client.flush().await.expect("sent");
        let mut read = [0; 5];
        server.read_exact(&mut read).await.expect("read");
        assert_eq!(&read, b"hello");
    }

    #[tokio::test]
    async fn a_client_that_speaks_no_tls_is_counted() {
        let (mut listener, connector) = with_tls();
        let (address, refusals) = (listener.address(), listener.refusals());
        let mut noise = TcpStream::connect(address).await.expect("connects");
        noise.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
        let client = async {
            // It is told that it is not understood, then the connection ends.
            let mut answer = Vec::new();
            noise.read_to_end(&mut answer).await.expect("an end");
            connect(connector, address).await
        };
        let (_client, _accepted) = tokio::join!(client, listener.accept());
        assert_eq!((refusals.without_tls(), refusals.beyond_bound()), (1, 0));
    }

    #[tokio::test]
    async fn a_connection_beyond_the_bound_is_closed_and_counted() {
        let loopback = Some(Ipv4Addr::LOCALHOST.into());
        let mut listener = Listener::bind(loopback, 0, "API_PORT").expect("a free port");
        let (address, refusals) = (listener.address(), listener.refusals());
        listener.permits.forget_permits(CONNECTIONS_MAX - 1);
        let _first = TcpStream::connect(address).await.expect("connects");
        let (held, _) = listener.accept().await;
        let mut beyond = TcpStream::connect(address).await.expect("connects");
        let closed = async {
            let mut nothing = Vec::new();
            beyond.read_to_end(&mut nothing).await.expect("an end");
            drop(held);
            TcpStream::connect(address).await.expect("connects")
        };
        let (_next, _accepted) = tokio::join!(closed, listener.accept());
        assert_eq!((refusals.beyond_bound(), refusals.without_tls()), (1, 0));
    }
}
