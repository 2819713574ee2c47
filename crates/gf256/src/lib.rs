//! Arithmetic on slices over GF(2^8).
