//! What a client's connection is below TLS.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
};
use tracing::debug;

/// A connection that can still be read when it can no longer be written.
///
/// A client may send its last message and exit without reading. Its end answers what we write with
/// a reset, and a server that ends at the failed write would throw away what it has not read yet.
/// So a failed write makes the connection deaf: writes go nowhere, reads go on to the end.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    deaf: bool,
    _permit: OwnedSemaphorePermit,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, permit: OwnedSemaphorePermit) -> Self {
        Self { stream, deaf: false, _permit: permit }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
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

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        sync::Semaphore,
    };

    use super::*;

    #[tokio::test]
    async fn what_was_sent_before_a_reset_is_read_although_writes_fail() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("free");
        let mut server = Socket::new(accepted.expect("accepted").0, permit);
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
