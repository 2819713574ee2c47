//! What node, proxy and clients say to each other.
