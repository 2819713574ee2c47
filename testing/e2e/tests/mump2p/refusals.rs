//! What cannot be done, and what is said of it.

use e2e::mump2p_process::Mump2p;

use crate::stack::{TOPIC, nobody, stack};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_with_an_exit_code() {
    let (_nodes, proxy) = stack(1).await;
    let mump2p = Mump2p::before(&proxy).nameless();
    let file = mump2p.write("bytes", [0xff, 0xfe]);
    let empty = mump2p.write("empty", "");
    for (arguments, code, says) in [
        (&["publish", "--topic", TOPIC][..], 2, "either --message or --file must be provided"),
        (&["publish", "--topic", TOPIC, "--message", "a"], 1, "topic not assigned"),
        (&["publish", "--topic", TOPIC, "--file", &file], 1, "no UTF-8 text"),
        (&["publish", "--topic", TOPIC, "--file", &empty], 1, "it is empty"),
        (&["publish", "--topic", TOPIC, "--file", "/no/file"], 1, "failed to read file: /no/file"),
        (&["health", "--service-url", "localhost:8081"], 2, "for example"),
        (&["subscribe", "--topic", TOPIC, "--direct", "--threshold", "1"], 2, "--threshold"),
        (&["subscribe", "--topic", TOPIC, "--persist", "/proc/no/x"], 1, "/proc/no/x"),
        (&["subscribe", "--topic", ""], 2, "--topic is empty"),
        (&["login"], 4, "MUMP2P_AUTH_DOMAIN"),
        (&["tracer", "load", "--size", "0"], 2, "--size"),
    ] {
        mump2p.run(arguments).await.refused(code, says);
    }
    let unnamed = Mump2p::before(&proxy).with("MUMP2P_DISABLE_AUTH", "true");
    let list = unnamed.run(&["list-topics"]).await;
    list.refused(2, "--client-id is required when using --disable-auth");
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_is_named_with_what_to_check() {
    let (rest, grpc) = (nobody(), nobody());
    let grpc_address = grpc.trim_start_matches("http://");
    let mump2p = Mump2p::new(&rest).nameless().with("MUMP2P_GRPC_ADDRESS", grpc_address);
    let publish = ["publish", "--topic", TOPIC, "--message", "m"];
    let subscribe = ["subscribe", "--topic", TOPIC];
    for (command, way, address) in [
        (&publish[..], &[][..], &rest),
        (&publish, &["--grpc"], &grpc),
        (&publish, &["--direct"], &rest),
        (&subscribe, &[], &rest),
        (&subscribe, &["--grpc"], &grpc),
        (&subscribe, &["--direct"], &rest),
        (&["list-topics"], &[], &rest),
        (&["health"], &[], &rest),
        (&["tracer", "load"], &[], &rest),
        (&["tracer", "reset"], &[], &rest),
        (&["tracer", "dashboard"], &["--output", "json"], &rest),
    ] {
        let ended = mump2p.run(&[command, way].concat()).await;
        let said = ended.refused(1, &format!("cannot reach {address}"));
        let check = said.lines().find(|line| line.starts_with("  check: "));
        let check = check.unwrap_or_else(|| panic!("{command:?} says what to check: {said}"));
        let variable = if address == &grpc { "MUMP2P_GRPC_ADDRESS" } else { "MUMP2P_SERVICE_URL" };
        assert!(check.contains(variable), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_says_does_not_steer_the_terminal() {
    let answer = async || (axum::http::StatusCode::BAD_REQUEST, "\u{1b}]0;owned\u{7}\u{9b}2J no");
    let routes = axum::Router::new().fallback(answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let mump2p = Mump2p::new(&url).nameless();
    for command in [
        &["health"][..],
        &["list-topics"],
        &["publish", "--topic", TOPIC, "--message", "m"],
        &["subscribe", "--topic", TOPIC],
        &["tracer", "reset"],
    ] {
        let said = mump2p.run(command).await.refused(1, "]0;owned");
        assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
    }
}
