//! Messages passed on to webhooks, and kept in files.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
};

use axum::{Router, http::HeaderMap, http::StatusCode, routing::post};
use e2e::{
    mump2p_process::{CLIENT, Mump2p},
    node_process::until,
    program_process::Program,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::stack::{TOPIC, publish, stack, until_delivered};

/// What was posted: the type it was said to be, and the body.
type Posted = Arc<Mutex<Vec<(Option<String>, String)>>>;

/// A server that is posted to.
struct Hook {
    address: SocketAddr,
    posted: Posted,
    status: Arc<AtomicU16>,
    server: JoinHandle<()>,
}

impl Hook {
    async fn start() -> Self {
        let posted = Posted::default();
        let status = Arc::new(AtomicU16::new(200));
        let (keeps, says) = (Arc::clone(&posted), Arc::clone(&status));
        let answer = async move |headers: HeaderMap, body: String| {
            let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok());
            keeps.lock().expect("sound").push((kind.map(str::to_owned), body));
            let status = StatusCode::from_u16(says.load(Ordering::SeqCst)).expect("a status");
            // So that nothing is left of a server that is gone.
            (status, [("connection", "close")])
        };
        let routes = Router::new().route("/hook", post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move {
            axum::serve(listener, routes).await.expect("it serves until it is aborted");
        });
        Self { address, posted, status, server }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Waits for a body that contains `text`.
    async fn until_posted(&self, text: &str) -> (Option<String>, String) {
        let posted = || {
            let posted = self.posted.lock().expect("sound");
            posted.iter().find(|(_, body)| body.contains(text)).cloned()
        };
        until(&format!("{text:?} is posted"), posted).await
    }
}

/// A subscriber to whom messages come.
async fn subscriber(mump2p: &Mump2p, arguments: &[&str]) -> Program {
    let subscriber = mump2p.start(&[&["subscribe", "--topic", TOPIC], arguments].concat());
    subscriber.line_with("Listening for messages");
    until_delivered(mump2p, &subscriber, &[], "Published").await;
    subscriber
}

/// Ends a subscriber; returns how many messages were passed on, failed and were dropped.
async fn counts(mut subscriber: Program) -> [u64; 3] {
    subscriber.signal("-INT");
    let line = subscriber.line_with("Webhook: ");
    assert_eq!(subscriber.ended().await.code(), Some(0), "{line}");
    let words = ["passed on", "failed", "dropped"];
    let counts = line.trim_start_matches("Webhook: ").split(", ").zip(words);
    let counts = counts.map(|(count, word)| {
        count.strip_suffix(word).and_then(|count| count.trim().parse().ok()).expect("a count")
    });
    counts.collect::<Vec<_>>().try_into().expect("three")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_given_a_message_as_it_is_or_as_a_template_makes_it() {
    let (_nodes, proxy) = stack(2).await;
    let (plain, templated) = (Hook::start().await, Hook::start().await);
    let mump2p = Mump2p::before(&proxy).nameless();
    let by_socket = subscriber(&mump2p, &["--webhook", &plain.url()]).await;
    let schema = r#"{"text":{{json .Message}},"topic":"{{.Topic}}","from":"{{.ClientID}}",
        "id":"{{.MessageID}}","year":"{{.Timestamp.Format "2006"}}"}"#;
    let arguments = ["--webhook", &templated.url(), "--webhook-schema", schema, "--grpc"];
    let by_grpc = subscriber(&mump2p, &arguments).await;

    let message = "say \"hi\"\nand <b>";
    publish(&mump2p, message).await;
    assert_eq!(plain.until_posted("say").await.1, message);
    let (kind, body) = templated.until_posted("say").await;
    assert_eq!(kind.as_deref(), Some("application/json"));
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let year = body["year"].as_str().and_then(|year| year.parse::<u16>().ok());
    assert!(year.is_some_and(|year| year > 2024), "{body}");
    let [text, topic, from, id] = ["text", "topic", "from", "id"].map(|key| &body[key]);
    assert_eq!([text, topic, from, id], [message, TOPIC, CLIENT, "grpc-msg"]);

    for subscriber in [by_socket, by_grpc] {
        let [passed_on, failed, dropped] = counts(subscriber).await;
        assert!(passed_on >= 2 && failed == 0 && dropped == 0, "{passed_on} {failed} {dropped}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_fails_or_is_away_is_told_and_counted_and_the_subscriber_lives_on() {
    let (_nodes, proxy) = stack(2).await;
    let hook = Hook::start().await;
    let mump2p = Mump2p::before(&proxy).nameless();
    let subscriber = subscriber(&mump2p, &["--webhook", &hook.url()]).await;
    hook.until_posted("hello").await;

    hook.status.store(500, Ordering::SeqCst);
    publish(&mump2p, "refused").await;
    subscriber.line_with("Webhook responded with status code: 500");
    hook.status.store(204, Ordering::SeqCst);
    publish(&mump2p, "taken again").await;
    hook.until_posted("taken again").await;
    subscriber.line_with("taken again");

    hook.server.abort();
    until("the server is gone", || hook.server.is_finished().then_some(())).await;
    publish(&mump2p, "to nobody").await;
    subscriber.line_with(&format!("Webhook {}: ", hook.url()));
    publish(&mump2p, "the last").await;
    subscriber.line_with("the last");

    let [passed_on, failed, dropped] = counts(subscriber).await;
    assert!(passed_on >= 2 && failed >= 3 && dropped == 0, "{passed_on} {failed} {dropped}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_makes_no_json_is_told_and_not_posted() {
    let (_nodes, proxy) = stack(2).await;
    let hook = Hook::start().await;
    let mump2p = Mump2p::before(&proxy).nameless();
    let schema = r#"{"text":"{{.Message}}"}"#;
    let arguments = ["--webhook", &hook.url(), "--webhook-schema", schema];
    let subscriber = subscriber(&mump2p, &arguments).await;
    publish(&mump2p, "with \"quotes\"").await;
    subscriber.line_with("webhook template must produce valid JSON");
    publish(&mump2p, "without").await;
    let (_, body) = hook.until_posted("without").await;
    assert_eq!(body, json!({"text": "without"}).to_string());
    assert!(hook.posted.lock().expect("sound").iter().all(|(_, body)| !body.contains("quotes")));

    let arguments = [&["subscribe", "--topic", TOPIC], &arguments[..2]].concat();
    let broken = [&arguments[..], &["--webhook-schema", "{{.Message"]].concat();
    mump2p.run(&broken).await.refused(2, "--webhook-schema");
    let no_url = ["subscribe", "--topic", TOPIC, "--webhook", "example.org/hook"];
    mump2p.run(&no_url).await.refused(2, "it must begin with http:// or https://");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_kept_in_a_file_and_one_that_takes_nothing_is_a_clear_error() {
    let (_nodes, proxy) = stack(2).await;
    let mump2p = Mump2p::before(&proxy).nameless();
    let (folder, file) = (mump2p.file("new/"), mump2p.file("kept.log"));
    let [folder, file] = [&folder, &file].map(|path| path.to_str().expect("UTF-8"));
    let by_socket = subscriber(&mump2p, &["--persist", folder]).await;
    let by_grpc = subscriber(&mump2p, &["--persist", file, "--grpc"]).await;
    publish(&mump2p, "to be kept").await;
    by_socket.line_with("to be kept");
    by_grpc.line_with("to be kept");
    // A line is printed before it is kept.
    for (path, line) in
        [("new/messages.log", "Z] [t] to be kept\n"), ("kept.log", "Z] to be kept\n")]
    {
        let is_kept =
            || std::fs::read_to_string(mump2p.file(path)).ok()?.contains(line).then_some(());
        until(&format!("{path} has {line:?}"), is_kept).await;
    }

    let inside_file = mump2p.write("plain", "no folder") + "/kept.log";
    let arguments = ["subscribe", "--topic", TOPIC, "--persist", &inside_file];
    let said = mump2p.run(&arguments).await.refused(1, &inside_file);
    assert!(said.contains("it must be a file or a folder that you may write"), "{said}");
    // Opens, and has no room for anything.
    let mut full = mump2p.start(&["subscribe", "--topic", TOPIC, "--persist", "/dev/full"]);
    full.line_with("Listening for messages");
    publish(&mump2p, "too much").await;
    full.line_with("cannot write to /dev/full (--persist)");
    assert_eq!(full.ended().await.code(), Some(1));
}
