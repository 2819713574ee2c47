//! A client as a program: its flags, its runtime, and how it is ended.

use std::{path::Path, process::ExitCode};

use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::{
    flags::{Flags, Parsed},
    go_text, manual, output, signals,
};

/// Returns the flags of this process, without any yet; `about` says what it does.
pub fn flags(about: &'static str) -> Flags {
    let program = std::env::args_os().next().unwrap_or_default();
    Flags::new(&program.to_string_lossy(), about)
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
    if let Some(folder) = manual::wanted(&parsed.rest) {
        return write_manual(flags, &folder);
    }
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

fn write_manual(flags: &Flags, folder: &Path) -> ExitCode {
    match manual::write(flags, folder) {
        Ok(page) => {
            output::tell(&format!("the manual page is {}", page.display()));
            ExitCode::SUCCESS
        }
        Err(error) => output::fatal(&format!("cannot write to {}: {error}", folder.display())),
    }
}
