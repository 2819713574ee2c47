//! `mump2p completions`.

use clap::CommandFactory as _;

use crate::{Error, arguments::Arguments, output};

/// The completions of a shell.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which shell.
    pub shell: clap_complete::Shell,
}

/// Prints them.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "mump2p", &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end())
}
