//! One module a command.

pub mod account;
pub mod completions;
pub mod man;
pub mod publish;
pub mod service;
pub mod subscribe;
pub mod update;
