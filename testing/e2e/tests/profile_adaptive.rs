//! Nodes of profile `adaptive`: what arrives, what they say of it, and whom they keep out.

use std::time::Instant;

use bytes::Bytes;
use e2e::{
    audience::{
        TOPIC, assert_all_get, assert_all_get_from_all, assert_nothing_came_twice, readers,
    },
    node_process::{NodeCommand, NodeProcess, cluster},
    payload,
    reader::Reader,
};

/// The longest message there may be.
const LONGEST: usize = 64 << 20;

fn adaptive(node: NodeCommand) -> NodeCommand {
    node.with("OPTIMUM_PROFILE", "adaptive")
}

/// Returns the sum of a counter's samples on `/metrics`.
async fn counted(node: &NodeProcess, name: &str) -> u64 {
    let (_, page) = node.http_text("/metrics").await;
    let samples = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    let values: Vec<f64> = samples
        .map(|line| line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number"))
        .collect();
    assert!(!values.is_empty(), "{name} is not on the page");
    values.iter().sum::<f64>() as u64
}

#[tokio::test]
async fn payloads_from_1_kib_to_64_mib_arrive_byte_for_byte_and_once_at_every_subscriber() {
    let nodes = cluster(4, |node| {
        adaptive(node)
            .with("OPTIMUM_MAX_MSG_SIZE", &LONGEST.to_string())
            // What is handed over is base64 in JSON, a third longer.
            .with("STREAM_QUEUE_BYTES", &(2 * LONGEST).to_string())
    })
    .await;
    let mut readers = readers(&nodes).await;
    let sizes = [1 << 10, 16 << 10, (16 << 10) + 1, 100 << 10, 1 << 20, 10 << 20, LONGEST];
    for (seed, bytes) in sizes.into_iter().enumerate() {
        assert_all_get(&mut readers, seed as u64, seed % 4, bytes).await;
    }
    assert_nothing_came_twice(&mut readers).await;
    for node in &nodes {
        assert_eq!(counted(node, "optimum_node_gossip_peers_disconnected_total").await, 0);
    }
}

#[tokio::test]
async fn messages_from_all_nodes_at_once_are_delivered_once_at_each() {
    let nodes = cluster(5, adaptive).await;
    let readers = readers(&nodes).await;
    assert_all_get_from_all(&nodes, readers, 20).await;
}

#[tokio::test]
async fn two_profiles_side_by_side_do_not_mix() {
    let documented = NodeCommand::new().with("OPTIMUM_PROFILE", "documented").start().await;
    let both = |own: &NodeProcess| format!("{},{}", documented.address, own.address);
    let one = adaptive(NodeCommand::new()).with("BOOTSTRAP_PEERS", &documented.address);
    let one = one.start().await;
    let two = adaptive(NodeCommand::new()).with("BOOTSTRAP_PEERS", &both(&one)).start().await;
    let fourth = NodeCommand::new().with("OPTIMUM_PROFILE", "documented");
    let fourth = fourth.with("BOOTSTRAP_PEERS", &both(&one)).start().await;

    one.until_logged(r#"profile does not match: \"adaptive\" here, \"documented\" at the peer"#)
        .await;
    two.until_logged("profile does not match").await;
    fourth
        .until_logged(r#"profile does not match: \"documented\" here, \"adaptive\" at the peer"#)
        .await;
    let nodes = [documented, fourth, one, two];
    let mut readers = Vec::new();
    for node in &nodes {
        node.until_peers(1).await;
        readers.push(Reader::subscribed(node.sidecar, TOPIC).await);
    }
    for reader in &mut readers {
        reader.until_grafted(1).await;
    }
    // The first message is everywhere that it can be before the second is published: where it
    // should not be, it would come before the second.
    for (pair, bytes) in [(0..2, 200_000), (2..4, 300_000)] {
        let sent = payload(bytes, bytes as usize);
        readers[pair.start].publish(TOPIC, &sent).await;
        for reader in &mut readers[pair.clone()] {
            assert!(reader.message().await.message == sent, "nodes {pair:?}");
        }
    }
    for (pair, name) in [(0..2, "documented"), (2..4, "adaptive")] {
        for node in &nodes[pair] {
            node.until_peers(1).await;
            assert_eq!(node.http("/api/v1/config").await["profile"], name);
        }
    }
}

#[tokio::test]
async fn who_subscribes_later_gets_what_the_others_keep() {
    let nodes = cluster(4, adaptive).await;
    let mut readers = readers(&nodes[..3]).await;
    let mut sent: Vec<Bytes> =
        [1 << 10, 100 << 10, 1 << 20].map(|bytes| payload(bytes as u64, bytes)).into();
    for message in &sent {
        readers[0].publish(TOPIC, message).await;
    }
    sent.sort();
    for reader in &mut readers {
        assert!(reader.sorted_payloads(sent.len()).await == sent, "everything, once");
    }
    let begin = Instant::now();
    let mut late = Reader::subscribed(nodes[3].sidecar, TOPIC).await;
    assert!(late.sorted_payloads(sent.len()).await == sent, "everything, once");
    println!("3 messages {:?} after the subscription", begin.elapsed());
}

#[tokio::test]
async fn shards_are_traced_and_counted_under_the_names_of_the_other_profile() {
    let nodes = cluster(3, adaptive).await;
    let readers = readers(&nodes).await;
    let sent = payload(1, 100 << 10);
    readers[0].publish(TOPIC, &sent).await;
    let mut readers = readers.into_iter();
    let mut publisher = readers.next().expect("three of them");
    let traced = publisher.until_traced(|event| event.publish_message.is_some()).await;
    let message = traced.publish_message.and_then(|event| event.message_id).expect("an id");
    for (mut reader, node) in readers.zip(&nodes[1..]) {
        let traced = reader.until_traced(|event| event.new_shard.is_some()).await;
        let shard = traced.new_shard.expect("just seen");
        assert_eq!(shard.message_id.as_ref(), Some(&message));
        assert!(shard.received_from.is_some_and(|peer| !peer.is_empty()));
        assert!(shard.coefficients.is_some());
        let traced = reader.until_traced(|event| event.deliver_message.is_some()).await;
        let delivered = traced.deliver_message.expect("just seen");
        assert_eq!(delivered.message_id.as_ref(), Some(&message));

        // 100 KiB are 64 fragments; each is new once, unless a combination brings it.
        let new = counted(node, "optimum_mump2p_shards_total").await;
        assert!((1..=64).contains(&new), "{new}");
        assert_eq!(counted(node, "optimum_node_gossip_shards_innovative_total").await, new);
        for kind in ["duplicate", "unnecessary", "unhelpful"] {
            counted(node, &format!("optimum_mump2p_shards_{kind}_total")).await;
        }
        assert_eq!(counted(node, "optimum_node_gossip_headers_refused_total").await, 0);
    }
}

#[tokio::test]
async fn what_is_too_long_for_the_profile_is_refused_at_the_start_and_another_profile_too() {
    let too_long = (LONGEST + 1).to_string();
    let (status, log) =
        adaptive(NodeCommand::new()).with("OPTIMUM_MAX_MSG_SIZE", &too_long).refuse().await;
    assert!(!status.success());
    assert!(log.contains("1 to 67108864 in profile adaptive"), "{log}");
    let (status, log) = NodeCommand::new().with("OPTIMUM_PROFILE", "fast").refuse().await;
    assert!(!status.success());
    for part in ["OPTIMUM_PROFILE", "fast", "adaptive or documented"] {
        assert!(log.contains(part), "{part}: {log}");
    }
}
