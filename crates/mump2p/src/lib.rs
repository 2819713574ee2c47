//! `mump2p`, the command line of users: log in, publish, subscribe, and look at proxies and nodes.
#![forbid(unsafe_code)]

pub mod arguments;
mod auth;
pub mod commands;
mod context;
pub mod dashboard;
mod debug_line;
mod direct;
mod error;
pub mod http;
pub mod mode;
pub mod output;
mod persist;
mod plain_text;
mod progress;
mod proxy;
mod received;
mod signals;
pub mod tracer;
mod usage;
mod webhook;

use std::process::ExitCode;

use clap::Parser as _;

pub use context::Context;
pub use error::Error;
pub use output::Output;

use arguments::{Arguments, Command};
use commands::{account, completions, man, publish, service, subscribe, update};
use signals::or_interrupted;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse_from(dashboard::double_dashed(std::env::args_os()));
    let Err(error) = run(arguments) else { return ExitCode::SUCCESS };
    if !error.is_silent() {
        output::note(&format!("Error: {error}"));
    }
    ExitCode::from(error.exit_code())
}

fn run(arguments: Arguments) -> Result<(), Error> {
    signals::watch()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::Failed(error.to_string()))?;
    let done = runtime.block_on(until_done(arguments));
    // What still waits for a disk or a reader is not waited for.
    runtime.shutdown_background();
    done
}

/// Runs a command; a signal ends it unless it ends by itself then.
async fn until_done(arguments: Arguments) -> Result<(), Error> {
    let ends_itself = ends_itself(&arguments.command);
    // On a task of its own: one that waits for a disk or a reader keeps no signal from being heard.
    let work = tokio::spawn(perform(arguments));
    let done = async {
        work.await.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Error::Failed(error.to_string())),
        })
    };
    if ends_itself { done.await } else { or_interrupted(done).await }
}

/// Tells whether a command has something to do at its end: messages to pass on, a screen to leave.
/// Each of its steps is to hear signals.
fn ends_itself(command: &Command) -> bool {
    let watches = matches!(command, Command::Dashboard(args) if args.watch.is_some());
    let receives =
        matches!(command, Command::Subscribe(_) | Command::Tracer(tracer::Command::Dashboard(_)));
    watches || receives
}

async fn perform(arguments: Arguments) -> Result<(), Error> {
    // One library of ciphers for every connection; a second call would only find it there.
    let _there = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let Arguments { global, command } = arguments;
    let (global, context) = (&global, &or_interrupted(Context::new(&global, &command)).await?);
    match command {
        Command::Login => account::login(global).await,
        Command::Logout => account::logout(global),
        Command::Whoami => account::whoami(global, context),
        Command::Refresh => account::refresh(global).await,
        Command::Usage => account::usage(global, context),
        Command::Publish(args) => Box::pin(publish::run(args, global, context)).await,
        Command::Subscribe(args) => Box::pin(subscribe::run(args, global, context)).await,
        Command::ListTopics => service::list_topics(context).await,
        Command::Health => service::health(context).await,
        Command::Version => service::version(context),
        Command::Update(args) => update::run(&args),
        Command::Tracer(command) => Box::pin(tracer::run(command, context)).await,
        Command::Dashboard(args) => Box::pin(dashboard::run(args, context.output)).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}
