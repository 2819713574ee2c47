//! Ctrl-C, and the signal that asks a program to end.

use tokio::signal::unix::{SignalKind, signal};

use crate::Error;

/// Waits for one of them.
///
/// # Errors
///
/// Returns an error if the system does not let us wait.
pub(crate) async fn interrupted() -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::Failed(format!("cannot wait for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Runs something that need not end by itself: an interrupt ends it.
///
/// # Errors
///
/// Returns its error, or [`Error::Interrupted`].
pub(crate) async fn or_interrupted<T>(
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        done = work => done,
        interrupted = interrupted() => Err(interrupted.err().unwrap_or(Error::Interrupted)),
    }
}
