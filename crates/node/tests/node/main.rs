//! Whole nodes: in this process on free ports, and the program itself.

mod common;
mod gossipsub;
mod metrics;
mod network;
mod operation;
mod pages;
mod program;
mod sidecar;
mod streams;
