//! A whole proxy before nodes that do what a test says: over HTTP, WebSocket and gRPC, as clients
//! see it.

mod access;
mod bad_input;
mod deliveries;
mod harness;
mod pages;
mod publishing;
mod puppet;
mod sockets;
