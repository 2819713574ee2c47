//! The way through a proxy.

pub(crate) mod grpc;
pub(crate) mod rest;
pub(crate) mod socket;
