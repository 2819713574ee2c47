//! A client as a program: its flags, its runtime, and how it is ended.

use std::{io, path::Path, process::ExitCode, thread, time::Duration};

use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    flags::{Flags, Parsed},
    go_text, manual, output,
};

/// How long a program that was told to end may take to do it.
const END_LIMIT: Duration = Duration::from_secs(10);

/// What a shell calls a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

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
    let ready = watch_signals(stop.clone())
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

/// Watches for signals from now on, on a thread of its own: they are to be heard even when every
/// other thread waits for a reader of stdout.
fn watch_signals(stop: CancellationToken) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _within = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let watch = async move {
        next(&mut interrupt, &mut terminate).await;
        stop.cancel();
        let again = next(&mut interrupt, &mut terminate);
        let _late = tokio::time::timeout(END_LIMIT, again).await;
        std::process::exit(INTERRUPTED);
    };
    thread::Builder::new().spawn(move || runtime.block_on(watch)).map(drop)
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
