//! What work costs on a core, by rates that `docs/benchmarks.md` measures: the same on every machine
//! that simulates.

use std::time::Duration;

use gossip::Job;

/// Bytes multiplied and added per second with AVX2, which every server of the last ten years has:
/// the slowest of *encode-one* and *recode-one* at 10 MiB, 16 GiB/s. AVX-512 with GFNI has 80 to 120.
pub const MULTIPLY_BYTES_PER_SECOND: u64 = 16 << 30;

/// SHA-256 with the instructions for it.
pub const HASH_BYTES_PER_SECOND: u64 = 1_400_000_000;

/// A check of an Ed25519 signature, as [`gossip::Limits`] reckons.
pub const SIGNATURE_CHECK_TIME: Duration = Duration::from_micros(32);

/// Returns how long `bytes` multiplications take.
pub(super) fn multiply(bytes: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / MULTIPLY_BYTES_PER_SECOND as f64)
}

/// Returns how long the hash of `bytes` takes.
pub(super) fn hash(bytes: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / HASH_BYTES_PER_SECOND as f64)
}

/// Returns how long a job takes; its payload counts `scale` times.
pub(super) fn job(job: &Job, scale: u32) -> Duration {
    let bytes = job.payload_bytes() * u64::from(scale);
    let hash = hash(bytes);
    match job {
        // The commitments to the fragments are a second hash of everything.
        Job::Hash { committed: Some(_), .. } => hash * 2,
        Job::Hash { committed: None, .. } | Job::Assemble { .. } => hash,
        Job::Decode { decoder, .. } => {
            hash + multiply(bytes * u64::from(decoder.shape().fragments()))
        }
    }
}
