//! Limits of a login, kept on this machine before a proxy is asked.

use e2e::mump2p_process::Mump2p;
use serde_json::{Value, json};
use servers::issuer::{Key, with};

use crate::stack::{TOPIC, nobody, stack};

/// Writes a login whose token has one limit, and next to none within a second.
fn limited(mump2p: &Mump2p, limit: &str, value: u64) {
    let mut claims = with("max_publish_per_sec", json!(1000));
    claims[limit] = json!(value);
    let token = Key::new("k").token(&claims);
    mump2p.write(".mump2p/auth.yml", format!("token: {token}\nexpires_at: 2999-01-02T03:04:05Z\n"));
}

const PUBLISH: [&str; 4] = ["publish", "--topic", TOPIC, "--message"];

#[tokio::test]
async fn a_message_above_the_limit_is_refused_before_anybody_is_asked() {
    // Nobody answers there, so what is refused was not sent.
    let mump2p = Mump2p::new(&nobody());
    limited(&mump2p, "max_message_size", 10);
    for way in [&[][..], &["--grpc"], &["--direct"]] {
        let arguments = [&PUBLISH[..], &["longer than ten"], way].concat();
        let said =
            mump2p.run(&arguments).await.refused(1, "message size exceeds limit of 10 bytes");
        assert!(!said.contains("cannot reach"), "{said}");
        let arguments = [&PUBLISH[..], &["short"], way].concat();
        mump2p.run(&arguments).await.refused(1, "cannot reach");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_is_counted_and_what_goes_beyond_is_refused() {
    let (_nodes, proxy) = stack(1).await;
    let mump2p = Mump2p::before(&proxy);
    limited(&mump2p, "max_publish_per_hour", 2);
    proxy.subscribe("auth0|u1", TOPIC, 1.0).await;
    for way in [&[][..], &["--grpc"]] {
        mump2p.run(&[&PUBLISH[..], &["12345"], way].concat()).await.well();
    }
    let said = mump2p.run(&[&PUBLISH[..], &["third"]].concat()).await;
    let said = said.refused(1, "per-hour limit reached (2/hour), resets in 23h");
    assert_eq!(said.lines().count(), 1, "{said}");

    let usage = mump2p.run(&["usage", "--output", "json"]).await.well();
    let usage: Value = serde_json::from_str(&usage).expect("JSON");
    assert_eq!((&usage["publish_count"], &usage["publish_limit_per_hour"]), (&json!(2), &json!(2)));
    let printed = mump2p.run(&["usage"]).await.well();
    assert!(printed.starts_with("Published:       2 of 2/hour, "), "{printed}");

    limited(&mump2p, "daily_quota", 14);
    let said = mump2p.run(&[&PUBLISH[..], &["12345"]].concat()).await;
    said.refused(1, "daily quota exceeded (15/14 bytes), resets in 23h");
    mump2p.run(&[&PUBLISH[..], &["1234"]].concat()).await.well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_published_is_not_counted() {
    let mump2p = Mump2p::new(&nobody());
    limited(&mump2p, "max_publish_per_hour", 1);
    for _ in 0..2 {
        mump2p.run(&[&PUBLISH[..], &["m"]].concat()).await.refused(1, "cannot reach");
    }
    let printed = mump2p.run(&["usage"]).await.well();
    assert!(printed.starts_with("Published:       0 of 1/hour, "), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_count_at_once_lose_nothing_and_let_nothing_through() {
    let (_nodes, proxy) = stack(1).await;
    let mump2p = Mump2p::before(&proxy);
    limited(&mump2p, "max_publish_per_hour", 5);
    proxy.subscribe("auth0|u1", TOPIC, 1.0).await;
    let messages: Vec<String> = (0..8).map(|number| format!("message {number}")).collect();
    let runs =
        messages.iter().map(async |message| mump2p.run(&[&PUBLISH[..], &[message]].concat()).await);
    let (published, refused): (Vec<_>, Vec<_>) =
        futures::future::join_all(runs).await.into_iter().partition(|ended| ended.code == Some(0));
    assert_eq!((published.len(), refused.len()), (5, 3), "{refused:?}");
    for ended in refused {
        ended.refused(1, "per-hour limit reached (5/hour)");
    }
    let usage = mump2p.run(&["usage", "--output", "json"]).await.well();
    let usage: Value = serde_json::from_str(&usage).expect("JSON");
    let megabytes = (5 * messages[0].len()) as f64 / f64::from(1 << 20);
    assert_eq!(
        (&usage["publish_count"], &usage["bytes_published_mb"]),
        (&json!(5), &json!(megabytes))
    );
}
