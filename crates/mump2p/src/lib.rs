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

use arguments::{Arguments, Command, Global};
use commands::{account, completions, man, publish, service, subscribe, update};
use signals::or_interrupted;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse_from(dashboard::double_dashed(std::env::args_os()));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Err(Error::Failed(error.to_string())),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    if !error.is_silent() {
        output::note(&format!("Error: {error}"));
    }
    ExitCode::from(error.exit_code())
}

async fn run(arguments: Arguments) -> Result<(), Error> {
    // One library of ciphers for every connection; a second call would only find it there.
    let _there = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let Arguments { global, command } = arguments;
    let context = or_interrupted(Context::new(&global, &command)).await?;
    // Those that end by themselves at Ctrl-C.
    if let Command::Subscribe(args) = command {
        return Box::pin(subscribe::run(args, &global, &context)).await;
    }
    if let Command::Tracer(tracer::Command::Dashboard(args)) = command {
        return tracer::dashboard::run(args, &context).await;
    }
    if let Command::Dashboard(args) = command {
        return dashboard::run(args, context.output).await;
    }
    or_interrupted(Box::pin(short(command, &global, &context))).await
}

/// Runs a command that Ctrl-C may end at any time.
async fn short(command: Command, global: &Global, context: &Context) -> Result<(), Error> {
    match command {
        Command::Login => account::login(global).await,
        Command::Logout => account::logout(global),
        Command::Whoami => account::whoami(global, context),
        Command::Refresh => account::refresh(global).await,
        Command::Usage => account::usage(global, context),
        Command::Publish(args) => publish::run(args, global, context).await,
        Command::Subscribe(args) => subscribe::run(args, global, context).await,
        Command::ListTopics => service::list_topics(context).await,
        Command::Health => service::health(context).await,
        Command::Version => service::version(context),
        Command::Update(args) => update::run(&args),
        Command::Tracer(command) => tracer::run(command, context).await,
        Command::Dashboard(args) => dashboard::run(args, context.output).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}
