//! Makes the identity of a node, `../identity/p2p.key`, if it is not there, and prints its peer id.
#![forbid(unsafe_code)]

use std::{path::Path, process::ExitCode};

use cli::output;

/// Seen from the folder `keygen/`, where it is run.
const FOLDER: &str = "../identity";

fn main() -> ExitCode {
    match identity::load_or_generate(Path::new(FOLDER)) {
        Ok(identity) => {
            output::line(&format!("Peer ID: {}", identity.peer_id()));
            ExitCode::SUCCESS
        }
        Err(error) => output::fatal(&format!("unable to ensure identity {error}")),
    }
}
