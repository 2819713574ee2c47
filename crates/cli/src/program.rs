//! A client as a program: its flags, its runtime, and how it is ended.

use std::process::ExitCode;

use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::{
    flags::{Flags, Parsed},
    go_text, output, signals,
};

/// Returns the flags of this process, without any yet.
pub fn flags() -> Flags {
    let program = std::env::args_os().next().unwrap_or_default();
    Flags::new(&program.to_string_lossy())
}

/// Runs a program: `main` is given its flags and a token that is cancelled by Ctrl-C or SIGTERM.
///
/// A second signal ends the program at once, and so does a reader that takes nothing while the
/// program tries to end.
pub fn run<F: Future<Output = ExitCode>>(
    flags: &Flags,
    main: impl FnOnce(Parsed, CancellationToken) -> F,
) -> ExitCode {
    let parsed = match flags.parse_process() {
        Ok(parsed) => parsed,
        Err(exit) => return output::exit(&exit),
    };
    if let Some(first) = parsed.rest.first() {
        let first = go_text::quote(first);
        output::note(&format!("ignored: {first} and what follows; flags are -name=value"));
    }
    let stop = CancellationToken::new();
    let told = stop.clone();
    let ready = signals::watch(move |_| told.cancel())
        .and_then(|()| Builder::new_multi_thread().worker_threads(2).enable_all().build());
    let runtime = match ready {
        Ok(runtime) => runtime,
        Err(error) => return output::fatal(&format!("cannot start: {error}")),
    };
    let code = runtime.block_on(main(parsed, stop));
    // What still waits for a reader is not waited for.
    runtime.shutdown_background();
    code
}
