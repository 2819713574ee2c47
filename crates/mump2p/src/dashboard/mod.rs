//! `mump2p dashboard`: how the nodes and proxies of a network are.

use crate::{Error, Output};

/// How the nodes and proxies of a network are.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

/// Prints it.
///
/// # Errors
///
/// Returns an error if there is nobody to ask.
pub async fn run(_args: Args, _output: Output) -> Result<(), Error> {
    Err(Error::Failed("dashboard: not built yet".to_owned()))
}
