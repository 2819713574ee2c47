//! `lab-gossipsub` as a node: spoken to by lines.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{ChildStdin, ChildStdout, Command},
    sync::mpsc,
    task::JoinSet,
};

use crate::{
    network::address,
    node::{Event, Node, PORT, Publish, Start},
};

pub(crate) fn start(start: Start<'_>) -> Result<Node> {
    let Start { node, kind, network, folder, dials, bytes_max, events, .. } = start;
    let program = crate::program("lab-gossipsub")?;
    let mut command: Command = network.namespace(node).command(&program).into();
    command
        .arg(format!("--listen=/ip4/{}/tcp/{PORT}", address(node)))
        .arg("--identity")
        .arg(folder)
        .arg(format!("--mesh={}", kind.mesh().map(|peers| peers.to_string()).join(",")))
        .arg(format!("--bytes-max={bytes_max}"));
    if !dials.is_empty() {
        command.arg(format!("--dial={}", dials.join(",")));
    }
    if !kind.gossips() {
        command.arg("--without-gossip");
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let input = child.stdin.take().context("no way to speak to it")?;
    let output = child.stdout.take().context("no way to hear it")?;
    let (publish, commands) = mpsc::channel(1);
    let mut tasks = JoinSet::new();
    tasks.spawn(speak(input, commands));
    tasks.spawn(hear(node, output, events));
    Node::new(child, publish, tasks)
}

async fn speak(mut input: ChildStdin, mut commands: mpsc::Receiver<Publish>) {
    while let Some(Publish { number, bytes }) = commands.recv().await {
        let line = format!("publish {number} {bytes}\n");
        if input.write_all(line.as_bytes()).await.is_err() {
            // That it ended is told by who hears it.
            return;
        }
    }
}

async fn hear(node: usize, output: ChildStdout, events: mpsc::UnboundedSender<Event>) {
    let mut lines = BufReader::new(output).lines();
    let why = loop {
        match lines.next_line().await {
            Ok(Some(line)) => match parse(node, &line) {
                Some(event) => {
                    if events.send(event).is_err() {
                        return;
                    }
                }
                None => break format!("it says {line:?}"),
            },
            Ok(None) => break "it ended".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    // Nobody listens any more at the end of a run.
    let _over = events.send(Event::Failed { node, why });
}

/// Reads a line of a node.
fn parse(node: usize, line: &str) -> Option<Event> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let mut number = || words.next()?.parse::<u64>().ok();
    Some(match kind {
        "published" => Event::Published { number: number()?, at: Duration::from_nanos(number()?) },
        "arrived" => {
            Event::Arrived { node, number: number()?, at: Duration::from_nanos(number()?) }
        }
        "peers" => Event::Peers { node, connected: number()? as usize, mesh: number()? as usize },
        "slow" => Event::Dropped { messages: number()? as usize },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_node_are_understood_and_others_are_not() {
        let at = Duration::from_nanos(1_700_000_000_000_000_001);
        let line = "arrived 7 1700000000000000001";
        assert_eq!(parse(3, line), Some(Event::Arrived { node: 3, number: 7, at }));
        let line = "published 7 1700000000000000001";
        assert_eq!(parse(3, line), Some(Event::Published { number: 7, at }));
        let peers = Event::Peers { node: 3, connected: 20, mesh: 8 };
        assert_eq!(parse(3, "peers 20 8"), Some(peers));
        assert_eq!(parse(3, "slow 2"), Some(Event::Dropped { messages: 2 }));
        for wrong in ["", "arrived", "arrived 7", "arrived x 1", "hello"] {
            assert_eq!(parse(3, wrong), None, "{wrong}");
        }
    }
}
