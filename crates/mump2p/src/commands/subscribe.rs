//! `mump2p subscribe`.

/// Print, keep or pass on the messages of a topic.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which topic.
    #[arg(long)]
    pub topic: String,
}
