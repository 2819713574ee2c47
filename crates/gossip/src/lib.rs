//! The coded gossip protocol as a sans-IO state machine, and its wire format.
