//! `mump2p completions`.

/// The completions of a shell.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which shell.
    pub shell: clap_complete::Shell,
}
