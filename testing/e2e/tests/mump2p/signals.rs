//! Ctrl-C and SIGTERM while a command waits.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, process::Command};

use e2e::{LIMIT, mump2p_process::Mump2p, node_process::until};
use serde_json::json;
use servers::issuer::{Key, with};
use tokio::{net::TcpListener, time::timeout};

use crate::stack::{TOPIC, nobody};

/// The signals with the exit codes that shells know them by.
const SIGNALS: [(&str, i32); 2] = [("-INT", 130), ("-TERM", 143)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_every_command_that_waits_for_a_server() {
    let publish = ["publish", "--topic", TOPIC, "--message", "m"];
    let subscribe = ["subscribe", "--topic", TOPIC];
    for (command, way) in [
        (&publish[..], None),
        (&publish, Some("--grpc")),
        (&publish, Some("--direct")),
        (&subscribe, None),
        (&subscribe, Some("--grpc")),
        (&subscribe, Some("--direct")),
        (&["list-topics"], None),
        (&["health"], None),
        (&["login"], None),
        (&["tracer", "load"], None),
        (&["dashboard", "--nodes"], Some("URL")),
    ] {
        for (signal, code) in SIGNALS {
            // One of its own for each run: some connect more than once.
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let (mump2p, url) = before(&listener);
            let way = way.map(|way| if way == "URL" { &url } else { way });
            let arguments = [command, way.as_slice()].concat();
            let mut waiting = mump2p.start(&arguments);
            let accepted = timeout(LIMIT, listener.accept()).await;
            let accepted = accepted.unwrap_or_else(|_| panic!("{arguments:?} asks nobody"));
            // Open, and without an answer, to the end.
            let _silent = accepted.expect("accepted");
            waiting.signal(signal);
            assert_eq!(waiting.ended().await.code(), Some(code), "{arguments:?} {signal}");
            let said = waiting.rest();
            assert!(!said.iter().any(|line| line.contains("rror")), "{arguments:?}: {said:?}");
        }
    }
}

/// One to whom this listener is proxy, node and issuer; and its URL.
fn before(listener: &TcpListener) -> (Mump2p, String) {
    let address = listener.local_addr().expect("bound").to_string();
    let url = format!("http://{address}");
    let mump2p = Mump2p::new(&url)
        .nameless()
        .with("MUMP2P_GRPC_ADDRESS", &address)
        .with("MUMP2P_AUTH_DOMAIN", &url)
        .with("MUMP2P_AUTH_CLIENT_ID", "cli")
        .with("MUMP2P_AUTH_AUDIENCE", "proxies");
    (mump2p, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_a_publish_that_waits_for_its_file() {
    let mump2p = Mump2p::new(&nobody()).nameless();
    let pipe = mump2p.file("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let path = pipe.to_str().expect("UTF-8");
    for (signal, code) in SIGNALS {
        let mut waiting = mump2p.start(&["publish", "--topic", TOPIC, "--file", path]);
        // Refused until somebody reads; then that reads on until it is closed.
        let without_waiting = 0o4000;
        let open = || OpenOptions::new().write(true).custom_flags(without_waiting).open(&pipe).ok();
        let _writer = until("the file is read", open).await;
        waiting.signal(signal);
        assert_eq!(waiting.ended().await.code(), Some(code));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_a_publish_that_waits_to_be_counted() {
    let mump2p = Mump2p::new(&nobody());
    let token = Key::new("k").token(&with("max_publish_per_hour", json!(5)));
    mump2p.write(".mump2p/auth.yml", format!("token: {token}\nexpires_at: 2999-01-02T03:04:05Z\n"));
    let lock = std::path::PathBuf::from(mump2p.write(".mump2p/auth0|u1_usage.lock", ""));
    let held = std::fs::File::open(&lock).expect("readable");
    held.lock().expect("free");
    for (signal, code) in SIGNALS {
        let mut waiting = mump2p.start(&["publish", "--topic", TOPIC, "--message", "m"]);
        // It has the file open while it tries to lock it.
        let folder = format!("/proc/{}/fd", waiting.id());
        let opened = || {
            let files = std::fs::read_dir(&folder).ok()?.flatten();
            let mut places = files.filter_map(|file| std::fs::read_link(file.path()).ok());
            places.any(|place| place == lock).then_some(())
        };
        until("it waits for the lock", opened).await;
        waiting.signal(signal);
        assert_eq!(waiting.ended().await.code(), Some(code));
    }
    drop(held);
    let usage = mump2p.run(&["usage"]).await.well();
    assert!(usage.starts_with("Published:       0 of 5/hour, "), "{usage}");
}
