//! Random linear network coding of one generation.
