//! The forms of answers: text, JSON and YAML.

use std::collections::BTreeSet;

use e2e::mump2p_process::{CLIENT, Mump2p};
use serde_json::{Value, json};
use servers::issuer::{Key, claims};

use crate::stack::{TOPIC, nobody, stack};

/// What a command answers in JSON and in YAML, which must have the same keys.
async fn answer(mump2p: &Mump2p, command: &str) -> Value {
    let printed = mump2p.run(&[command, "--output", "json"]).await.well();
    assert!(printed.starts_with("{\n  \"") && printed.ends_with("}\n"), "{printed}");
    let json: Value = serde_json::from_str(&printed).expect("JSON");
    let printed = mump2p.run(&[command, "--output=yaml"]).await.well();
    let yaml: Value = yaml_serde::from_str(&printed).expect("YAML");
    assert_eq!(keys(&json), keys(&yaml), "{command}");
    json
}

fn keys(answer: &Value) -> BTreeSet<&str> {
    answer.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[track_caller]
fn assert_keys(answer: &Value, expected: &[&str]) {
    assert_eq!(keys(answer), expected.iter().copied().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_proxy_says_is_answered_in_three_forms() {
    let (_nodes, proxy) = stack(1).await;
    proxy.subscribe(CLIENT, TOPIC, 1.0).await;
    let mump2p = Mump2p::before(&proxy).nameless();

    let topics = answer(&mump2p, "list-topics").await;
    assert_eq!((&topics["client_id"], &topics["topics"]), (&json!(CLIENT), &json!([TOPIC])));
    let printed = mump2p.run(&["list-topics"]).await.well();
    assert_eq!(printed, "Client c has 1 topics\n  t\n");

    let health = answer(&mump2p, "health").await;
    let of_the_proxy: Value =
        serde_json::from_str(&proxy.get("/api/v1/health").await.1).expect("JSON");
    assert_eq!(keys(&health), keys(&of_the_proxy));
    let printed = mump2p.run(&["health"]).await.well();
    assert!(
        printed.starts_with(&format!("Proxy:    http://{}\nStatus:   ok\n", proxy.http)),
        "{printed}"
    );

    let published = ["publish", "--topic", TOPIC, "--message", "m", "--output"];
    let json = mump2p.run(&[&published[..], &["json"]].concat()).await.well();
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["status"], &json["topic"]), (&json!("published"), &json!(TOPIC)));
    let yaml = mump2p.run(&[&published[..], &["yaml", "--grpc"]].concat()).await.well();
    let yaml: Value = yaml_serde::from_str(&yaml).expect("YAML");
    assert_eq!(yaml["status"], "published");
    mump2p.run(&[&published[..], &["xml"]].concat()).await.refused(2, "json");
}

#[tokio::test]
async fn what_this_machine_knows_is_answered_in_three_forms_without_a_proxy() {
    let mump2p = Mump2p::new(&nobody());
    let token = Key::new("k").token(&claims());
    mump2p.write(".mump2p/auth.yml", format!("token: {token}\nexpires_at: 2999-01-02T03:04:05Z\n"));

    let version = answer(&mump2p, "version").await;
    assert_keys(&version, &["commit_hash", "version"]);
    let printed = mump2p.run(&["version"]).await.well();
    let [commit, version] =
        ["commit_hash", "version"].map(|key| version[key].as_str().expect("text"));
    assert_eq!(printed, format!("Version: {version}\nCommit:  {commit}\n"));

    let who = answer(&mump2p, "whoami").await;
    assert_keys(
        &who,
        &[
            "client_id",
            "expires",
            "valid_for",
            "is_active",
            "is_expired",
            "auth_mode",
            "rate_limits",
        ],
    );
    let limits = ["publish_per_hour", "publish_per_sec", "max_message_size_mb", "daily_quota_mb"];
    assert_keys(&who["rate_limits"], &limits);
    let printed = mump2p.run(&["whoami"]).await.well();
    assert!(printed.starts_with("Client ID:  auth0|u1\nExpires:    2999-01-02T03:04:05Z\n"));

    let usage = answer(&mump2p, "usage").await;
    assert_keys(
        &usage,
        &[
            "publish_count",
            "publish_limit_per_hour",
            "second_publish_count",
            "publish_limit_per_sec",
            "bytes_published_mb",
            "daily_quota_mb",
            "next_reset",
            "time_until_reset",
            "last_publish_time",
            "last_subscribe_time",
        ],
    );
    assert_eq!(
        (&usage["publish_count"], &usage["last_publish_time"]),
        (&json!(0), &json!("never"))
    );
}

#[tokio::test]
async fn usage_without_a_login_leaves_nothing_behind() {
    for mump2p in [Mump2p::new(&nobody()), Mump2p::new(&nobody()).nameless()] {
        let ended = mump2p.run(&["usage"]).await;
        assert!(ended.stderr.contains("nobody is logged in"), "{ended:?}");
        assert!(ended.well().starts_with("Published:       0 of "));
        assert!(!mump2p.folder().exists());
    }
}
