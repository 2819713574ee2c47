//! `mump2p`, the command line of users: log in, publish, subscribe, and look at proxies and nodes.
#![forbid(unsafe_code)]

pub mod arguments;
pub mod commands;
mod context;
pub mod dashboard;
mod error;
pub mod output;
pub mod tracer;

use std::process::ExitCode;

use clap::Parser as _;

pub use context::Context;
pub use error::Error;
pub use output::Output;

use arguments::{Arguments, Command};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Err(Error::Failed(error.to_string())),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    match error {
        Error::OutputClosed | Error::Interrupted => {}
        _ => output::note(&format!("Error: {error}")),
    }
    ExitCode::from(error.exit_code())
}

async fn run(arguments: Arguments) -> Result<(), Error> {
    let context = Context::new(&arguments.global)?;
    match arguments.command {
        Command::Dashboard(args) => dashboard::run(args, context.output).await,
        Command::Tracer(command) => tracer::run(command, &context).await,
        _ => Err(Error::Failed("not built yet".to_owned())),
    }
}
