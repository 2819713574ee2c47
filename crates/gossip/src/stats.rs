//! Plain counters; whoever embeds the state names and exports them.

/// What happened since the start. Counters never go down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Own messages published.
    pub published: u64,
    /// Messages delivered to the application, own ones included.
    pub delivered: u64,
}
