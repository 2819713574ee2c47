//! What every libp2p stream carries, by protocol. Counted are the bytes that a stream is given and
//! gives, the negotiation of its protocol included; encryption, multiplexing and the handshake of
//! the connection are below and not counted.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox};
use prometheus_client::metrics::histogram::Histogram;
use service::metrics::{Families, Labels, OTHER, SECONDS};

use super::naming::{Lines, Naming};

/// Protocols with labels of their own. A node speaks fewer; a peer that answers with others is not
/// let make up labels.
const PROTOCOLS_MAX: usize = 32;

/// Reads or writes, and their bytes.
#[derive(Debug, Default)]
struct Count {
    operations: AtomicU64,
    bytes: AtomicU64,
}

impl Count {
    fn add(&self, operations: u64, bytes: u64) {
        self.operations.fetch_add(operations, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Protocol {
    incoming: Count,
    outgoing: Count,
    open: AtomicU64,
    seconds: Histogram,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            incoming: Count::default(),
            outgoing: Count::default(),
            open: AtomicU64::new(0),
            seconds: Histogram::new(SECONDS),
        }
    }
}

/// Counts the streams of all connections of a node.
#[derive(Debug, Default)]
pub(crate) struct StreamMeter {
    incoming: AtomicU64,
    outgoing: AtomicU64,
    protocols: Mutex<BTreeMap<String, Arc<Protocol>>>,
}

impl StreamMeter {
    fn protocol(&self, name: &str) -> Arc<Protocol> {
        let mut protocols = self.protocols.lock().unwrap_or_else(PoisonError::into_inner);
        let known = protocols.contains_key(name) || protocols.len() < PROTOCOLS_MAX;
        let name = if known { name } else { OTHER };
        Arc::clone(protocols.entry(name.to_owned()).or_default())
    }

    /// Adds the families.
    pub(crate) fn families(&self, families: &mut Families) {
        let protocols = self.protocols.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let direction = |name: &str| ("direction", name.to_owned());
        families.counters(
            "optimum_bandwidth_total_bytes",
            "Bytes on libp2p streams.",
            [
                (vec![direction("incoming")], load(&self.incoming)),
                (vec![direction("outgoing")], load(&self.outgoing)),
            ],
        );
        let both = |value: fn(&Count) -> &AtomicU64| {
            let samples = protocols.iter().flat_map(move |(name, protocol)| {
                [("incoming", &protocol.incoming), ("outgoing", &protocol.outgoing)].map(
                    |(way, count)| {
                        (vec![("protocol", name.clone()), direction(way)], load(value(count)))
                    },
                )
            });
            samples.collect::<Vec<_>>()
        };
        families.counters(
            "optimum_bandwidth_messages_total",
            "Reads and writes of libp2p streams.",
            both(|count| &count.operations),
        );
        families.counters(
            "optimum_bandwidth_traffic_bytes_total",
            "Bytes on libp2p streams, by protocol.",
            both(|count| &count.bytes),
        );
        let label = |name: &String| -> Labels { vec![("protocol", name.clone())] };
        families.gauges(
            "optimum_conn_streams_current",
            "libp2p streams that are open.",
            protocols.iter().map(|(name, protocol)| (label(name), load(&protocol.open) as f64)),
        );
        families.histograms(
            "optimum_conn_stream_duration_seconds",
            "How long libp2p streams were open that are closed.",
            protocols.iter().map(|(name, protocol)| (label(name), protocol.seconds.clone())),
        );
    }
}

/// A connection whose streams are counted.
pub(crate) struct Metered {
    inner: StreamMuxerBox,
    meter: Arc<StreamMeter>,
}

impl Metered {
    pub(crate) fn new(inner: StreamMuxerBox, meter: Arc<StreamMeter>) -> Self {
        Self { inner, meter }
    }

    fn stream(&self, inner: SubstreamBox, naming: Naming) -> MeteredStream {
        MeteredStream {
            inner,
            meter: Arc::clone(&self.meter),
            opened: Instant::now(),
            naming,
            protocol: None,
            unnamed: Unnamed::default(),
        }
    }
}

impl StreamMuxer for Metered {
    type Substream = MeteredStream;
    type Error = io::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<MeteredStream>> {
        let polled = Pin::new(&mut self.inner).poll_inbound(cx);
        polled.map_ok(|stream| self.stream(stream, Naming::Listener(Lines::default())))
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<MeteredStream>> {
        let polled = Pin::new(&mut self.inner).poll_outbound(cx);
        polled.map_ok(|stream| self.stream(stream, Naming::dialer()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

/// What a stream carried before its protocol was known.
#[derive(Debug, Default)]
struct Unnamed {
    reads: u64,
    read_bytes: u64,
    writes: u64,
    written_bytes: u64,
}

/// A stream that is counted.
pub(crate) struct MeteredStream {
    inner: SubstreamBox,
    meter: Arc<StreamMeter>,
    opened: Instant,
    naming: Naming,
    protocol: Option<Arc<Protocol>>,
    unnamed: Unnamed,
}

impl MeteredStream {
    fn on_read(&mut self, data: &[u8]) {
        let bytes = data.len() as u64;
        self.meter.incoming.fetch_add(bytes, Ordering::Relaxed);
        self.naming.read(data);
        if let Some(protocol) = &self.protocol {
            return protocol.incoming.add(1, bytes);
        }
        self.unnamed.reads += 1;
        self.unnamed.read_bytes += bytes;
        self.settle();
    }

    fn on_written(&mut self, data: &[u8]) {
        let bytes = data.len() as u64;
        self.meter.outgoing.fetch_add(bytes, Ordering::Relaxed);
        self.naming.written(data);
        if let Some(protocol) = &self.protocol {
            return protocol.outgoing.add(1, bytes);
        }
        self.unnamed.writes += 1;
        self.unnamed.written_bytes += bytes;
        self.settle();
    }

    /// Counts under the protocol, once it is known.
    fn settle(&mut self) {
        if let Some(name) = self.naming.agreed() {
            let protocol = self.meter.protocol(&name);
            self.count_unnamed(&protocol);
            protocol.open.fetch_add(1, Ordering::Relaxed);
            self.protocol = Some(protocol);
        }
    }

    fn count_unnamed(&mut self, protocol: &Protocol) {
        let Unnamed { reads, read_bytes, writes, written_bytes } =
            std::mem::take(&mut self.unnamed);
        protocol.incoming.add(reads, read_bytes);
        protocol.outgoing.add(writes, written_bytes);
    }
}

impl Drop for MeteredStream {
    fn drop(&mut self) {
        if let Some(protocol) = &self.protocol {
            protocol.open.fetch_sub(1, Ordering::Relaxed);
            protocol.seconds.observe(self.opened.elapsed().as_secs_f64());
        } else {
            // It ended before it had a protocol.
            let other = self.meter.protocol(OTHER);
            self.count_unnamed(&other);
        }
    }
}

impl AsyncRead for MeteredStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        self.on_read(&buffer[..read]);
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for MeteredStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = std::task::ready!(Pin::new(&mut self.inner).poll_write(cx, data))?;
        self.on_written(&data[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}
