//! The command line of users, as a process.

mod answers;
mod limits;
mod login;
mod network_dashboard;
mod payloads;
mod refusals;
mod stack;
mod system_proxy;
mod tracer;
mod ways;
mod webhooks;
