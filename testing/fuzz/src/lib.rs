//! What the fuzz targets do with their input. It is a library so that the corpus also runs as a
//! plain test under the stable compiler.
#![forbid(unsafe_code)]

pub mod api;
pub mod rlnc_operations;
pub mod rlnc_shard;
pub mod state;
pub mod token;
pub mod wire;

#[cfg(test)]
mod replay;
