//! `mump2p tracer dashboard`.

use std::time::Duration;

use crate::{Context, Error};

/// What the tracer saw of late, in the terminal, while messages are published.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How far back to look.
    #[arg(long, default_value = "10s", value_parser = crate::arguments::duration)]
    pub window: Duration,
    /// Milliseconds between two looks.
    #[arg(long, default_value_t = 500)]
    pub tick_ms: u64,
    /// Rows of the table of messages.
    #[arg(long, default_value_t = 12)]
    pub rows: usize,
    /// Topic of the messages published meanwhile.
    #[arg(long, default_value = "demo")]
    pub topic: String,
    /// Their size in bytes.
    #[arg(long, default_value_t = 102_400)]
    pub size: u64,
    /// How many.
    #[arg(long, default_value_t = 60)]
    pub count: u64,
    /// Milliseconds between two of them.
    #[arg(long, default_value_t = 500)]
    pub interval_ms: u64,
}

/// Shows it until `q` or Ctrl-C.
///
/// # Errors
///
/// Returns an error if the terminal cannot be used.
pub async fn run(_args: Args, _context: &Context) -> Result<(), Error> {
    Err(Error::Failed("tracer dashboard: not built yet".to_owned()))
}
