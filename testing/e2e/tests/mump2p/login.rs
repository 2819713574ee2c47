//! Logging in, and what becomes of a login.

use std::os::unix::fs::PermissionsExt as _;

use e2e::{
    mump2p_process::Mump2p,
    node_process::cluster,
    proxy_process::{ProxyCommand, ProxyProcess},
};
use serde_json::{Value, json};
use servers::{
    device_flow::{LoginServer, Poll, USER_CODE},
    issuer::{AUDIENCE, ISSUER, claims},
};

use crate::stack::nobody;

/// What this program is called at the issuer.
const PROGRAM: &str = "cli";

/// A proxy that lets in whom this issuer knows.
async fn guarded(issuer: &LoginServer) -> ProxyProcess {
    let nodes = cluster(1, |command| command).await;
    let proxy = ProxyCommand::new(&nodes)
        .with("ENABLE_AUTH", "true")
        .with("JWKS_URL", &issuer.jwks_url())
        .with("JWT_ISSUER", ISSUER)
        .with("AUTH0_AUDIENCE", AUDIENCE);
    proxy.start().await
}

/// mump2p that knows the issuer.
fn knowing(issuer: &str, service_url: &str) -> Mump2p {
    Mump2p::new(service_url)
        .with("MUMP2P_AUTH_DOMAIN", issuer)
        .with("MUMP2P_AUTH_CLIENT_ID", PROGRAM)
        .with("MUMP2P_AUTH_AUDIENCE", AUDIENCE)
}

/// Writes a login that ended long ago.
fn expired(mump2p: &Mump2p, issuer: &LoginServer, refresh_token: Option<&str>) {
    let token = issuer.token(&claims());
    let refresh = refresh_token.map(|token| format!("refresh_token: {token}\n"));
    let refresh = refresh.unwrap_or_default();
    let login = format!("token: {token}\n{refresh}expires_at: 2026-01-02T03:04:05Z\n");
    mump2p.write(".mump2p/auth.yml", login);
}

fn kept(mump2p: &Mump2p) -> String {
    std::fs::read_to_string(mump2p.folder().join("auth.yml")).expect("a login")
}

async fn json_of(mump2p: &Mump2p, command: &str) -> Value {
    let printed = mump2p.run(&[command, "--output", "json"]).await.well();
    serde_json::from_str(&printed).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_confirmed_used_renewed_and_forgotten() {
    let issuer = LoginServer::start().await;
    let proxy = guarded(&issuer).await;
    let mump2p = knowing(issuer.url(), &format!("http://{}", proxy.http));
    mump2p.run(&["list-topics"]).await.refused(4, "mump2p login");
    mump2p.run(&["refresh"]).await.refused(4, "nobody is logged in");

    issuer.will_say(&[Poll::Pending, Poll::SlowDown, Poll::Confirmed], 600);
    let printed = mump2p.run(&["login"]).await.well();
    let page = format!("https://issuer.example/activate?user_code={USER_CODE}");
    assert!(printed.contains(&page), "{printed}");
    assert!(printed.contains(&format!("confirm the code: {USER_CODE}")), "{printed}");
    assert!(printed.contains("✅ Logged in as auth0|u1 until "), "{printed}");
    let asked = issuer.asked();
    assert_eq!(asked.len(), 4, "a code, and three times for its tokens: {asked:?}");
    assert_eq!(
        (&asked[0]["client_id"], &asked[0]["audience"]),
        (&json!(PROGRAM), &json!(AUDIENCE))
    );
    let mode = |path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let folder = mump2p.folder();
    assert_eq!((mode(folder.join("auth.yml")), mode(folder)), (0o600, 0o700));

    let who = json_of(&mump2p, "whoami").await;
    assert_eq!((&who["client_id"], &who["is_expired"]), (&json!("auth0|u1"), &json!(false)));
    let topics = json_of(&mump2p, "list-topics").await;
    assert_eq!(topics["client_id"], "auth0|u1", "the proxy took the token");

    let before = issuer.refresh_token();
    assert!(kept(&mump2p).contains(&before));
    let printed = mump2p.run(&["refresh"]).await.well();
    assert!(printed.starts_with("✅ Token refreshed, it holds until "), "{printed}");
    assert_ne!(issuer.refresh_token(), before);
    assert!(kept(&mump2p).contains(&issuer.refresh_token()));

    assert_eq!(mump2p.run(&["logout"]).await.well(), "✅ Logged out\n");
    assert!(!mump2p.folder().join("auth.yml").exists());
    assert_eq!(mump2p.run(&["logout"]).await.well(), "Nobody was logged in\n");
    mump2p.run(&["whoami"]).await.refused(4, "nobody is logged in: run mump2p login");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_login_is_renewed_where_it_can_be() {
    let issuer = LoginServer::start().await;
    let proxy = guarded(&issuer).await;
    let mump2p = knowing(issuer.url(), &format!("http://{}", proxy.http));
    expired(&mump2p, &issuer, Some(&issuer.refresh_token()));
    assert_eq!(json_of(&mump2p, "whoami").await["is_expired"], true);
    mump2p.run(&["list-topics"]).await.well();
    assert_eq!(json_of(&mump2p, "whoami").await["is_expired"], false);
    assert!(kept(&mump2p).contains(&issuer.refresh_token()));
    assert_eq!(issuer.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_login_that_cannot_be_renewed_says_so_and_what_to_do() {
    let issuer = LoginServer::start().await;
    let proxy = guarded(&issuer).await;
    let mump2p = knowing(issuer.url(), &format!("http://{}", proxy.http));
    let ended = "the login expired at 2026-01-02T03:04:05Z";
    for refresh_token in [None, Some("of-another-time")] {
        expired(&mump2p, &issuer, refresh_token);
        for command in [
            &["list-topics"][..],
            &["publish", "--topic", "t", "--message", "m"],
            &["subscribe", "--topic", "t"],
            &["subscribe", "--topic", "t", "--direct"],
        ] {
            let said = mump2p.run(command).await.refused(4, ended);
            assert!(said.contains("log in again: mump2p login"), "{said}");
        }
        mump2p.run(&["refresh"]).await.refused(4, "mump2p login");
        let health = mump2p.run(&["health"]).await;
        assert!(health.stderr.contains(ended), "health needs no login: {health:?}");
        health.well();
        let printed = mump2p.run(&["whoami"]).await.well();
        assert!(printed.contains("(expired: run mump2p refresh or mump2p login)"), "{printed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_is_refused_or_not_confirmed_in_time_leaves_no_login() {
    let issuer = LoginServer::start().await;
    let mump2p = knowing(issuer.url(), &nobody());
    for (said, code_seconds, told) in [
        (Poll::Denied, 600, "the login was refused in the browser"),
        (Poll::Expired, 600, "nobody confirmed the code in time: run mump2p login again"),
        (Poll::Pending, 2, "nobody confirmed the code in time: run mump2p login again"),
    ] {
        issuer.will_say(&[said], code_seconds);
        mump2p.run(&["login"]).await.refused(4, told);
        assert!(!mump2p.folder().exists(), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_waiting_is_not_logged_in() {
    let issuer = LoginServer::start().await;
    issuer.will_say(&[Poll::Pending], 600);
    let mump2p = knowing(issuer.url(), &nobody());
    let mut waiting = mump2p.start(&["login"]);
    waiting.line_with("Waiting for confirmation... Press Ctrl+C to give up");
    waiting.signal("-INT");
    assert_eq!(waiting.ended().await.code(), Some(130));
    assert!(!mump2p.folder().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_that_does_not_answer_or_is_none_is_named() {
    let (issuer, service) = (nobody(), nobody());
    let mump2p = knowing(&issuer, &service);
    let said = mump2p.run(&["login"]).await.refused(1, &format!("cannot reach {issuer}/oauth/"));
    assert!(said.contains("check: ") && said.contains("MUMP2P_AUTH_DOMAIN"), "{said}");

    let proxy = guarded(&LoginServer::start().await).await;
    let no_issuer = knowing(&format!("http://{}", proxy.http), &service);
    no_issuer.run(&["login"]).await.refused(1, "the issuer gives no code");

    let unknown = Mump2p::new(&service).with("MUMP2P_AUTH_DOMAIN", &issuer);
    unknown.run(&["login"]).await.refused(4, "set MUMP2P_AUTH_CLIENT_ID");
}
