//! `mump2p tracer`: load on a topic, and what the proxy saw of it.

pub mod dashboard;
pub mod load;
pub mod reset;

use crate::{Context, Error};

/// The commands of the tracer.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// What the tracer saw of late, in the terminal, while messages are published.
    Dashboard(dashboard::Args),
    /// Publish random messages.
    Load(load::Args),
    /// Make the tracer forget what it saw.
    Reset,
}

/// Runs one.
///
/// # Errors
///
/// Returns an error if it fails.
pub async fn run(command: Command, context: &Context) -> Result<(), Error> {
    match command {
        Command::Dashboard(args) => dashboard::run(args, context).await,
        Command::Load(args) => load::run(args, context).await,
        Command::Reset => reset::run(context).await,
    }
}
