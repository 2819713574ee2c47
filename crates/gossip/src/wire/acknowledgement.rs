//! How much of a data stream was taken; stands in data frames and in control frames.

use std::time::Duration;

use super::{Acknowledgement, WireError, reader::Reader, writer::Sink};

/// Appends the encoding: the wait in whole microseconds, rounded down, at most 2³² − 1 (71 min).
pub(super) fn put(acknowledgement: &Acknowledgement, out: &mut impl Sink) {
    let waited = u32::try_from(acknowledgement.waited.as_micros()).unwrap_or(u32::MAX);
    out.put_varint(acknowledgement.epoch);
    out.put_varint(acknowledgement.bytes);
    out.put_varint(waited);
}

/// Reads one.
pub(super) fn take(reader: &mut Reader) -> Result<Acknowledgement, WireError> {
    Ok(Acknowledgement {
        epoch: reader.take_u32("acknowledged epoch", 0)?,
        bytes: reader.take_u64("acknowledged bytes")?,
        waited: Duration::from_micros(reader.take_u32("acknowledgement wait", 0)?.into()),
    })
}
