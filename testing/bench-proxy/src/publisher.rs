//! Where messages come from: at the proxy from its node, at NATS from a client.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};

use crate::{
    message::{Clock, Deliveries, Payloads},
    server::Server,
    sink::Sink,
    wire::nats,
};

/// Within this the proxy reads what its node delivers.
const READER_LIMIT: Duration = Duration::from_secs(10);
const READER_POLL: Duration = Duration::from_millis(20);

/// Publishes the messages of a run.
pub(crate) enum Publisher<'a> {
    Node { sink: &'a Sink, deliveries: Box<Deliveries> },
    Client { stream: TcpStream, payloads: Payloads, buffer: Vec<u8> },
}

impl<'a> Publisher<'a> {
    pub(crate) async fn start(server: &'a Server, clock: Clock, bytes: usize) -> Result<Self> {
        if let Some(sink) = &server.sink {
            let reader = async {
                while !sink.has_reader() {
                    tokio::time::sleep(READER_POLL).await;
                }
            };
            let reads = timeout(READER_LIMIT, reader).await;
            reads.context("the proxy reads no payloads from its node")?;
            let deliveries = Box::new(Deliveries::new(clock, bytes)?);
            return Ok(Self::Node { sink, deliveries });
        }
        let mut stream = TcpStream::connect(server.stream).await?;
        stream.set_nodelay(true)?;
        stream.write_all(nats::connect(false).as_bytes()).await?;
        let payloads = Payloads::new(clock, bytes);
        Ok(Self::Client { stream, payloads, buffer: Vec::new() })
    }

    /// Publishes the next messages, all at once.
    pub(crate) async fn publish(&mut self, count: u64) -> Result<()> {
        match self {
            Self::Node { sink, deliveries } => sink.deliver(deliveries, count),
            Self::Client { stream, payloads, buffer } => {
                buffer.clear();
                for _ in 0..count {
                    nats::write_publish(payloads.next(), buffer);
                }
                stream.write_all(buffer).await.context("the publisher is cut off")
            }
        }
    }
}
