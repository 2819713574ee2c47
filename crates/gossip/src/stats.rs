//! Plain counters; whoever embeds the state names and exports them.

/// What happened since the start. Counters never go down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Own messages published.
    pub published: u64,
    /// Own messages refused: empty, too large, duplicate or busy.
    pub publish_refused: u64,
    /// Own messages that went out of retention without a topic peer to send them to.
    pub published_without_peers: u64,
    /// Messages delivered to the application, own ones included.
    pub delivered: u64,
    /// Bytes of those.
    pub delivered_bytes: u64,
    /// Verified messages, or headers, of a message that was delivered already.
    pub duplicate_messages: u64,
    /// Decodes that were not what their header claims.
    pub decodes_failed: u64,
    /// Messages given up after too many failed decodes.
    pub messages_rejected: u64,
    /// Open messages dropped because nothing came of them for the configured time.
    pub messages_expired: u64,
    /// Open messages dropped to make room for a peer that holds less.
    pub messages_evicted: u64,
    /// Decoded messages that left retention early because of its bytes.
    pub retention_evicted: u64,
    /// Innovative shards received.
    pub shards_innovative: u64,
    /// Shards received that were held already.
    pub shards_duplicate: u64,
    /// Shards received that were combinations of those held.
    pub shards_unhelpful: u64,
    /// Shards received of messages that needed none.
    pub shards_unnecessary: u64,
    /// Shards dropped because we had refused their header.
    pub shards_refused: u64,
    /// Shards dropped because their header is not known on the connection.
    pub shards_without_header: u64,
    /// Whole shards sent.
    pub shards_sent: u64,
    /// Of those, combinations of shards received.
    pub shards_recoded: u64,
    /// Data bytes sent, heads included.
    pub data_bytes_sent: u64,
    /// Data bytes received, heads included.
    pub data_bytes_received: u64,
    /// Control bytes sent.
    pub control_bytes_sent: u64,
    /// Control bytes received.
    pub control_bytes_received: u64,
    /// Headers accepted.
    pub headers_accepted: u64,
    /// Headers refused, for whatever reason.
    pub headers_refused: u64,
    /// Headers refused because their sequence number was used, too old or barred.
    pub headers_replayed: u64,
    /// Publishers found to have signed two messages under one sequence number.
    pub publishers_barred: u64,
    /// Publishers forgotten because there were too many.
    pub publishers_evicted: u64,
    /// Ids that left the seen-cache early because there were too many.
    pub seen_evicted: u64,
    /// Pulls (IWANT) sent.
    pub pulls_sent: u64,
    /// Pulls served.
    pub pulls_served: u64,
    /// Pulls answered GONE.
    pub pulls_gone: u64,
    /// Pulls beyond a bound, ignored.
    pub pulls_ignored: u64,
    /// News (IHAVE entries) beyond a bound, ignored.
    pub news_ignored: u64,
    /// Messages known from news only that were given up or pushed out.
    pub repairs_dropped: u64,
    /// Subscriptions beyond the bound, own ones and those of peers, ignored.
    pub subscriptions_ignored: u64,
    /// Peers disconnected because they broke a rule.
    pub peers_disconnected: u64,
    /// Of those, because they did not read their control stream.
    pub control_backlogs: u64,
    /// Times that a peer's score fell so low that it is kept out of meshes.
    pub peers_graylisted: u64,
    /// Headers refused because of that.
    pub headers_graylisted: u64,
    /// Grafts refused because of that.
    pub grafts_graylisted: u64,
    /// Records of peers that left, given up because there were too many.
    pub records_evicted: u64,
    /// Peers taken into a mesh because its members were of little use.
    pub opportunistic_grafts: u64,
    /// Times that a peer was sent nothing more for want of acknowledgements.
    pub peers_stalled: u64,
    /// Results of jobs that nothing waited for any more.
    pub jobs_orphaned: u64,
    /// Jobs that failed.
    pub jobs_failed: u64,
}

/// Topics that are counted by themselves. More, over the life of a node, are counted in [`Stats`]
/// alone.
pub(crate) const TOPICS_COUNTED_MAX: usize = 1024;

/// What happened in one topic since it was first subscribed. Counters never go down, and stay when
/// the subscription ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStats {
    /// Messages verified, and those offered again after that.
    pub received: u64,
    /// Bytes of those.
    pub received_bytes: u64,
    /// Messages delivered to the application, own ones included.
    pub delivered: u64,
    /// Bytes of those.
    pub delivered_bytes: u64,
    /// Headers refused because of a bound on what their sender may have open or checked.
    pub throttled: u64,
    /// Messages given up after too many failed decodes.
    pub rejected: u64,
}
