//! A whole local cluster in one command.
