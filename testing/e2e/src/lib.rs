//! End-to-end tests with real processes on loopback: what they share.
//!
//! Every process listens on free ports that it chooses itself and is ended by its id when its
//! handle is dropped; what it printed is shown when a test fails.
#![forbid(unsafe_code)]

pub mod audience;
pub mod mump2p_process;
pub mod node_process;
pub mod program_process;
pub mod prometheus_process;
pub mod proxy_process;
pub mod reader;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;

/// Generous: only something that hangs takes as long.
pub const LIMIT: Duration = Duration::from_secs(90);

/// Returns where cargo put a program of the workspace.
///
/// # Panics
///
/// Panics when it is not there: `make unit` builds the workspace before the tests run.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a program has a path");
    let folder = own.parent().expect("target/<profile>, or deps in it");
    let folder = if folder.ends_with("deps") { folder.parent().expect("deps") } else { folder };
    let program = folder.join(name);
    assert!(program.exists(), "{} is not built; cargo build --workspace", program.display());
    program
}

/// Returns a file or folder of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// `bytes` bytes that differ with `seed`.
pub fn payload(seed: u64, bytes: usize) -> Bytes {
    let mix = |at: u64| (at + 1 + (seed << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
    (0..bytes as u64).map(|at| mix(at) as u8).collect()
}
