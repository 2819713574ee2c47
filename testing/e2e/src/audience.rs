//! A reader at every node of a cluster, and what all of them must get.

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::{node_process::NodeProcess, payload, reader::Reader};

/// The topic that they read.
pub const TOPIC: &str = "e2e";

/// Returns a reader at every node, subscribed, the mesh complete.
pub async fn readers(nodes: &[NodeProcess]) -> Vec<Reader> {
    let mut readers = Vec::new();
    for node in nodes {
        readers.push(Reader::subscribed(node.sidecar, TOPIC).await);
    }
    for reader in &mut readers {
        // Whoever has three in its mesh looks for no more.
        reader.until_grafted(3.min(nodes.len() - 1)).await;
    }
    readers
}

/// Publishes a message of `bytes` bytes at the node `at`.
///
/// # Panics
///
/// If a reader gets anything else next.
pub async fn assert_all_get(readers: &mut [Reader], seed: u64, at: usize, bytes: usize) {
    let sent = payload(seed, bytes);
    readers[at].publish(TOPIC, &sent).await;
    for (index, reader) in readers.iter_mut().enumerate() {
        let got = reader.message().await;
        assert!(got.message == sent, "{bytes} bytes at node {}", index + 1);
        assert_eq!(got.topic, TOPIC);
    }
}

/// Publishes `each` messages of mixed sizes at every node, all nodes at once, and one more at the
/// end: what came a second time would come before it.
///
/// # Panics
///
/// If a reader does not get each of them once.
pub async fn assert_all_get_from_all(nodes: &[NodeProcess], readers: Vec<Reader>, each: usize) {
    let mut publishing = JoinSet::new();
    let mut sent = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let messages: Vec<Bytes> = (0..each)
            .map(|index| {
                let bytes = [8, 1_000, 20_000, 100_000, 700_000][index % 5];
                payload((at * each + index) as u64, bytes)
            })
            .collect();
        sent.extend(messages.clone());
        let sidecar = node.sidecar;
        publishing.spawn(async move {
            let publisher = Reader::open(sidecar).await;
            for message in messages {
                publisher.publish(TOPIC, &message).await;
            }
            publisher
        });
    }
    sent.sort();
    let mut receiving = JoinSet::new();
    for mut reader in readers {
        let count = sent.len();
        receiving.spawn(async move {
            let got = reader.sorted_payloads(count).await;
            (reader, got)
        });
    }
    let mut quiet = Vec::new();
    for (reader, got) in receiving.join_all().await {
        assert!(got == sent, "every message once");
        quiet.push(reader);
    }
    assert_nothing_came_twice(&mut quiet).await;
}

/// Publishes something small at the first reader's node.
///
/// # Panics
///
/// If a reader gets anything before it.
pub async fn assert_nothing_came_twice(readers: &mut [Reader]) {
    let last = payload(1_000, 50);
    readers[0].publish(TOPIC, &last).await;
    for (index, reader) in readers.iter_mut().enumerate() {
        let got = reader.message().await.message;
        assert!(got == last, "{} bytes came twice at reader {}", got.len(), index + 1);
    }
}
