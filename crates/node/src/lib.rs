//! The daemon p2pnode.
