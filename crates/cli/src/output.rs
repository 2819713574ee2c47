//! Where the clients print: results on stdout, everything else on stderr.
//!
//! Nothing here panics when a stream is closed. Who prints results learns of it from [`line()`]: a
//! program that only prints has nothing left to do then.

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use crate::flags::Exit;

/// Prints a line on stdout.
///
/// # Errors
///
/// Returns the error of stdout: of kind `BrokenPipe` when nobody reads it any more.
pub fn line(text: impl AsRef<[u8]>) -> io::Result<()> {
    // One write a line: lines of several tasks do not mix.
    let line = [text.as_ref(), b"\n"].concat();
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

/// Prints a line on stdout that nobody has to read: the work goes on without its reader.
pub fn tell(text: &str) {
    let _gone = line(text);
}

/// Prints a line on stderr.
pub fn note(text: &str) {
    // One write: it is not mixed with a line of stdout where both go to one place.
    let _gone = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Prints a line on stderr with date and time in front, as Go's `log` does.
pub fn log(text: impl AsRef<[u8]>) {
    let now = jiff::Zoned::now().strftime("%Y/%m/%d %H:%M:%S ").to_string();
    let line = [now.as_bytes(), text.as_ref(), b"\n"].concat();
    let _gone = io::stderr().lock().write_all(&line);
}

/// Logs why the program cannot go on.
pub fn fatal(text: &str) -> ExitCode {
    log(text);
    ExitCode::FAILURE
}

/// Ends a program that could not print: quietly where only the reader is gone.
pub fn unprinted(error: &io::Error) -> ExitCode {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return ExitCode::SUCCESS;
    }
    fatal(&format!("cannot write to stdout: {error}"))
}

/// Ends a program whose flags were not to be used.
pub fn exit(exit: &Exit) -> ExitCode {
    let _gone = io::stderr().lock().write_all(exit.text.as_bytes());
    ExitCode::from(exit.code)
}

/// Returns a payload as stdout is to be given it: as it came, unless that is a terminal.
pub fn for_stdout(payload: &[u8]) -> Cow<'_, [u8]> {
    shown(payload, io::stdout().is_terminal())
}

/// Returns a payload as stderr is to be given it: as it came, unless that is a terminal.
pub fn for_stderr(payload: &[u8]) -> Cow<'_, [u8]> {
    shown(payload, io::stderr().is_terminal())
}

/// Payloads are of strangers, and a terminal obeys what it is sent: it is given no control characters
/// but tab and line feed, and nothing that is not UTF-8.
fn shown(payload: &[u8], is_terminal: bool) -> Cow<'_, [u8]> {
    if !is_terminal {
        return Cow::Borrowed(payload);
    }
    let is_harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    let text = String::from_utf8_lossy(payload);
    Cow::Owned(text.replace(is_harmful, "\u{fffd}").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_goes_into_a_pipe_as_it_came_and_to_a_terminal_without_what_could_harm_it() {
        let payload = b"a\x1b[2J\tb\n\xff\xc3\xa9";
        assert_eq!(*shown(payload, false), payload[..]);
        let text = "a\u{fffd}[2J\tb\n\u{fffd}é";
        assert_eq!(*shown(payload, true), *text.as_bytes());
    }
}
