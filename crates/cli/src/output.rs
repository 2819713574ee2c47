//! Where the clients print: results on stdout, everything else on stderr.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where it is done")]

use std::{io::Write as _, process::ExitCode};

use crate::flags::Exit;

/// Prints a line on stdout. A reader that is gone is no reason to fail.
pub fn line(text: &str) {
    let _gone = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a line on stderr.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// Prints a line on stderr with date and time in front, as Go's `log` does.
pub fn log(text: &str) {
    let now = jiff::Zoned::now().strftime("%Y/%m/%d %H:%M:%S");
    eprintln!("{now} {text}");
}

/// Logs why the program cannot go on.
pub fn fatal(text: &str) -> ExitCode {
    log(text);
    ExitCode::FAILURE
}

/// Ends a program whose flags were not to be used.
pub fn exit(exit: &Exit) -> ExitCode {
    eprint!("{}", exit.text);
    ExitCode::from(exit.code)
}

/// Ends a line that the terminal's `^C` began.
pub fn interrupted() {
    println!("\nshutting down…");
}
