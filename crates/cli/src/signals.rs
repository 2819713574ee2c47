//! Ctrl-C and SIGTERM, which ask a program to end.

use std::{io, thread, time::Duration};

use tokio::runtime::Builder;

use system::Signals;

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
    let mut signals = {
        let _within = runtime.enter();
        Signals::watch()?
    };
    let watch = async move {
        let first = signals.next().await;
        told(first);
        let last = tokio::time::timeout(END_LIMIT, signals.next()).await.unwrap_or(first);
        std::process::exit(last.exit_code().into());
    };
    thread::Builder::new().spawn(move || runtime.block_on(watch)).map(drop)
}

#[cfg(unix)]
mod system {
    use std::io;

    use tokio::signal::unix::{self, SignalKind, signal};

    use super::Signal;

    pub(super) struct Signals {
        interrupt: unix::Signal,
        terminate: unix::Signal,
    }

    impl Signals {
        pub(super) fn watch() -> io::Result<Self> {
            let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
            Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)? })
        }

        pub(super) async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.interrupt.recv() => Signal::Interrupt,
                _ = self.terminate.recv() => Signal::Terminate,
            }
        }
    }
}

#[cfg(windows)]
mod system {
    use std::io;

    use tokio::signal::windows::{CtrlC, CtrlClose, ctrl_c, ctrl_close};

    use super::Signal;

    /// Ctrl-C, and the end of the console.
    pub(super) struct Signals {
        interrupt: CtrlC,
        terminate: CtrlClose,
    }

    impl Signals {
        pub(super) fn watch() -> io::Result<Self> {
            Ok(Self { interrupt: ctrl_c()?, terminate: ctrl_close()? })
        }

        pub(super) async fn next(&mut self) -> Signal {
            tokio::select! {
                _ = self.interrupt.recv() => Signal::Interrupt,
                _ = self.terminate.recv() => Signal::Terminate,
            }
        }
    }
}
