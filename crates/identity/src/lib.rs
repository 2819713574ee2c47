//! The node's identity file, p2p.key.
