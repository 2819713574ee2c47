//! Ctrl-C and SIGTERM, which ask a program to end.

use std::{io, thread, time::Duration};

use tokio::{
    runtime::Builder,
    signal::unix::{self, SignalKind},
};

/// How long a program that was told to end may take to do it.
pub const END_LIMIT: Duration = Duration::from_secs(10);

/// What asked the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signal {
    /// Returns the exit code of a program that it ended: 128 and its number, as shells have it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Watches for signals from now on, on a thread of its own: they are to be heard even when every
/// other thread waits for a reader of stdout. The first one is given to `told`.
///
/// A second one ends the program at once, and so does [`END_LIMIT`] after the first.
///
/// # Errors
///
/// Returns an error if the system does not let us wait.
pub fn watch(told: impl FnOnce(Signal) + Send + 'static) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _within = runtime.enter();
        (unix::signal(SignalKind::interrupt())?, unix::signal(SignalKind::terminate())?)
    };
    let watch = async move {
        let first = next(&mut interrupt, &mut terminate).await;
        told(first);
        let again = next(&mut interrupt, &mut terminate);
        let last = tokio::time::timeout(END_LIMIT, again).await.unwrap_or(first);
        std::process::exit(last.exit_code().into());
    };
    thread::Builder::new().spawn(move || runtime.block_on(watch)).map(drop)
}

async fn next(interrupt: &mut unix::Signal, terminate: &mut unix::Signal) -> Signal {
    tokio::select! {
        _ = interrupt.recv() => Signal::Interrupt,
        _ = terminate.recv() => Signal::Terminate,
    }
}
