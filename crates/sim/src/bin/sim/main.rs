//! `sim`: runs scenarios of the simulator side by side, and prints what came of them.
#![forbid(unsafe_code)]

mod args;
mod builtin;
mod chart;
mod compare;
mod output;
mod plots;
mod report;
mod runner;
mod suite;
mod summary;
mod sweep;
mod validate;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use crate::args::{Args, Command};

/// A run is millions of small frames, of which many wait at a time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) if output::nobody_reads(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Run(run) => suite::run_one(run),
        Command::Compare(compare) => compare::run(compare),
        Command::Sweep(sweep) => sweep::run(sweep),
        Command::Validate(validate) => validate::run(validate),
        Command::Suite(suite) => suite::run(suite),
        Command::List => builtin::list(),
    }
}
