//! `mump2p update`.

use crate::{Error, commands::service::VERSION, output};

/// How to get a newer one.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Accepted; there is nothing to force.
    #[arg(long)]
    pub force: bool,
}

/// Says how to get a newer program. Nothing is asked for over the network: no program of this
/// project calls home.
pub(crate) fn run(_args: &Args) -> Result<(), Error> {
    output::line(&format!(
        "This is mump2p {VERSION}. It does not update itself: no program here calls home.\n\
         To get a newer one, either\n  \
         * in a clone of the repository: git pull && make build\n  \
         * or take mump2p from the archive of a newer release, check it against the release's \
         checksums, and put it in the place of {}",
        std::env::current_exe()
            .map_or_else(|_| "this one".to_owned(), |path| path.display().to_string())
    ))
}
