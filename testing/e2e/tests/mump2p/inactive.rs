//! An account that is not active.

use e2e::mump2p_process::Mump2p;
use serde_json::{Value, json};
use servers::issuer::{Key, with};

use crate::stack::{TOPIC, nobody};

const INACTIVE: &str = "your account is inactive, please contact support";

#[tokio::test]
async fn an_inactive_account_is_told_before_anything_is_sent_and_may_still_look() {
    let url = nobody();
    let mump2p = Mump2p::new(&url);
    let token = Key::new("k").token(&with("is_active", json!(false)));
    mump2p.write(".mump2p/auth.yml", format!("token: {token}\nexpires_at: 2999-01-02T03:04:05Z\n"));
    let publish = ["publish", "--topic", TOPIC, "--message", "m"];
    let subscribe = ["subscribe", "--topic", TOPIC];
    for (command, way) in [
        (&publish[..], "--grpc"),
        (&publish, "--direct"),
        (&publish, "--output=json"),
        (&subscribe, "--grpc"),
        (&subscribe, "--direct"),
        (&subscribe, "--output=json"),
        (&["list-topics"], "--output=json"),
        (&["tracer", "load"], "--output=json"),
        (&["tracer", "reset"], "--output=json"),
    ] {
        let said = mump2p.run(&[command, &[way]].concat()).await.refused(1, INACTIVE);
        assert_eq!(said, format!("Error: {INACTIVE}\n"), "nothing else was tried");
    }
    let counters = std::fs::read_dir(mump2p.folder()).expect("a folder").count();
    assert_eq!(counters, 1, "nothing was counted: the login alone is there");

    mump2p.run(&["health"]).await.refused(1, &format!("cannot reach {url}"));
    let who: Value =
        serde_json::from_str(&mump2p.run(&["whoami", "--output", "json"]).await.well())
            .expect("JSON");
    assert_eq!((&who["client_id"], &who["is_active"]), (&json!("auth0|u1"), &json!(false)));
    mump2p.run(&["logout"]).await.well();
}
