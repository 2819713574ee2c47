//! Messages pass between p2pnode in mode gossipsub and peers written by others, both ways.

use bytes::Bytes;
use e2e::{node_process::NodeCommand, payload, reader::Reader};
use gossip::message_id;
use interop::Peer;
use tokio::process::Command;

const TOPIC: &str = "interop";
const SIZES: [usize; 2] = [1 << 10, 1 << 20];

/// Both sides say that the other is in their mesh before a message is sent.
async fn messages_pass_both_ways(command: Command, node_dials: bool) {
    let mut peer = Peer::start(command, TOPIC);
    let address = peer.until_said("listening").await;
    let mut node = NodeCommand::new().with("NODE_MODE", "gossipsub");
    if node_dials {
        node = node.with("BOOTSTRAP_PEERS", &address);
    }
    let node = node.start().await;
    let mut reader = Reader::subscribed(node.sidecar, TOPIC).await;
    if !node_dials {
        peer.tell(&format!("dial {}", node.address)).await;
    }
    reader.until_grafted(1).await;
    peer.until_said(&format!("graft {}", node.peer_id)).await;
    for (seed, bytes) in SIZES.into_iter().enumerate() {
        peer.tell(&format!("publish {seed} {bytes}")).await;
        let published = peer.until_said("published").await;
        let delivery = reader.message().await;
        assert_eq!(delivery.message, Bytes::from(vec![seed as u8; bytes]));
        assert_eq!(delivery.message_id, published);

        let ours = payload(seed as u64, bytes);
        reader.publish(TOPIC, &ours).await;
        peer.until_said(&format!("message {}", message_id(&ours))).await;
        assert_eq!(reader.message().await.message, ours, "the node's own subscribers have it too");
    }
}

#[tokio::test]
#[ignore = "needs the peer by go-libp2p; make interop"]
async fn messages_pass_to_and_from_go_libp2p_that_the_node_dialled() {
    messages_pass_both_ways(interop::go(), true).await;
}

#[tokio::test]
#[ignore = "needs the peer by go-libp2p; make interop"]
async fn messages_pass_to_and_from_go_libp2p_that_dialled_the_node() {
    messages_pass_both_ways(interop::go(), false).await;
}

#[tokio::test]
#[ignore = "needs the peer by js-libp2p; make interop"]
async fn messages_pass_to_and_from_js_libp2p_that_the_node_dialled() {
    messages_pass_both_ways(interop::js(), true).await;
}

#[tokio::test]
#[ignore = "needs the peer by js-libp2p; make interop"]
async fn messages_pass_to_and_from_js_libp2p_that_dialled_the_node() {
    messages_pass_both_ways(interop::js(), false).await;
}
