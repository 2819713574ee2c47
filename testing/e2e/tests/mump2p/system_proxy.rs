//! The HTTP proxy that the system's variables name.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::Request};
use e2e::mump2p_process::Mump2p;
use tokio::net::TcpListener;

use crate::stack::{nobody, stack};

/// An HTTP proxy that answers everything itself, and what it was asked for.
async fn http_proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let answer = async move |request: Request| {
        kept.lock().expect("sound").push(format!("{} {}", request.method(), request.uri()));
        r#"{"status":"ok"}"#
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let routes = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_of_this_machine_are_never_asked_through_it() {
    let (_nodes, proxy) = stack(1).await;
    let port = proxy.http.port();
    let dead = nobody();
    for host in ["127.0.0.1", "localhost", "LOCALHOST"] {
        let url = format!("http://{host}:{port}");
        let mump2p = Mump2p::new(&url).nameless();
        let mump2p = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"]
            .into_iter()
            .fold(mump2p, |mump2p, variable| mump2p.with(variable, &dead));
        mump2p.run(&["health"]).await.well();
        mump2p.run(&["dashboard", "--proxies", &url]).await.well();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_elsewhere_are_asked_through_it_unless_they_are_excepted() {
    let (http_proxy, asked) = http_proxy().await;
    // A name that no resolver knows: only an HTTP proxy can answer for it.
    let mump2p = Mump2p::new("http://proxy.invalid:8081").nameless();
    let mump2p = mump2p.with("http_proxy", &http_proxy);
    let printed = mump2p.run(&["health"]).await.well();
    assert!(
        printed.starts_with("Proxy:    http://proxy.invalid:8081\nStatus:   ok\n"),
        "{printed}"
    );
    let health = "GET http://proxy.invalid:8081/api/v1/health";
    assert_eq!(*asked.lock().expect("sound"), [health]);
    mump2p.run(&["dashboard", "--nodes", "http://node.invalid:9090"]).await.well();
    let asked_for = asked.lock().expect("sound").clone();
    assert!(
        asked_for.iter().any(|line| line.contains("http://node.invalid:9090/")),
        "{asked_for:?}"
    );

    let excepted = mump2p.with("NO_PROXY", "proxy.invalid");
    excepted.run(&["health"]).await.refused(1, "cannot reach http://proxy.invalid:8081");
    assert_eq!(asked.lock().expect("sound").len(), asked_for.len());
}
