//! Servers that send elsewhere.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header::LOCATION},
};
use e2e::mump2p_process::Mump2p;

use crate::stack::{TOPIC, publish, stack};

/// What a server was asked for.
type Asked = Arc<Mutex<Vec<String>>>;

/// A server that sends every request to the same path of another.
async fn sending(status: StatusCode, base: &str) -> (String, Asked) {
    let (asked, base) = (Asked::default(), base.to_owned());
    let kept = Arc::clone(&asked);
    let answer = async move |request: Request| {
        kept.lock().expect("sound").push(format!("{} {}", request.method(), request.uri()));
        (status, [(LOCATION, format!("{base}{}", request.uri()))])
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let routes = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, asked)
}

const PUBLISH: [&str; 5] = ["publish", "--topic", TOPIC, "--message", "m"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_that_keeps_the_request_is_followed() {
    let (_nodes, proxy) = stack(1).await;
    let there = format!("http://{}", proxy.http);
    for status in [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT] {
        let (here, asked) = sending(status, &there).await;
        let mump2p = Mump2p::new(&here).nameless();
        mump2p.run(&["health"]).await.well();
        proxy.subscribe("another", TOPIC, 1.0).await;
        let message = status.to_string();
        let published = mump2p.run(&["publish", "--topic", TOPIC, "--message", &message]).await;
        assert!(published.well().contains(r#""status":"published""#));
        let asked = asked.lock().expect("sound").clone();
        assert_eq!(asked, ["GET /api/v1/health", "POST /api/v1/publish"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_that_would_lose_the_message_is_named_and_not_followed() {
    let (there, followed) = sending(StatusCode::NOT_FOUND, "http://nowhere.invalid").await;
    for status in [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::SEE_OTHER] {
        let (here, _asked) = sending(status, &there).await;
        let mump2p = Mump2p::new(&here).nameless();
        let subscribe = ["subscribe", "--topic", TOPIC];
        let direct = [&PUBLISH[..], &["--direct"]].concat();
        for command in [&PUBLISH[..], &subscribe, &direct, &["list-topics"], &["health"]] {
            let said = mump2p.run(command).await.refused(1, "is elsewhere");
            assert!(said.contains(&format!("(status {})", status.as_u16())), "{said}");
            assert!(said.contains(&format!("give that address, {there}")), "{said}");
        }
    }
    assert_eq!(*followed.lock().expect("sound"), [""; 0]);
}

#[tokio::test]
async fn a_redirect_in_a_circle_ends() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let to_itself = async |request: Request| {
        (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, request.uri().to_string())])
    };
    let routes = Router::new().fallback(to_itself);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Mump2p::new(&url).nameless().run(&PUBLISH).await.refused(1, "is elsewhere (status 307)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_sends_elsewhere_is_not_followed() {
    let (_nodes, proxy) = stack(1).await;
    let mump2p = Mump2p::before(&proxy).nameless();
    let (there, followed) = sending(StatusCode::OK, "http://nowhere.invalid").await;
    let (here, asked) = sending(StatusCode::TEMPORARY_REDIRECT, &there).await;
    let subscribe = ["subscribe", "--topic", TOPIC, "--webhook", &format!("{here}/hook")];
    let mut subscriber = mump2p.start(&subscribe);
    subscriber.line_with("Listening for messages");
    publish(&mump2p, "hello").await;
    let said = subscriber.line_with("Webhook responded with status code: 307");
    assert!(said.contains(&format!("a redirect to {there}/hook, which is not followed")), "{said}");
    subscriber.signal("-INT");
    assert_eq!(subscriber.line_with("Webhook: "), "Webhook: 0 passed on, 1 failed, 0 dropped");
    assert_eq!(subscriber.ended().await.code(), Some(0));
    assert_eq!(*asked.lock().expect("sound"), ["POST /hook"]);
    assert_eq!(*followed.lock().expect("sound"), [""; 0]);
}
