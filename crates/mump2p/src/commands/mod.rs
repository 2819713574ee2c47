//! One module a command.

pub mod completions;
pub mod login;
pub mod man;
pub mod publish;
pub mod subscribe;
pub mod update;
