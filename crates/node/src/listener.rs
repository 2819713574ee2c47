//! The TCP listeners of the gRPC and HTTP faces: all addresses or one, bounded connections, and
//! nothing lost of what a client sent before it went away.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, stream};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tonic::transport::server::Connected;
use tracing::{debug, warn};

/// Connections of one face at once. One more is closed at once, counted in the log.
const CONNECTIONS_MAX: usize = 1024;

/// How long accepting pauses when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait in the kernel to be accepted.
const BACKLOG: i32 = 1024;

/// A port that cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {address} ({variable}={}): {source}", .address.port())]
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
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    permits: Arc<Semaphore>,
}

impl Listener {
    /// Binds `port` at `ip`, or at all addresses, IPv4 and IPv6.
    ///
    /// # Errors
    ///
    /// Returns [`ListenError`] naming `variable`.
    pub(crate) fn bind(
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
        Ok(Self { socket, address, permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)) })
    }

    /// Returns where it listens, with the port that was taken if 0 was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the next connection within the bound.
    pub(crate) async fn accept(&self) -> (Connection, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok((stream, from)) => {
                    let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
                        warn!(%from, port = self.address.port(), "{CONNECTIONS_MAX} connections are open; one more is closed");
                        continue;
                    };
                    if let Err(error) = stream.set_nodelay(true) {
                        debug!(%from, %error, "connection lost at once");
                    }
                    return (Connection { stream, deaf: false, _permit: permit }, from);
                }
                Err(error) => {
                    warn!(%error, port = self.address.port(), "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Returns all connections, for ever.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> {
        stream::unfold(self, |listener| async {
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
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A connection that can still be read when it can no longer be written.
///
/// A client may send its last message and exit without reading. Its end answers what we write with
/// a reset, and a server that ends at the failed write would throw away what it has not read yet.
/// So a failed write makes the connection deaf: writes go nowhere, reads go on to the end.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    deaf: bool,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(data.len()));
        }
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, data));
        Poll::Ready(Ok(written.unwrap_or_else(|error| {
            debug!(%error, "a client no longer reads");
            self.deaf = true;
            data.len()
        })))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = parts.iter().map(|part| part.len()).sum();
        if self.deaf {
            return Poll::Ready(Ok(bytes));
        }
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts));
        Poll::Ready(Ok(written.unwrap_or_else(|error| {
            debug!(%error, "a client no longer reads");
            self.deaf = true;
            bytes
        })))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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
        let listener = Listener::bind(None, 0, "API_PORT").expect("a free port");
        let port = listener.address().port();
        let (connected, (_, from)) =
            tokio::join!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)), listener.accept());
        connected.expect("IPv4");
        assert!(from.ip().to_canonical().is_loopback());
    }

    #[tokio::test]
    async fn what_was_sent_before_a_reset_is_read_although_writes_fail() {
        let listener =
            Listener::bind(Some(Ipv4Addr::LOCALHOST.into()), 0, "API_PORT").expect("a free port");
        let address = listener.address();
        let (client, (mut server, _)) =
            tokio::join!(TcpStream::connect(address), listener.accept());
        let mut client = client.expect("connected");
        client.write_all(&[7; 1000]).await.expect("sent");
        // Unread bytes at a close make the kernel reset the connection.
        server.write_all(b"unread").await.expect("written");
        client.readable().await.expect("arrived");
        drop(client);
        while !server.deaf {
            server.write_all(&[0; 1 << 12]).await.expect("goes nowhere without an error");
        }
        let mut read = vec![0; 1000];
        server.read_exact(&mut read).await.expect("all of it");
        assert_eq!(read, [7; 1000]);
    }
}
