//! What the first bytes of a connection must be, and by when they must be there.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Sleep;

use super::Refusals;

/// What every HTTP/2 client sends before anything else (RFC 9113, 3.4).
const HTTP2: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long that may take: as long as HTTP/1 clients have for the head of a request.
const WAIT: Duration = Duration::from_secs(75);

/// Watches the beginning of one connection, after TLS.
#[derive(Debug)]
pub(super) struct Preface {
    /// What is still to come.
    rest: &'static [u8],
    deadline: Pin<Box<Sleep>>,
    refusals: Arc<Refusals>,
}

impl Preface {
    /// Begins to watch; what is found is counted in `refusals`.
    pub(super) fn new(refusals: Arc<Refusals>) -> Self {
        Self { rest: HTTP2, deadline: Box::pin(tokio::time::sleep(WAIT)), refusals }
    }

    /// Takes what was read. Returns whether that ends the watch.
    pub(super) fn took(&mut self, data: &[u8]) -> bool {
        let (wanted, rest) = self.rest.split_at(data.len().min(self.rest.len()));
        let is_other = !data.starts_with(wanted);
        if is_other {
            Refusals::count(&self.refusals.without_http2);
        }
        self.rest = rest;
        // Nothing is the end of the connection. Who only looks whether the port is open says nothing.
        is_other || rest.is_empty() || data.is_empty()
    }

    /// There is nothing to read: waits for the deadline.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.deadline.as_mut().poll(cx).map(|()| {
            Refusals::count(&self.refusals.silent);
            Err(io::ErrorKind::TimedOut.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;
    use crate::listener::{Connection, Listener};

    /// A client that sent `data`, its connection, and the counters.
    async fn after(data: &[u8]) -> (TcpStream, Connection, Arc<Refusals>) {
        let loopback = Some(Ipv4Addr::LOCALHOST.into());
        let listener = Listener::bind(loopback, 0, "SIDECAR_PORT").expect("a free port");
        let mut listener = listener.with_http2_only();
        let (client, (server, _)) =
            tokio::join!(TcpStream::connect(listener.address()), listener.accept());
        let mut client = client.expect("connects");
        client.write_all(data).await.expect("sent");
        (client, server, listener.refusals())
    }

    /// Reads until nothing more comes in an hour.
    async fn read(server: &mut Connection) -> io::Result<()> {
        let mut buffer = [0; 64];
        let hour = Duration::from_secs(3600);
        while let Ok(read) = tokio::time::timeout(hour, server.read(&mut buffer)).await {
            if read? == 0 {
                break;
            }
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_does_not_begin_in_time_ends_and_is_counted() {
        for data in [&[][..], &HTTP2[..10]] {
            let (_client, mut server, refusals) = after(data).await;
            let error = read(&mut server).await.expect_err("too late");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!((refusals.silent(), refusals.without_http2()), (1, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_began_may_be_quiet() {
        let (_client, mut server, refusals) = after(HTTP2).await;
        read(&mut server).await.expect("no deadline");
        assert_eq!((refusals.silent(), refusals.without_http2()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_begins_otherwise_is_counted_and_one_that_only_looks_is_not() {
        for (data, counted) in [(&b"GET / HTTP/1.1\r\n\r\n"[..], 1), (&[][..], 0)] {
            let (client, mut server, refusals) = after(data).await;
            drop(client);
            read(&mut server).await.expect("its end");
            assert_eq!((refusals.silent(), refusals.without_http2()), (0, counted));
        }
    }
}
