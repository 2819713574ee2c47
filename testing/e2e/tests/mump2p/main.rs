//! The command line of users, as a process.

mod answers;
mod inactive;
mod limits;
mod login;
mod network_dashboard;
mod payloads;
mod redirects;
mod refusals;
mod signals;
mod stack;
mod system_proxy;
mod tracer;
mod ways;
mod webhooks;
