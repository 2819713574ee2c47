//! The command-line clients.
