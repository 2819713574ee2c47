//! Publish at one node, delivered at the others: real processes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::{
    audience::{TOPIC, assert_all_get, assert_all_get_from_all, readers},
    node_process::{NodeCommand, cluster},
    payload,
    reader::Reader,
};

#[tokio::test]
async fn payloads_from_1_byte_to_10_mib_arrive_byte_for_byte_at_every_subscriber() {
    let nodes = cluster(4, |node| node.with("OPTIMUM_MAX_MSG_SIZE", "10485760")).await;
    let mut readers = readers(&nodes).await;
    for (seed, bytes) in [1, 1 << 10, 100_000, 1 << 20, 10 << 20].into_iter().enumerate() {
        assert_all_get(&mut readers, seed as u64, seed % 4, bytes).await;
    }
}

#[tokio::test]
async fn two_hundred_messages_from_all_nodes_at_once_are_delivered_once_at_each() {
    let nodes = cluster(4, |node| node).await;
    let readers = readers(&nodes).await;
    assert_all_get_from_all(&nodes, readers, 50).await;
}

#[tokio::test]
async fn the_bootstrap_is_killed_while_messages_flow_and_comes_back_with_its_identity() {
    let folder = tempfile::tempdir().expect("a folder");
    let command = || NodeCommand::new().folder(folder.path());
    let first = command().start().await;
    let (address, id) = (first.address.clone(), first.peer_id.clone());
    let port = address.split('/').nth(4).expect("/ip4/…/tcp/<port>/p2p/…").to_owned();
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(NodeCommand::new().with("BOOTSTRAP_PEERS", &address).start().await);
    }
    for node in others.iter().chain([&first]) {
        node.until_peers(3).await;
    }
    let mut readers = Vec::new();
    for node in &others {
        readers.push(Reader::subscribed(node.sidecar, TOPIC).await);
    }
    let _reader_of_the_first = Reader::subscribed(first.sidecar, TOPIC).await;
    for reader in &mut readers {
        reader.until_grafted(3).await;
    }

    let mut first = Some(first);
    let mut sent = Vec::new();
    for index in 0..30_usize {
        let message = payload(index as u64, 100_000);
        readers[index % 3].publish(TOPIC, &message).await;
        sent.push(message);
        if index == 10 {
            first.take().expect("once").kill();
        }
    }
    sent.sort();
    for reader in &mut readers {
        assert!(reader.sorted_payloads(30).await == sent, "the others miss nothing");
    }

    let neighbour = &others[0].address;
    let again =
        command().with("OPTIMUM_PORT", &port).with("BOOTSTRAP_PEERS", neighbour).start().await;
    assert_eq!(again.peer_id, id);
    again.until_peers(3).await;
    // Its folder keeps the topic, so that it may be in the mesh before there is a reader to see it.
    let mut reader = Reader::subscribed(again.sidecar, TOPIC).await;
    let begin = Instant::now();
    for index in 100..110 {
        readers[index % 3].publish(TOPIC, &payload(index as u64, 50_000)).await;
    }
    let mut expected: Vec<Bytes> = (100..110).map(|index| payload(index, 50_000)).collect();
    expected.sort();
    let mut got = reader.sorted_payloads(10).await;
    // News of messages kept from before may bring more than what was published since.
    while !expected.iter().all(|message| got.contains(message)) {
        got.push(reader.message().await.message);
    }
    println!("back again: 10 messages after {:?}", begin.elapsed());
}

#[tokio::test]
async fn readers_that_never_read_and_publishers_that_never_read_harm_nobody() {
    let nodes = cluster(3, |node| node.with("STREAM_QUEUE_BYTES", "33554432")).await;
    // Never read from here on.
    let _stuck = Reader::subscribed(nodes[1].sidecar, TOPIC).await;
    let mut readers = Vec::new();
    for node in &nodes {
        readers.push(Reader::subscribed(node.sidecar, TOPIC).await);
    }
    for (reader, node) in readers.iter_mut().zip(&nodes) {
        // The stuck reader's subscription came first at its node, so there the grafts may be over.
        if node.sidecar != nodes[1].sidecar {
            reader.until_grafted(2).await;
        }
    }
    let begin = Instant::now();
    let sidecar = nodes[0].sidecar;
    let publishing = tokio::spawn(async move {
        // Publishes without reading a single response.
        let publisher = Reader::open(sidecar).await;
        for seed in 0..100 {
            publisher.publish(TOPIC, &payload(seed, 1_000_000)).await;
        }
        publisher
    });
    let mut receiving = tokio::task::JoinSet::new();
    for mut reader in readers {
        receiving.spawn(async move { reader.sorted_payloads(100).await });
    }
    let mut sent: Vec<Bytes> = (0..100).map(|seed| payload(seed, 1_000_000)).collect();
    sent.sort();
    for got in receiving.join_all().await {
        assert!(got == sent, "everybody else got everything");
    }
    let _publisher = publishing.await.expect("the publisher was never stuck");
    println!("100 x 1 MB at 3 nodes after {:?}", begin.elapsed());
    for (number, node) in (1..).zip(&nodes) {
        let peak_mib = node.memory_kib("VmHWM") / 1024;
        println!("node {number}: at most {peak_mib} MiB");
        // Retention 256 MiB, open messages 256 MiB, publishes on their way 64 MiB, a queue of
        // 32 MiB for each reader, and what the program needs itself.
        assert!(peak_mib < 256 + 256 + 64 + 3 * 32 + 100, "node {number}: {peak_mib} MiB");
    }
}

#[tokio::test]
async fn a_node_that_is_terminated_while_messages_flow_ends_in_good_order() {
    let mut nodes = cluster(2, |node| node).await;
    let mut readers = readers(&nodes).await;
    for seed in 0..20 {
        readers[0].publish(TOPIC, &payload(seed, 200_000)).await;
    }
    readers[1].message().await;
    let (status, took) = nodes.remove(1).terminate().await;
    println!("ended after {took:?} with {status}");
    assert!(status.success(), "{status}");
}

/// Forwards TCP connections to `target`, slowly, and cuts them once after `cut_after_bytes` have
/// gone from the target to whoever connected.
async fn cutting_proxy(
    target: String,
    cut_after_bytes: usize,
) -> (std::net::SocketAddr, tokio::sync::oneshot::Receiver<()>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (cut, was_cut) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut cut = Some(cut);
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = tokio::net::TcpStream::connect(&target).await else { continue };
            let (mut near_read, mut near_write) = near.into_split();
            let (mut far_read, mut far_write) = far.into_split();
            let up = async move { tokio::io::copy(&mut near_read, &mut far_write).await };
            let cuts = cut.is_some();
            let down = async move {
                let (mut buffer, mut passed) = (vec![0; 16 << 10], 0);
                // 16 KiB each 10 ms: a message of 1 MiB takes more than half a second.
                let mut pace = tokio::time::interval(Duration::from_millis(10));
                while !cuts || passed < cut_after_bytes {
                    pace.tick().await;
                    match far_read.read(&mut buffer).await {
                        Ok(bytes @ 1..) if near_write.write_all(&buffer[..bytes]).await.is_ok() => {
                            passed += bytes;
                        }
                        _ => return false,
                    }
                }
                true
            };
            let was_cut = tokio::select! {
                _ = up => false,
                was_cut = down => was_cut,
            };
            if let (true, Some(cut)) = (was_cut, cut.take()) {
                let _gone = cut.send(());
            }
        }
    });
    (address, was_cut)
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_a_message_and_restored_delivers_it() {
    let one = NodeCommand::new().start().await;
    let parts: Vec<&str> = one.address.split('/').collect();
    let target = format!("{}:{}", parts[2], parts[4]);
    let (proxy, was_cut) = cutting_proxy(target, 400_000).await;
    let through_proxy = format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", proxy.port(), one.peer_id);
    let two = NodeCommand::new().with("BOOTSTRAP_PEERS", &through_proxy).start().await;
    two.until_peers(1).await;
    let publisher = Reader::subscribed(one.sidecar, TOPIC).await;
    let mut reader = Reader::subscribed(two.sidecar, TOPIC).await;
    reader.until_grafted(1).await;

    let sent = payload(1, 1 << 20);
    let begin = Instant::now();
    publisher.publish(TOPIC, &sent).await;
    tokio::time::timeout(e2e::LIMIT, was_cut)
        .await
        .expect("a cut in time")
        .expect("the proxy runs");
    println!("cut after {:?}", begin.elapsed());
    reader.arrival(&sent).await;
    println!("delivered after {:?}", begin.elapsed());
}
