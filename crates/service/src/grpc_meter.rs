//! What a gRPC server takes and gives, by method. Counted are the messages of gRPC with their heads
//! of 5 bytes, as they are before HTTP/2.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use crate::metrics::{Families, Labels, OTHER};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{
    body::Body,
    codegen::{Service, http},
    server::NamedService,
};

/// Methods with a label of their own. There are fewer; who asks for others makes up no labels.
const METHODS_MAX: usize = 16;

/// The head of a gRPC message: one byte of flags, four of length.
const HEAD_BYTES: usize = 5;

#[derive(Debug, Default)]
struct Count {
    messages: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Method {
    received: Count,
    sent: Count,
}

/// Counts the calls of a server.
#[derive(Debug, Default)]
pub struct GrpcMeter {
    methods: Mutex<BTreeMap<String, Arc<Method>>>,
}

impl GrpcMeter {
    fn method(&self, path: &str) -> Arc<Method> {
        let name = path.rsplit('/').next().unwrap_or_default();
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let known = methods.contains_key(name) || methods.len() < METHODS_MAX;
        let name = if known { name } else { OTHER };
        Arc::clone(methods.entry(name.to_owned()).or_default())
    }

    /// Adds the families; `subsystem` is the part of the names that says which server it is.
    pub fn families(&self, families: &mut Families, subsystem: &str) {
        let methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut add = |name: &str, help, value: fn(&Method) -> &AtomicU64| {
            let samples = methods.iter().map(|(name, method)| {
                let labels: Labels = vec![("method", name.clone())];
                (labels, value(method).load(Ordering::Relaxed))
            });
            families.counters(format!("optimum_grpc_{subsystem}_{name}_total"), help, samples);
        };
        add("received_bytes", "Bytes of requests.", |method| &method.received.bytes);
        add("messages_received", "Messages of requests.", |method| &method.received.messages);
        add("sent_bytes", "Bytes of responses.", |method| &method.sent.bytes);
        add("messages_sent", "Messages of responses.", |method| &method.sent.messages);
    }
}

/// A gRPC service whose calls are counted.
#[derive(Clone, Debug)]
pub struct MeteredService<S> {
    inner: S,
    meter: Arc<GrpcMeter>,
}

impl<S> MeteredService<S> {
    /// Counts the calls of `inner` with `meter`.
    pub fn new(inner: S, meter: Arc<GrpcMeter>) -> Self {
        Self { inner, meter }
    }
}

impl<S: NamedService> NamedService for MeteredService<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for MeteredService<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future =
        Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send + 'static>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = self.meter.method(request.uri().path());
        let counted = Arc::clone(&method);
        let request = request.map(|body| {
            Body::new(Metered::new(body, move |bytes, messages| {
                counted.received.add(bytes, messages);
            }))
        });
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            Ok(response.map(|body| {
                Body::new(Metered::new(body, move |bytes, messages| {
                    method.sent.add(bytes, messages);
                }))
            }))
        })
    }
}

impl Count {
    fn add(&self, bytes: u64, messages: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.messages.fetch_add(messages, Ordering::Relaxed);
    }
}

/// A body whose bytes and messages are told as they pass.
struct Metered<F> {
    inner: Body,
    heads: Heads,
    told: F,
}

impl<F> Metered<F> {
    fn new(inner: Body, told: F) -> Self {
        Self { inner, heads: Heads::default(), told }
    }
}

impl<F: FnMut(u64, u64) + Unpin> HttpBody for Metered<F> {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            let messages = self.heads.count(data);
            (self.told)(data.len() as u64, messages);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Finds the heads of messages in bytes that come in pieces.
#[derive(Debug, Default)]
struct Heads {
    head: [u8; HEAD_BYTES],
    filled: usize,
    /// Bytes of the message that are still to come.
    rest: usize,
}

impl Heads {
    /// Returns how many messages begin (their heads are complete) in `data`.
    fn count(&mut self, mut data: &[u8]) -> u64 {
        let mut messages = 0;
        while !data.is_empty() {
            if self.rest > 0 {
                let skipped = self.rest.min(data.len());
                self.rest -= skipped;
                data = &data[skipped..];
                continue;
            }
            let taken = (HEAD_BYTES - self.filled).min(data.len());
            self.head[self.filled..self.filled + taken].copy_from_slice(&data[..taken]);
            self.filled += taken;
            data = &data[taken..];
            if self.filled == HEAD_BYTES {
                let [_, a, b, c, d] = self.head;
                self.rest = u32::from_be_bytes([a, b, c, d]) as usize;
                self.filled = 0;
                messages += 1;
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_their_bytes_are_cut() {
        let bytes = [0, 0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        for piece in 1..bytes.len() {
            let mut heads = Heads::default();
            let messages: u64 = bytes.chunks(piece).map(|part| heads.count(part)).sum();
            assert_eq!(messages, 3, "pieces of {piece}");
        }
    }

    #[test]
    fn made_up_methods_share_one_label() {
        let meter = GrpcMeter::default();
        for number in 0..100 {
            meter.method(&format!("/proto.CommandStream/Made{number}"));
        }
        let methods = meter.methods.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(methods.len(), METHODS_MAX + 1);
    }
}
