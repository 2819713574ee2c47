//! `mump2p man`.

use std::path::PathBuf;

/// Write the manual pages.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The folder to write to; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
