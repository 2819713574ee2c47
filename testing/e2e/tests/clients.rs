//! The clients as programs: what they print and write, and how they end.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use bytes::Bytes;
use e2e::{
    node_process::{NodeCommand, NodeProcess, cluster, until},
    program,
    program_process::Program,
    proxy_process::ProxyCommand,
    reader::Reader,
};
use tempfile::TempDir;

const TOPIC: &str = "clients";

/// A folder, and how files in it are written as arguments.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// Writes the addresses of nodes to a file.
    fn targets(&self, nodes: &[NodeProcess]) -> String {
        let lines = nodes.iter().map(|node| node.sidecar.to_string()).collect::<Vec<_>>();
        let content = format!("# nodes\n\n{}\n", lines.join("\n"));
        fs::write(self.path("ips.tsv"), content).expect("written");
        self.text("ips.tsv")
    }
}

/// Returns the records of a file, as lists of fields.
fn records(path: &Path) -> Vec<Vec<String>> {
    let content = fs::read_to_string(path).unwrap_or_default();
    let fields = |line: &str| line.split('\t').map(str::to_owned).collect();
    content.lines().map(fields).collect()
}

/// Runs a program to its end; returns exit code, stdout and stderr.
fn run(name: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(program(name)).args(arguments).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// One megabyte a hundred times, as fast as the node takes it: nothing stalls, nothing stays behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_multi_publish_says_it_sent_is_what_multi_subscribe_says_came() {
    const COUNT: usize = 100;
    let nodes = cluster(2, |node| node).await;
    let folder = Folder::new();
    let ips = folder.targets(&nodes);
    let (data, trace, sent) = (folder.text("data"), folder.text("trace"), folder.text("sent"));
    let mut witness = Reader::open(nodes[0].sidecar).await;
    let mut subscribers = Program::talkative(
        "p2p-multi-subscribe",
        &["-topic", TOPIC, "-ipfile", &ips, "-output-data", &data, "--output-trace", &trace],
    );
    subscribers.line_with("numip 2  index 10000");
    subscribers.line_with("Found 2 IPs: [");
    witness.until_grafted(1).await;
    let count = COUNT.to_string();
    let arguments =
        ["-topic", TOPIC, "-ipfile", &ips, "-end-index=1", "-datasize=1000000", "-sleep=0s"];
    let mut publisher = Program::talkative(
        "p2p-multi-publish",
        &[&arguments[..], &["-count", &count, "-output", &sent]].concat(),
    );
    let prefix = format!("[{}] published ", nodes[0].sidecar);
    let line = publisher.line_with(&prefix);
    assert!(line.contains(&format!(" bytes to \"{TOPIC}\" (took ")), "{line}");
    publisher.line_with("All data flushed to disk");
    assert!(publisher.ended().await.success());

    let came = until("every message came at both nodes", || {
        let came = records(Path::new(&data));
        (came.len() > 2 * COUNT).then_some(came)
    });
    let came = came.await;
    assert_eq!(came[0], ["receiver", "sender", "size", "sha256(msg)"]);
    let sent = records(Path::new(&sent));
    assert_eq!(sent[0], ["sender", "size", "sha256(msg)"]);
    let sent: BTreeSet<_> = sent[1..].iter().cloned().collect();
    assert_eq!(sent.len(), COUNT);
    for node in &nodes {
        let receiver = node.sidecar.to_string();
        let here = came[1..].iter().filter(|record| record[0] == receiver);
        assert_eq!(here.map(|record| record[1..].to_vec()).collect::<BTreeSet<_>>(), sent);
    }
    subscribers.signal("-INT");
    subscribers.line_with("Shutting down gracefully…");
    assert!(subscribers.ended().await.success());
    let trace = records(Path::new(&trace));
    assert!(trace.iter().all(|record| record.len() == 6));
    let delivered = trace.iter().filter(|record| record[0] == "DELIVER_MESSAGE");
    assert!(delivered.clone().all(|record| record[4] == TOPIC && !record[3].is_empty()));
    assert_eq!(delivered.count(), 2 * COUNT);
}

#[tokio::test]
async fn payloads_that_are_no_text_are_printed_as_they_came_and_do_not_break_records() {
    let nodes = cluster(1, |node| node).await;
    let folder = Folder::new();
    let (ips, data, address) =
        (folder.targets(&nodes), folder.text("data"), nodes[0].sidecar.to_string());
    let printed = folder.path("printed");
    let mut single = Command::new(program("p2p-client"))
        .args(["-topic", TOPIC, "-addr", &address])
        .stdout(fs::File::create(&printed).expect("a file"))
        .spawn()
        .expect("it runs");
    let multi = Program::talkative(
        "p2p-multi-subscribe",
        &["-topic", TOPIC, "-ipfile", &ips, "-output-data", &data],
    );
    multi.line_with("Subscribed to topic");
    let content = || fs::read(&printed).expect("readable");
    until("it subscribed", || content().starts_with(b"Subscribed").then_some(())).await;
    let mut reader = Reader::subscribed(nodes[0].sidecar, TOPIC).await;
    let payload = Bytes::from_static(b"a\tb\n\xff-\x00");
    reader.publish(TOPIC, &payload).await;
    assert_eq!(reader.message().await.message, payload);
    let wanted = [b" 7] ", &payload[..], b"\n\n"].concat();
    let is_there = || content().windows(wanted.len()).any(|bytes| bytes == wanted).then_some(());
    until("the payload is printed", is_there).await;
    let records = until("it is recorded", || {
        let records = records(Path::new(&data));
        (records.len() == 2).then_some(records)
    });
    assert_eq!(records.await[1][..3], [&address, "a\u{fffd}b\u{fffd}\u{fffd}", "7"]);
    single.kill().expect("a child of ours");
    single.wait().expect("a child of ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_client_prints_the_payloads_of_what_it_and_others_publish() {
    let nodes = cluster(2, |node| node).await;
    let proxy = ProxyCommand::new(&nodes).start().await;
    proxy.until_nodes(2).await;
    let (grpc, rest) = (proxy.grpc.to_string(), format!("http://{}/", proxy.http));
    let at = ["-proxy", &grpc, "-rest", &rest, "-topic", TOPIC];
    let only = [&at[..], &["-subscribeOnly", "-threshold=0.5"]].concat();
    let mut subscriber = Program::talkative("proxy-client", &only);
    let line = subscriber.line_with("[INFO] Client ID: client_");
    assert!(line.ends_with(&format!(" | Topic: {TOPIC} | Threshold: 0.50")), "{line}");
    subscriber.line_with("[INFO] Subscribed, waiting for messages");
    let publishing = [&at[..], &["--count=2", "-delay", "100ms"]].concat();
    let mut publisher = Program::talkative("proxy-client", &publishing);
    assert!(publisher.ended().await.success());
    let said = publisher.rest();
    let after = |mark: &str| {
        let text = |line: &String| line.split_once(mark).map(|(_, text)| text.to_owned());
        said.iter().filter_map(text).collect::<BTreeSet<_>>()
    };
    let (sent, mark) =
        (after("[PUBLISH] Message: "), format!("[RECEIVED] Topic: {TOPIC} | Message: "));
    assert_eq!(sent.len(), 2, "{said:?}");
    assert_eq!(after(&mark), sent, "{said:?}");
    let received = [(); 2].map(|()| subscriber.line_with(&mark));
    let received = received.iter().filter_map(|line| Some(line.split_once(&mark)?.1.to_owned()));
    assert_eq!(received.collect::<BTreeSet<_>>(), sent);
    subscriber.signal("-INT");
    subscriber.line_with("[INTERRUPTED] shutting down...");
    assert!(subscriber.ended().await.success());

    let mut left = Program::talkative("proxy-client", &only);
    left.line_with("[INFO] Subscribed, waiting for messages");
    proxy.kill();
    left.line_with("[ERROR] stream receive: ");
    assert_eq!(left.ended().await.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_ends_before_everything_is_published_is_a_failure() {
    let nodes = cluster(1, |node| node).await;
    let proxy = ProxyCommand::new(&nodes).start().await;
    proxy.until_nodes(1).await;
    let (grpc, rest) = (proxy.grpc.to_string(), format!("http://{}", proxy.http));
    // The second message would come in an hour.
    let arguments = ["-proxy", &grpc, "-rest", &rest, "-topic", TOPIC, "-count=2", "-delay=1h"];
    let mut publisher = Program::talkative("proxy-client", &arguments);
    publisher.line_with("[RECEIVED] ");
    proxy.terminate().await;
    let line = publisher.line_with("the proxy closed the stream after ");
    assert!(line.contains(" of 2 messages"), "{line}");
    assert_eq!(publisher.ended().await.code(), Some(1));
}

#[tokio::test]
async fn a_message_that_the_node_refuses_is_told_and_fails() {
    let node = NodeCommand::new().start().await;
    let folder = Folder::new();
    let nodes = [node];
    let ips = folder.targets(&nodes);
    let arguments = ["-topic", TOPIC, "-ipfile", &ips, "-datasize=3000000"];
    let (code, _, stderr) = run("p2p-multi-publish", &arguments);
    assert_eq!(code, Some(1));
    let reason = format!("{} did not publish a message: the message has", nodes[0].sidecar);
    assert!(stderr.contains(&reason) && stderr.contains("publish worker error: "), "{stderr}");
}

#[tokio::test]
async fn a_node_that_dies_ends_its_subscribers_with_a_failure() {
    let node = NodeCommand::new().start().await;
    let folder = Folder::new();
    let nodes = [node];
    let (ips, address) = (folder.targets(&nodes), nodes[0].sidecar.to_string());
    let mut single = Program::talkative("p2p-client", &["-topic", TOPIC, "-addr", &address]);
    let mut multi = Program::talkative("p2p-multi-subscribe", &["-topic", TOPIC, "-ipfile", &ips]);
    single.line_with("Subscribed to topic");
    multi.line_with("Subscribed to topic");
    let [node] = nodes;
    node.kill();
    single.line_with("recv error: ");
    single.line_with("Stream closed. Total messages received: 0");
    multi.line_with(&format!("[{address}] stream closed. Total messages received: 0"));
    multi.line_with(&format!("subscribe worker error: {address}: "));
    assert_eq!(single.ended().await.code(), Some(1));
    assert_eq!(multi.ended().await.code(), Some(1));
}

#[tokio::test]
async fn ctrl_c_ends_every_client_while_a_server_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("bound").to_string();
    let folder = Folder::new();
    fs::write(folder.path("ips.tsv"), &address).expect("written");
    let (ips, rest) = (folder.text("ips.tsv"), format!("http://{address}"));
    for (name, arguments, begun, ended) in [
        ("p2p-client", &["-topic=t", "-addr", &address][..], "Connecting", "shutting down…"),
        (
            "p2p-client",
            &["-topic=t", "-addr", &address, "-mode=publish", "-msg=x"],
            "Connecting",
            "shutting down…",
        ),
        ("p2p-multi-subscribe", &["-topic=t", "-ipfile", &ips], "IP -  ", "Shutting down"),
        ("p2p-multi-publish", &["-topic=t", "-ipfile", &ips], "Found 1", "Shutting down"),
        ("proxy-client", &["-rest", &rest], "[INFO] Proxy", "[INTERRUPTED] shutting down..."),
    ] {
        let mut client = Program::talkative(name, arguments);
        client.line_with(begun);
        client.signal("-INT");
        client.line_with(ended);
        assert!(client.ended().await.success(), "{name}");
    }
}

#[tokio::test]
async fn a_subscriber_whose_reader_is_gone_ends_quietly_and_a_publisher_publishes_on() {
    let node = NodeCommand::new().start().await;
    let address = node.sidecar.to_string();
    let mut reader = Reader::subscribed(node.sidecar, TOPIC).await;
    let mut subscriber = Command::new(program("p2p-client"))
        .args(["-topic", TOPIC, "-addr", &address])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(subscriber.stdout.take());
    let mut publisher = Command::new(program("p2p-client"))
        .args(["-topic", TOPIC, "-addr", &address, "-mode=publish", "-count=50", "-sleep=10ms"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(publisher.stdout.take());
    reader.sorted_payloads(50).await;
    assert!(publisher.wait().expect("a child of ours").success());
    let status =
        until("the subscriber has ended", || subscriber.try_wait().expect("a child of ours"));
    assert!(status.await.success());
    let stderr = subscriber.wait_with_output().expect("it ended").stderr;
    let stderr = String::from_utf8(stderr).expect("UTF-8");
    assert!(!stderr.contains("panicked") && !stderr.contains("error"), "{stderr}");
}

#[tokio::test]
async fn wrong_values_of_every_flag_are_told_before_anything_is_done() {
    let folder = Folder::new();
    fs::write(folder.path("ips.tsv"), "127.0.0.1:1\n").expect("written");
    fs::write(folder.path("bad.tsv"), "127.0.0.1:1\nnode two\n").expect("written");
    let (ips, bad, nowhere) =
        (folder.text("ips.tsv"), folder.text("bad.tsv"), folder.text("no/such/folder"));
    let long = "t".repeat(1025);
    let single = |more: &[&str], code, text: &str| check("p2p-client", more, code, text);
    single(&["-mode=publish"], 1, "-topic is required");
    single(&["-topic", &long], 1, "-topic has 1025 bytes; at most 1024");
    single(&["-topic=t", "-mode=both"], 1, "unknown mode \"both\"");
    single(&["-topic=t", "-mode=publish"], 1, "-msg is required in publish mode");
    single(&["-topic=t", "-mode=publish", "-count=0"], 1, "-count must be >= 1");
    single(&["-topic=t", "-count=many"], 2, "invalid value \"many\" for flag -count");
    single(&["-topic=t", "-sleep=5"], 2, "invalid value \"5\" for flag -sleep");
    single(&["-topic=t", "-addr=nowhere"], 1, "HOST:PORT is expected");
    let unreachable = "127.0.0.1:1: Connection refused (os error 111); check that a node runs";
    single(&["-topic=t", "-addr=127.0.0.1:1"], 1, unreachable);

    for name in ["p2p-multi-publish", "p2p-multi-subscribe"] {
        let multi = |more: &[&str], code, text: &str| check(name, more, code, text);
        multi(&["-ipfile", &ips], 1, "-topic is required");
        multi(&["-topic=t"], 1, "-ipfile is required");
        multi(&["-topic=t", "-ipfile", &nowhere], 1, &format!("Error: {nowhere}: No such file"));
        multi(&["-topic=t", "-ipfile", &bad], 1, "line 2: \"node two\" is no address");
        let range = "invalid index range: start-index=1 end-index=10000 (num IPs=1)";
        multi(&["-topic=t", "-ipfile", &ips, "-start-index=1"], 1, range);
        multi(&["-topic=t", "-ipfile", &ips, "-end-index=x"], 2, "invalid value \"x\" for flag");
        multi(&["-topic=t", "-ipfile", &ips], 1, " worker error: 127.0.0.1:1: Connection refused");
    }
    let given = ["-topic=t", "-ipfile", &ips];
    let with = |more: [&str; 2]| [&given[..], &more].concat().join("\u{0}");
    for (name, more, code, text) in [
        ("p2p-multi-publish", ["-count", "0"], 1, "-count must be >= 1"),
        ("p2p-multi-publish", ["-datasize", "0"], 1, "-datasize must be >= 1"),
        ("p2p-multi-publish", ["-datasize", "9999999999"], 1, "-datasize must be <= "),
        ("p2p-multi-publish", ["-poisson=perhaps", ""], 2, "invalid boolean value \"perhaps\""),
        ("p2p-multi-publish", ["-output", &nowhere], 1, "Error: cannot write "),
        ("p2p-multi-publish", ["-output", "/dev/full"], 1, "Error: cannot write /dev/full: "),
        ("p2p-multi-subscribe", ["-output-data", &nowhere], 1, "(-output-data)"),
        ("p2p-multi-subscribe", ["-output-trace", &nowhere], 1, "(-output-trace)"),
    ] {
        let arguments = with(more);
        check(name, &arguments.split('\u{0}').collect::<Vec<_>>(), code, text);
    }
    let proxy = |more: &[&str], code, text: &str| check("proxy-client", more, code, text);
    proxy(&["-topic="], 1, "-topic is required");
    proxy(&["-threshold=1.1"], 1, "-threshold must be between 0 and 1, and is 1.1");
    proxy(&["-threshold=half"], 2, "invalid value \"half\" for flag -threshold");
    proxy(&["-count=0"], 1, "-count must be >= 1");
    proxy(&["-delay=-"], 2, "invalid value \"-\" for flag -delay");
    proxy(&["-subscribeOnly=x"], 2, "invalid boolean value \"x\" for -subscribeOnly");
    proxy(&["-proxy=nowhere"], 1, "-proxy: \"nowhere\" is no address");
    proxy(&["-rest=localhost:1"], 1, "-rest: \"localhost:1\" is no base URL");
    let unreachable = "subscribe error: http://127.0.0.1:1/api/v1/subscribe: Connection refused";
    proxy(&["-rest=http://127.0.0.1:1"], 1, unreachable);
    for name in ["p2p-client", "p2p-multi-publish", "p2p-multi-subscribe", "proxy-client", "keygen"]
    {
        check(name, &["-h"], 0, "Usage of ");
        check(name, &["--nonsense=1"], 2, "flag provided but not defined: -nonsense");
    }
}

fn check(name: &str, arguments: &[&str], code: i32, text: &str) {
    let (ended, stdout, stderr) = run(name, arguments);
    assert_eq!(ended, Some(code), "{name} {arguments:?}: {stdout}{stderr}");
    assert!([&stdout, &stderr].iter().any(|all| all.contains(text)), "{text}: {stdout}{stderr}");
    assert!(!stdout.contains("published") && !stderr.contains("panicked"), "{stdout}{stderr}");
}

#[tokio::test]
async fn a_proxy_that_refuses_a_subscription_is_quoted() {
    let proxy = ProxyCommand::new(&[]).start().await;
    let (grpc, rest) = (proxy.grpc.to_string(), format!("http://{}/nowhere", proxy.http));
    let (code, _, stderr) = run("proxy-client", &["-proxy", &grpc, "-rest", &rest]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("subscribe error: ") && stderr.contains(": 404 Not Found: "),
        "{stderr}"
    );
}

#[test]
fn the_list_of_local_nodes_has_a_thousand_and_one_ports() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../grpc_p2p_client/local.ips.tsv");
    let lines = fs::read_to_string(path).expect("it is there");
    let expected = (33212..=34212).map(|port| format!("localhost:{port}")).collect::<Vec<_>>();
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
}
