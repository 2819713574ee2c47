//! Load on a topic, and what the proxy saw of it.

use e2e::{mump2p_process::Mump2p, node_process::cluster, proxy_process::ProxyCommand};
use serde_json::Value;

use crate::stack::nobody;

/// Waits until the tracer saw so many messages published.
async fn until_published(mump2p: &Mump2p, count: u64) {
    let asking = async {
        let arguments = ["tracer", "dashboard", "--window", "10m", "--output", "json"];
        loop {
            let printed = mump2p.run(&arguments).await.well();
            let picture: Value = serde_json::from_str(&printed).expect("JSON");
            if picture["published_messages"] == count {
                return;
            }
        }
    };
    let asked = tokio::time::timeout(e2e::LIMIT, asking).await;
    asked.unwrap_or_else(|_| panic!("the tracer does not tell of {count} messages"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_is_published_seen_and_forgotten() {
    let nodes = cluster(2, |command| command).await;
    let proxy = ProxyCommand::new(&nodes).start().await;
    let second = ProxyCommand::new(&nodes).start().await;
    proxy.until_nodes(2).await;
    second.until_nodes(2).await;
    let mump2p = Mump2p::before(&proxy);
    let load = ["tracer", "load", "--size", "1000", "--interval-ms", "1", "--topic", "loaded"];
    let printed = mump2p.run(&[&load[..], &["--count", "3"]].concat()).await.well();
    assert_eq!(printed, "load generation completed\n");
    until_published(&mump2p, 3).await;

    let of_second = Mump2p::before(&second);
    second.subscribe("somebody", "loaded", 1.0).await;
    let other = format!("http://{}", second.http);
    let both = [&load[..], &["--count", "4", "--endpoint2", &other]].concat();
    assert_eq!(mump2p.run(&both).await.well(), "load generation completed\n");
    until_published(&mump2p, 5).await;
    until_published(&of_second, 2).await;

    let printed = mump2p.run(&["tracer", "reset"]).await.well();
    assert_eq!(printed, "✅ The tracer forgot what it saw\n");
    until_published(&mump2p, 0).await;

    let absent = nobody();
    let one_away = [&load[..], &["--count", "2", "--endpoint2", &absent]].concat();
    let ended = mump2p.run(&one_away).await;
    assert!(ended.stderr.contains(&format!("message 2: cannot reach {absent}")), "{ended:?}");
    assert_eq!(ended.well(), "load generation completed, 1 of 2 not taken\n");
    let too_long = ["tracer", "load", "--count", "1", "--size", "99999999999"];
    mump2p.run(&too_long).await.refused(1, "at most");
}
