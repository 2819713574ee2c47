//! A client of a proxy: REST to subscribe and publish, a gRPC stream of deliveries.

mod rest;
mod stream;

pub use rest::{Rest, RestError, is_here};
pub use stream::{Delivered, Deliveries, ProxyStream};
