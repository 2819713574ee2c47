//! `mump2p tracer load`: random messages.

use crate::{Context, Error};

/// Publish random messages.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A second proxy, which every other message goes to.
    #[arg(long, value_name = "URL")]
    pub endpoint2: Option<String>,
    /// Which topic.
    #[arg(long, default_value = "demo")]
    pub topic: String,
    /// Size of each message in bytes.
    #[arg(long, default_value_t = 850_000)]
    pub size: u64,
    /// How many messages.
    #[arg(long, default_value_t = 50)]
    pub count: u64,
    /// Milliseconds between two of them.
    #[arg(long, default_value_t = 500)]
    pub interval_ms: u64,
}

/// Publishes them.
///
/// # Errors
///
/// Returns an error if the proxy does not take them.
pub(crate) async fn run(_args: Args, _context: &Context) -> Result<(), Error> {
    Err(Error::Failed("tracer load: not built yet".to_owned()))
}
