//! Ctrl-C, and the signal that asks a program to end.

use std::sync::LazyLock;

pub(crate) use cli::signals::{END_LIMIT, Signal};
use tokio::sync::watch::Sender;

use crate::Error;

/// What was heard: signals are those of the process, and so is this.
static HEARD: LazyLock<Sender<Option<Signal>>> = LazyLock::new(Sender::default);

/// Hears signals from now on.
///
/// # Errors
///
/// Returns an error if the system does not let us wait.
pub(crate) fn watch() -> Result<(), Error> {
    cli::signals::watch(|signal| {
        HEARD.send_replace(Some(signal));
    })
    .map_err(|error| Error::Failed(format!("cannot wait for signals: {error}")))
}

/// Waits for the first one, and does not wait when there was one.
pub(crate) async fn interrupted() -> Signal {
    let mut heard = HEARD.subscribe();
    let signal = heard.wait_for(Option::is_some).await.ok().and_then(|signal| *signal);
    // The sender lasts as long as the process.
    signal.unwrap_or(Signal::Interrupt)
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
        signal = interrupted() => Err(Error::Interrupted(signal)),
    }
}
