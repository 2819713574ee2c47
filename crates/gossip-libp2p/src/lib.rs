//! The gossip state machine on libp2p streams.
