//! Any program as a process.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
};

use crate::{LIMIT, node_process::until, program};

/// A program whose lines are read as they come; ended when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Program {
    /// Starts a program of the workspace.
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        Self::run(Command::new(program(name)).args(arguments))
    }

    /// Starts any program; what it prints on stdout is read.
    pub fn run(command: &mut Command) -> Self {
        Self::spawn(command.stderr(Stdio::inherit()))
    }

    /// Starts a program of the workspace; what it prints on stderr is read as well.
    pub fn talkative(name: &str, arguments: &[&str]) -> Self {
        Self::talkative_command(Command::new(program(name)).args(arguments))
    }

    /// Starts any program; what it prints on stderr is read as well.
    pub fn talkative_command(command: &mut Command) -> Self {
        Self::spawn(command.stderr(Stdio::piped()))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program runs");
        let (sender, lines) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            forward(stderr, sender.clone());
        }
        forward(child.stdout.take().expect("piped"), sender);
        Self { child, lines }
    }

    /// Returns the first line with `text` in it.
    pub fn line_with(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(LIMIT);
            let line = line.unwrap_or_else(|_| panic!("no line with {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Returns whether a line with `text` in it has come; lines up to it are not read again.
    pub fn has_printed(&self, text: &str) -> bool {
        self.lines.try_iter().any(|line| line.contains(text))
    }

    /// Returns the lines that are left, when the program has ended.
    pub fn rest(&self) -> Vec<String> {
        self.lines.iter().collect()
    }

    /// Returns the id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, named as `kill` does: `-INT`.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().expect("kill runs").success());
    }

    /// Waits for the program to end.
    pub async fn ended(&mut self) -> ExitStatus {
        until("the program has ended", || self.child.try_wait().expect("a child of ours")).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Reads lines on a thread of its own.
fn forward(from: impl Read + Send + 'static, to: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
}
