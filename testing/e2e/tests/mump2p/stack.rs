//! What the command line is run against.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use e2e::{
    LIMIT,
    mump2p_process::Mump2p,
    node_process::{NodeProcess, cluster},
    program_process::Program,
    proxy_process::{ProxyCommand, ProxyProcess},
};

/// The topic of most tests.
pub(crate) const TOPIC: &str = "t";

/// So many nodes and a proxy.
pub(crate) async fn stack(nodes: usize) -> (Vec<NodeProcess>, ProxyProcess) {
    let nodes = cluster(nodes, |command| command).await;
    let proxy = ProxyCommand::new(&nodes).start().await;
    proxy.until_nodes(nodes.len()).await;
    (nodes, proxy)
}

/// Publishes until the subscriber prints it: the mesh of a topic forms within some heartbeats.
pub(crate) async fn until_delivered(
    mump2p: &Mump2p,
    subscriber: &Program,
    way: &[&str],
    says: &str,
) {
    let begin = Instant::now();
    for number in 0.. {
        let message = format!("hello {number} by {way:?}");
        let arguments = ["publish", "--topic", TOPIC, "--message", &message];
        let printed = mump2p.run(&[&arguments, way].concat()).await.well();
        assert!(printed.contains(says), "{printed}");
        // Time for this one to arrive before the next goes; one that arrives later is seen then.
        tokio::time::sleep(Duration::from_millis(200)).await;
        if subscriber.has_printed("hello ") {
            return;
        }
        assert!(begin.elapsed() < LIMIT, "nothing is delivered");
    }
}

/// Publishes a message of [`TOPIC`].
pub(crate) async fn publish(mump2p: &Mump2p, message: &str) {
    mump2p.run(&["publish", "--topic", TOPIC, "--message", message]).await.well();
}

/// Returns a URL where nobody listens.
pub(crate) fn nobody() -> String {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr());
    format!("http://{}", free.expect("a free port"))
}
