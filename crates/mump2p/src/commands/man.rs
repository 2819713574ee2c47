//! `mump2p man`.

use std::{fs, path::PathBuf};

use clap::CommandFactory as _;

use crate::{Error, arguments::Arguments, output};

/// Write the manual pages.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The folder to write to; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Writes a page for the program and one for each command.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let written = fs::create_dir_all(&args.out)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), &args.out));
    written.map_err(|error| {
        Error::Failed(format!("cannot write to {}: {error}", args.out.display()))
    })?;
    output::line(&format!("manual pages are in {}", args.out.display()))
}
