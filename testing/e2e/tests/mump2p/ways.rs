//! The ways a message goes: REST and WebSocket, gRPC, straight at nodes.

use e2e::{mump2p_process::Mump2p, node_process::NodeProcess, program_process::Program};

use crate::stack::{TOPIC, stack, until_delivered};

fn subscriber(mump2p: &Mump2p, way: &[&str]) -> Program {
    mump2p.start(&[&["subscribe", "--topic", TOPIC], way].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_in_any_way_is_received_in_any_way() {
    let (_nodes, proxy) = stack(2).await;
    let mump2p = Mump2p::before(&proxy).nameless();
    for (way, ready) in [
        (&["--threshold", "0.5"][..], "Listening for messages"),
        (&["--grpc"], "Listening for messages"),
        (&["--direct"], "Subscribed to 't' on "),
    ] {
        let mut subscriber = subscriber(&mump2p, way);
        subscriber.line_with(ready);
        until_delivered(&mump2p, &subscriber, &[], "✅ Published via HTTP inline message").await;
        until_delivered(&mump2p, &subscriber, &["--grpc"], "✅ Published via gRPC").await;
        until_delivered(&mump2p, &subscriber, &["--direct"], "Published to 127.0.0.1:").await;
        subscriber.signal("-INT");
        assert_eq!(subscriber.ended().await.code(), Some(0), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_subscriber_goes_on_at_another_node_when_its_own_dies() {
    let (mut nodes, proxy) = stack(2).await;
    let mump2p = Mump2p::before(&proxy).nameless();
    let subscriber = subscriber(&mump2p, &["--expose-amount", "2"]);
    let line = subscriber.line_with("Subscribed to");
    let address = |node: &NodeProcess| line.contains(&format!(" on {} ", node.sidecar));
    let place = nodes.iter().position(address).expect("one of ours");
    nodes.remove(place).kill();
    let again = subscriber.line_with("Subscribed to");
    assert!(again.contains(&nodes[0].sidecar.to_string()), "{again}");
    until_delivered(&mump2p, &subscriber, &["--direct"], "Published to").await;
}
