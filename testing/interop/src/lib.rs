//! GossipSub peers written by others, as processes that are told what to do and say what happens.
#![forbid(unsafe_code)]

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use e2e::LIMIT;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// A running peer. It ends when this is dropped.
#[derive(Debug)]
pub struct Peer {
    _child: Child,
    commands: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

/// Returns the command of the peer by go-libp2p.
pub fn go() -> Command {
    Command::new(built("go/bin/peer"))
}

/// Returns the command of the peer by js-libp2p, on its own version of Node.
pub fn js() -> Command {
    let mut command = Command::new(built("js/node_modules/.bin/node"));
    command.arg(built("js/peer.js"));
    command
}

fn built(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    assert!(path.exists(), "{} is not there; make interop", path.display());
    path
}

impl Peer {
    /// Starts a peer that subscribes `topic`.
    ///
    /// # Panics
    ///
    /// Panics when it does not start.
    pub fn start(mut command: Command, topic: &str) -> Self {
        let mut child = command
            .arg(topic)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the peer runs");
        let commands = child.stdin.take().expect("piped");
        let said = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { _child: child, commands, said }
    }

    /// Tells the peer to do something.
    ///
    /// # Panics
    ///
    /// Panics when it does not listen.
    pub async fn tell(&mut self, command: &str) {
        let line = format!("{command}\n");
        self.commands.write_all(line.as_bytes()).await.expect("the peer reads");
    }

    /// Waits until the peer says a line that begins with `words`; returns what follows them.
    ///
    /// # Panics
    ///
    /// Panics when it does not, or ends.
    pub async fn until_said(&mut self, words: &str) -> String {
        let found = async {
            loop {
                let line = self.said.next_line().await.expect("text").expect("the peer runs");
                if let Some(rest) = line.strip_prefix(words) {
                    return rest.trim().to_owned();
                }
            }
        };
        let found = tokio::time::timeout(LIMIT, found).await;
        found.unwrap_or_else(|_| panic!("not said within {LIMIT:?}: {words}"))
    }
}
