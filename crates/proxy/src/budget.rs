//! Room for what requests hold: bodies are bounded each, and all together.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::RequestError;

/// The longest body. JSON may write a byte of a message in up to six.
pub(crate) const BODY_BYTES_MAX: usize = 96 << 20;

/// What all bodies that are being received may hold together.
const ALL_BYTES_MAX: usize = 384 << 20;

/// The unit in which that is counted.
const UNIT_BYTES: usize = 4 << 10;

/// Room for bodies.
#[derive(Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ALL_BYTES_MAX / UNIT_BYTES)))
    }
}

/// A body, and the room it takes.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// Takes room for so many bytes, until it is dropped.
    pub(crate) fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, RequestError> {
        let units = bytes.div_ceil(UNIT_BYTES) as u32;
        Arc::clone(&self.0).try_acquire_many_owned(units).map_err(|_| RequestError::Busy)
    }

    /// Receives a body.
    pub(crate) async fn receive(&self, mut body: Body) -> Result<Received, RequestError> {
        let mut bytes = BytesMut::new();
        let mut room: Option<OwnedSemaphorePermit> = None;
        let mut units = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| RequestError::BodyLost(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > BODY_BYTES_MAX {
                return Err(RequestError::BodyTooLong(BODY_BYTES_MAX));
            }
            let needed = (bytes.len() + data.len()).div_ceil(UNIT_BYTES);
            if needed > units {
                let permit = self.take((needed - units) * UNIT_BYTES)?;
                match &mut room {
                    Some(room) => room.merge(permit),
                    None => room = Some(permit),
                }
                units = needed;
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Received { bytes: bytes.freeze(), _room: room })
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn a_body_is_whole_and_its_room_is_given_back() {
        let budget = Budget::default();
        let parts = (0..100).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7; 1000])));
        let received = budget.receive(Body::from_stream(stream::iter(parts))).await;
        let received = received.expect("short");
        assert_eq!(received.bytes, vec![7; 100_000]);
        assert_eq!(budget.0.available_permits(), ALL_BYTES_MAX / UNIT_BYTES - 25);
        drop(received);
        assert_eq!(budget.0.available_permits(), ALL_BYTES_MAX / UNIT_BYTES);
    }

    #[tokio::test]
    async fn one_that_is_too_long_and_one_too_many_are_refused() {
        let budget = Budget::default();
        let piece = Bytes::from(vec![0; 1 << 20]);
        let endless = stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
        let refused = budget.receive(Body::from_stream(endless)).await.expect_err("endless");
        assert!(matches!(refused, RequestError::BodyTooLong(_)), "{refused}");
        let _all = budget.0.try_acquire_many((ALL_BYTES_MAX / UNIT_BYTES) as u32).expect("free");
        let refused = budget.receive(Body::from("x")).await.expect_err("no room");
        assert!(matches!(refused, RequestError::Busy), "{refused}");
        assert!(budget.receive(Body::empty()).await.is_ok(), "nothing needs no room");
    }
}
