//! HTTP/1.1 on one kept connection, one request at a time.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::websocket;

/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Returns a request with a JSON body.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Returns a request without a body.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// A kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Read and not yet used.
    held: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, held: Vec::new() })
    }

    /// Sends a request; returns the status and the body of the answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>)> {
        self.stream.write_all(request).await?;
        let head_bytes = self.read_head().await?;
        let head = str::from_utf8(&self.held[..head_bytes])?;
        let (status, body_bytes) = status_and_length(head)?;
        let end = head_bytes + body_bytes;
        while self.held.len() < end {
            self.read_more().await?;
        }
        let body = self.held[head_bytes..end].to_vec();
        self.held.drain(..end);
        Ok((status, body))
    }

    /// Sends a request whose answer is expected to be 200.
    pub(crate) async fn expect_success(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        let (status, body) = self.exchange(request).await?;
        ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }

    /// Opens a WebSocket; returns its stream and what came with the answer already.
    pub(crate) async fn into_websocket(mut self, path: &str) -> Result<(TcpStream, Vec<u8>)> {
        let request = websocket::upgrade("localhost", path);
        self.stream.write_all(&request).await?;
        let head_bytes = self.read_head().await?;
        websocket::check_upgraded(str::from_utf8(&self.held[..head_bytes])?)?;
        self.held.drain(..head_bytes);
        Ok((self.stream, self.held))
    }

    /// Reads until the head of an answer is whole; returns its bytes.
    async fn read_head(&mut self) -> Result<usize> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.held, b"\r\n\r\n") {
                return Ok(at + 4);
            }
            ensure!(self.held.len() < HEAD_BYTES_MAX, "the head of an answer does not end");
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Result<()> {
        let bytes = self.stream.read_buf(&mut self.held).await?;
        ensure!(bytes > 0, "the server closed the connection");
        Ok(())
    }
}

fn status_and_length(head: &str) -> Result<(u16, usize)> {
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok()).context("no status")?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse())
    });
    Ok((status, length.context("an answer without its length")??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_its_status_and_length() {
        let head = "HTTP/1.1 413 Too Large\r\nContent-type: text\r\ncontent-Length: 12\r\n\r\n";
        assert_eq!(status_and_length(head).expect("sound"), (413, 12));
        status_and_length("HTTP/1.1 200 OK\r\n\r\n").expect_err("no length");
        status_and_length("rubbish\r\n\r\n").expect_err("no status");
    }
}
