//! Access with what it is about: a real Redis, a real HTTP server of keys, real RSA keys.

mod alike;
mod redis_server;
mod shared;
mod tls;
mod tokens;
