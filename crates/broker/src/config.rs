//! Settings.

use std::time::Duration;

/// How a broker decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// The threshold of a subscription that names none (`SUBSCRIBER_THRESHOLD`).
    pub threshold: f64,
    /// After this a message is given to clients although fewer nodes told of it than their
    /// threshold asks for (`FALLBACK_DELAY`).
    pub fallback_delay: Duration,
    /// How long a payload may come later than the ids that are enough, before it is fetched.
    pub fetch_delay: Duration,
    /// After this a message without payload is given up.
    pub give_up_delay: Duration,
    /// How long a message that was decided is remembered, so that nobody is given it again.
    pub remember: Duration,
    /// How long a client without a connection keeps its subscriptions (`SUBSCRIPTION_TTL`).
    pub subscription_ttl: Duration,
    /// A random number of the driver's, that nobody else knows: it keeps message ids that somebody
    /// chose from falling together.
    pub secret: u64,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            threshold: 0.1,
            fallback_delay: Duration::from_secs(2),
            fetch_delay: Duration::from_millis(200),
            give_up_delay: Duration::from_secs(15),
            // As long as a node remembers what it delivered.
            remember: Duration::from_secs(120),
            subscription_ttl: Duration::from_secs(24 * 3600),
            secret: 0,
            limits: Limits::default(),
        }
    }
}

/// What clients and nodes can fill.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Clients with subscriptions or connections. One more is refused.
    pub clients_max: usize,
    /// Topics of one client. One more is refused.
    pub topics_per_client_max: usize,
    /// Topics of all clients; a node takes no more (1024). One more is refused.
    pub topics_max: usize,
    /// Messages not yet decided for every client. At the bound the oldest is decided at once.
    pub pending_max: usize,
    /// Payload bytes of those; the same.
    pub pending_bytes_max: usize,
    /// Messages remembered after that. At the bound the oldest is forgotten.
    pub remembered_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients_max: 100_000,
            topics_per_client_max: 256,
            topics_max: 1024,
            pending_max: 16_384,
            pending_bytes_max: 256 << 20,
            remembered_max: 1 << 18,
        }
    }
}
