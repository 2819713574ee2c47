//! Plain counters.

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages that nodes told of, each once.
    pub messages: u64,
    /// Times that a further node told of one of them.
    pub repeats: u64,
    /// Messages of topics that no client here subscribed.
    pub unwanted: u64,
    /// Deliveries, one for each connection.
    pub deliveries: u64,
    /// Deliveries to a client below its threshold.
    pub fallback_deliveries: u64,
    /// Deliveries to clients that have no connection: nobody was given anything.
    pub unattended: u64,
    /// Payloads asked for.
    pub fetches: u64,
    /// Messages given up because no node that told of them gave the payload.
    pub payloads_missing: u64,
    /// Messages decided early because too many were undecided.
    pub decided_early: u64,
    /// Messages forgotten early because too many were remembered.
    pub forgotten_early: u64,
    /// Subscriptions refused because of a bound.
    pub subscriptions_refused: u64,
    /// Connections not taken because of the bound on clients.
    pub connections_refused: u64,
    /// Clients whose subscriptions ended because they did not come back in time.
    pub clients_expired: u64,
}
