//! Encoding, recoding and decoding, through the public interface.
#![expect(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod columns;
mod common;
mod decode;
mod rank;
mod round_trip;
