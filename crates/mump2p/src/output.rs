//! Where `mump2p` prints, and in which form.

use std::io::{ErrorKind, Write as _};

use serde::Serialize;

use crate::{Error, plain_text::plain_lines};

/// The form of what a command answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Text for people.
    #[default]
    Table,
    /// JSON, indented by two blanks.
    Json,
    /// YAML.
    Yaml,
}

impl Output {
    /// Prints an answer: as `table` writes it for people, else as it is.
    ///
    /// # Errors
    ///
    /// Returns an error if nobody reads, or the output cannot be written.
    pub fn print<T: Serialize>(
        self,
        answer: &T,
        table: impl FnOnce(&T) -> String,
    ) -> Result<(), Error> {
        let text = match self {
            Self::Table => return plain_line(table(answer).trim_end_matches('\n')),
            Self::Json => serde_json::to_string_pretty(answer)
                .map_err(|error| Error::Failed(error.to_string()))?,
            Self::Yaml => {
                yaml_serde::to_string(answer).map_err(|error| Error::Failed(error.to_string()))?
            }
        };
        line(text.trim_end_matches('\n'))
    }
}

/// Prints a line for people on stdout, without what would steer their terminal: servers may have
/// said parts of it.
///
/// # Errors
///
/// Returns [`Error::OutputClosed`] if nobody reads any more.
pub(crate) fn plain_line(text: &str) -> Result<(), Error> {
    line(&plain_lines(text))
}

/// Prints a line on stdout.
///
/// # Errors
///
/// Returns [`Error::OutputClosed`] if nobody reads any more.
pub fn line(text: &str) -> Result<(), Error> {
    bytes(text.as_bytes())
}

/// Prints any bytes as a line on stdout.
///
/// # Errors
///
/// Returns [`Error::OutputClosed`] if nobody reads any more.
pub fn bytes(text: &[u8]) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    let written =
        stdout.write_all(text).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
    written.map_err(|error| {
        if error.kind() == ErrorKind::BrokenPipe {
            return Error::OutputClosed;
        }
        Error::Failed(format!("cannot write to the output: {error}"))
    })
}

/// Prints a line on stderr, without what would steer a terminal: what is not the answer.
pub fn note(text: &str) {
    // Nobody may read it; that is no reason to fail.
    let _closed = writeln!(std::io::stderr().lock(), "{}", plain_lines(text));
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_is_written() {
        assert!(super::line("a line").is_ok());
    }
}
