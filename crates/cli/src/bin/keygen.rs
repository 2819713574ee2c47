//! Makes the identity of a node, `../identity/p2p.key`, if it is not there, and prints its peer id.
#![forbid(unsafe_code)]

use std::{path::Path, process::ExitCode};

use cli::{output, program};

const ABOUT: &str =
    "makes the identity of a node, ../identity/p2p.key, if it is not there, and prints its peer id";

/// Seen from the folder `keygen/`, where it is run.
const FOLDER: &str = "../identity";

fn main() -> ExitCode {
    program::run(&program::flags(ABOUT), |_, _| async {
        match identity::load_or_generate(Path::new(FOLDER)) {
            Ok(identity) => match output::line(format!("Peer ID: {}", identity.peer_id())) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => output::unprinted(&error),
            },
            Err(error) => output::fatal(&format!("unable to ensure identity {error}")),
        }
    })
}
