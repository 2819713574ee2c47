//! Runs the commands of a page of the documentation as a reader would type them, so that the page
//! cannot rot.
//!
//! A page is Markdown. Its fenced blocks say by their first line what they are:
//!
//! | block | what is done |
//! |---|---|
//! | `sh` | run in the reader's shell, one for the whole page; every command must succeed |
//! | `sh terminal=NAME` | left running in a terminal of its own; ended by Ctrl-C when NAME is used again, or near the page's end; it may end by itself before, but not fail |
//! | `sh needs=NAME` | run only when NAME is given to the runner (`docker`); combines with `terminal` |
//! | `text` | what the block before prints: each line, in this order, `…` standing for anything |
//! | `text terminal=NAME` | what that terminal prints from here on; waited for |
//! | any other | not looked at |
//!
//! The last `sh` block of a page is run whatever happened before: it is where the page cleans up.
//! Terminals are ended before it.
#![forbid(unsafe_code)]

pub mod output;
pub mod page;
pub mod shell;
