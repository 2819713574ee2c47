//! The reader's shell, and the terminals beside it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

/// How long a process may take to end after Ctrl-C.
const END_LIMIT: Duration = Duration::from_secs(20);

/// How often it is asked whether it ended.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What a shell says when a block is through; no page prints it by chance.
const MARK: &str = "\u{1}through:";

/// One shell for all blocks of a page, so that folders and variables last.
#[derive(Debug)]
pub struct Shell {
    process: Process,
    input: ChildStdin,
    folder: TempDir,
}

impl Shell {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// No bash, or no folder for temporary files.
    pub fn start() -> anyhow::Result<Self> {
        let mut process = Process::spawn(Command::new("bash").stdin(Stdio::piped()))?;
        let mut input = process.child.stdin.take().context("the shell's input")?;
        // ERR is raised where `set -e` would end the shell, which must live on for the last block.
        writeln!(input, "exec 2>&1; trap 'through_failed=yes' ERR")?;
        Ok(Self { process, input, folder: tempfile::tempdir()? })
    }

    /// Runs a block until it is through, and returns what it printed.
    ///
    /// # Errors
    ///
    /// A command failed, the shell ended, or `limit` is over; with what was printed.
    pub fn run(&mut self, lines: &[String], limit: Duration) -> anyhow::Result<Vec<String>> {
        let script = self.folder.path().join("block");
        fs::write(&script, lines.join("\n") + "\n")?;
        let begin = self.process.printed.lines().len();
        let script = script.display();
        // From a file and with nothing to read, so that no command takes the next one for input.
        writeln!(self.input, "through_failed=no; . '{script}' </dev/null")?;
        // A blank line first: what was printed last may lack its end.
        writeln!(self.input, "printf '\\n{MARK}%s\\n' \"$through_failed\"")?;
        let through = self.process.printed.wait(limit, |printed| {
            let at = printed[begin..].iter().position(|line| line.starts_with(MARK))?;
            Some((printed[begin..begin + at].to_vec(), printed[begin + at].ends_with("yes")))
        });
        match through {
            Some((printed, false)) => Ok(printed),
            Some((printed, true)) => bail!("a command failed:\n{}", printed.join("\n")),
            None => {
                let printed = self.process.printed.lines()[begin..].join("\n");
                bail!("not through after {limit:?}, or the shell ended:\n{printed}")
            }
        }
    }
}

/// A terminal in which one block is left running.
#[derive(Debug)]
pub struct Terminal {
    process: Process,
    /// Lines that were compared already.
    seen: usize,
}

impl Terminal {
    /// Starts the block.
    ///
    /// # Errors
    ///
    /// No bash.
    pub fn start(lines: &[String]) -> anyhow::Result<Self> {
        let script = format!("exec 2>&1\n{}\n", lines.join("\n"));
        let process = Process::spawn(Command::new("bash").arg("-ec").arg(script))?;
        Ok(Self { process, seen: 0 })
    }

    /// Waits until `expected` was printed since the last time.
    ///
    /// # Errors
    ///
    /// `limit` is over; with what was printed.
    pub fn expect(&mut self, expected: &[String], limit: Duration) -> anyhow::Result<()> {
        let seen = self.seen;
        let found = self
            .process
            .printed
            .wait(limit, |printed| crate::output::find(expected, &printed[seen..]).ok());
        let Some(taken) = found else {
            let printed = &self.process.printed.lines()[seen..];
            let missing = crate::output::find(expected, printed).err().unwrap_or_default();
            bail!("`{missing}` was not printed within {limit:?}, but:\n{}", printed.join("\n"));
        };
        self.seen += taken;
        Ok(())
    }

    /// Presses Ctrl-C, unless it ended by itself, and waits for the end.
    ///
    /// # Errors
    ///
    /// It failed, or does not end.
    pub fn end(mut self) -> anyhow::Result<()> {
        let by_itself = self.process.child.try_wait()?;
        let status = match by_itself {
            Some(status) => status,
            None => self.process.interrupt()?,
        };
        // 130: bash tells that way that the command ended by Ctrl-C.
        if status.success() || (by_itself.is_none() && ended_by_interrupt(status)) {
            return Ok(());
        }
        let printed = self.process.printed.lines().join("\n");
        bail!("ended with {status}:\n{printed}")
    }
}

fn ended_by_interrupt(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    const SIGINT: i32 = 2;
    status.signal() == Some(SIGINT) || status.code() == Some(128 + SIGINT)
}

/// A process with a group of its own, as a terminal would give it.
#[derive(Debug)]
struct Process {
    child: Child,
    printed: Arc<Printed>,
}

impl Process {
    fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let mut child =
            command.stdout(Stdio::piped()).process_group(0).spawn().context("start bash")?;
        let stdout = child.stdout.take().context("what bash prints")?;
        let printed = Arc::new(Printed::default());
        let to = Arc::clone(&printed);
        std::thread::spawn(move || to.read(stdout));
        Ok(Self { child, printed })
    }

    /// Sends the whole group what Ctrl-C sends, and waits for the end.
    fn interrupt(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal("INT")?;
        let begin = Instant::now();
        while begin.elapsed() < END_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        bail!("still there {END_LIMIT:?} after Ctrl-C:\n{}", self.printed.lines().join("\n"))
    }

    fn signal(&self, name: &str) -> anyhow::Result<()> {
        let group = format!("-{}", self.child.id());
        Command::new("kill").args(["-s", name, "--", &group]).status().context("kill")?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Nothing to be done about a process that cannot be ended.
            drop(self.signal("KILL"));
            drop(self.child.wait());
        }
    }
}

/// Lines of both streams, as they came.
#[derive(Debug, Default)]
struct Printed {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Printed {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, from: impl Read) {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            self.lines().push(text);
            self.more.notify_all();
            line.clear();
        }
    }

    /// Waits until `enough` makes something of the lines, or `limit` is over.
    fn wait<T>(&self, limit: Duration, enough: impl Fn(&[String]) -> Option<T>) -> Option<T> {
        let begin = Instant::now();
        let mut lines = self.lines();
        loop {
            if let Some(made) = enough(&lines) {
                return Some(made);
            }
            let left = limit.checked_sub(begin.elapsed())?;
            let waited = self.more.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn folders_and_variables_last_from_block_to_block() {
        let mut shell = Shell::start().expect("bash");
        shell.run(&lines("cd /\nx=5"), LIMIT).expect("runs");
        let printed = shell.run(&lines("pwd; echo $x; echo to stderr >&2; printf end"), LIMIT);
        assert_eq!(printed.expect("runs"), ["/", "5", "to stderr", "end"]);
    }

    #[test]
    fn a_command_that_fails_fails_its_block_and_the_shell_lives() {
        let mut shell = Shell::start().expect("bash");
        let error = shell.run(&lines("echo before\nfalse\necho after"), LIMIT).expect_err("false");
        assert!(error.to_string().contains("before\nafter"), "{error}");
        assert!(shell.run(&lines("if false; then :; fi"), LIMIT).is_ok());
    }

    #[test]
    fn no_command_takes_the_next_block_for_its_input() {
        let mut shell = Shell::start().expect("bash");
        assert!(shell.run(&lines("cat"), LIMIT).is_ok());
        assert_eq!(shell.run(&lines("echo here"), LIMIT).expect("runs"), ["here", ""]);
    }

    #[test]
    fn a_terminal_is_waited_for_and_ended_by_ctrl_c() {
        let mut terminal = Terminal::start(&lines("echo one; echo two; sleep 600")).expect("bash");
        terminal.expect(&lines("one"), LIMIT).expect("printed");
        terminal.expect(&lines("two"), LIMIT).expect("printed");
        let error = terminal.expect(&lines("two"), Duration::ZERO).expect_err("once only");
        assert!(error.to_string().starts_with("`two` was not printed"), "{error}");
        terminal.end().expect("ended");
    }

    #[test]
    fn a_terminal_whose_command_failed_says_so() {
        let mut terminal = Terminal::start(&lines("echo so; exit 3")).expect("bash");
        terminal.expect(&lines("so"), LIMIT).expect("printed");
        terminal.process.child.wait().expect("ends");
        assert!(terminal.end().is_err());
    }
}
