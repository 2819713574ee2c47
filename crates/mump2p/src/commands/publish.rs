//! `mump2p publish`.

use std::path::PathBuf;

/// Publish a message.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which topic.
    #[arg(long)]
    pub topic: String,
    /// The message.
    #[arg(long)]
    pub message: Option<String>,
    /// The file whose content is the message.
    #[arg(long)]
    pub file: Option<PathBuf>,
}
