//! Payloads that are no text, and such as are as long as any.

use e2e::{
    mump2p_process::Mump2p,
    node_process::{NodeCommand, cluster, until},
    payload,
    proxy_process::ProxyCommand,
};
use serde_json::Value;

use crate::stack::{TOPIC, stack, until_delivered};

/// The longest message that a proxy takes, in bytes (docs/api.md).
const BYTES_MAX: usize = 64 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_text_arrive_as_they_are() {
    let (_nodes, proxy) = stack(2).await;
    let mump2p = Mump2p::before(&proxy).nameless();
    let mut subscribers = Vec::new();
    for (way, ready) in [
        (&[][..], "Listening for messages"),
        (&["--grpc"], "Listening for messages"),
        (&["--direct"], "Subscribed to"),
    ] {
        let subscribe = ["subscribe", "--topic", TOPIC, "--output", "json"];
        let subscriber = mump2p.start(&[&subscribe[..], way].concat());
        subscriber.line_with(ready);
        until_delivered(&mump2p, &subscriber, &[], "Published").await;
        subscribers.push((way, subscriber));
    }
    // Equal payloads would be one message.
    for (sends, last, base64) in [("--grpc", 0xfe, "/wAb/g=="), ("--direct", 0xfd, "/wAb/Q==")] {
        let file = mump2p.write("bytes", [0xff, 0x00, 0x1b, last]);
        mump2p.run(&["publish", "--topic", TOPIC, "--file", &file, sends]).await.well();
        for (way, subscriber) in &subscribers {
            let line = subscriber.line_with("message_base64");
            let message: Value = serde_json::from_str(&line).expect("a JSON object a line");
            assert_eq!(message["message_base64"], base64, "{sends} {way:?}");
        }
    }
}

/// So many bytes of text on one line.
fn text(bytes: usize) -> Vec<u8> {
    payload(1, bytes).iter().map(|byte| b'a' + byte % 26).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_64_mib_arrives_whole_and_a_longer_one_is_refused() {
    let bytes_max = BYTES_MAX.to_string();
    let with = |node: NodeCommand| node.with("OPTIMUM_MAX_MSG_SIZE", &bytes_max);
    let nodes = cluster(2, with).await;
    let proxy = ProxyCommand::new(&nodes).start().await;
    proxy.until_nodes(2).await;
    let mump2p = Mump2p::before(&proxy).nameless();
    let long = text(BYTES_MAX);
    let (file, kept) = (mump2p.write("long", &long), mump2p.file("kept"));
    let subscriber =
        mump2p.start(&["subscribe", "--topic", TOPIC, "--persist", kept.to_str().expect("UTF-8")]);
    subscriber.line_with("Listening for");
    until_delivered(&mump2p, &subscriber, &[], "Published").await;
    let publish = ["publish", "--topic", TOPIC, "--file", &file];
    let ended = mump2p.run(&publish).await;
    // A busy machine may take longer than the proxy waits for a node.
    let is_late = ended.stderr.contains("it may arrive all the same");
    assert!(ended.code == Some(0) || is_late, "{ended:?}");
    let is_whole = || {
        let kept = std::fs::read(&kept).ok()?;
        let line = kept.split(|byte| *byte == b'\n').find(|line| line.ends_with(&long[..]))?;
        line.strip_suffix(&long[..])?.ends_with(b"Z] [t] ").then_some(())
    };
    until("the message is kept whole", is_whole).await;

    let longer = mump2p.write("longer", text(BYTES_MAX + 1));
    let publish = ["publish", "--topic", TOPIC, "--file", &longer];
    for way in [&[][..], &["--grpc"]] {
        let said = mump2p.run(&[&publish[..], way].concat()).await;
        said.refused(1, "message too long: 67108865 bytes, at most 67108864 are allowed");
    }
}
