//! The command line of users, as a process.

mod ways;
