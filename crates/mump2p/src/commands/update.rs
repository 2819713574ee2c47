//! `mump2p update`.

/// How to get a newer one.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Accepted; there is nothing to force.
    #[arg(long)]
    pub force: bool,
}
