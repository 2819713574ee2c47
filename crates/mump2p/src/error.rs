//! Why a command fails, and with which exit code.

use cli::signals::Signal;
use thiserror::Error;

/// Why a command fails. The text is all that its reader is told, so it says what would be right.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The request, or the answer to it, is wrong.
    #[error("{0}")]
    Failed(String),
    /// Flags that do not go together, or values that mean nothing.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers.
    #[error("cannot reach {address}: {cause}\n  check: {check}")]
    Unreachable {
        /// Where somebody should have answered, as it was asked for.
        address: String,
        /// What the system says.
        cause: String,
        /// What to look at.
        check: String,
    },
    /// Nobody is logged in, or no longer.
    #[error("{0}")]
    Login(String),
    /// Another one, with what was being done.
    #[error("{what}: {error}")]
    During {
        /// What was being done.
        what: String,
        /// Why it failed.
        error: Box<Error>,
    },
    /// The reader of our output is gone: no reason to say anything.
    #[error("the output is closed")]
    OutputClosed,
    /// Ctrl-C, or SIGTERM.
    #[error("interrupted")]
    Interrupted(Signal),
}

impl Error {
    /// Says what was being done.
    #[must_use]
    pub fn during(self, what: &str) -> Self {
        if self.is_silent() {
            return self;
        }
        Self::During { what: what.to_owned(), error: Box::new(self) }
    }

    /// Tells whether there is nobody to tell, or nothing that they do not know.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::OutputClosed | Self::Interrupted(_))
    }

    /// Returns the exit code: 0 when a reader had enough, 1 for a failure, an address where nobody
    /// answers among them, 2 for wrong flags (as the parser of the flags has it), 4 for a missing
    /// login, 130 for Ctrl-C and 143 for SIGTERM (128 and the number of the signal, as shells have
    /// it).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Failed(_) | Self::Unreachable { .. } => 1,
            Self::Usage(_) => 2,
            Self::Login(_) => 4,
            Self::Interrupted(signal) => signal.exit_code(),
            Self::During { error, .. } => error.exit_code(),
        }
    }
}
