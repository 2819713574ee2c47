//! The programs as a user runs them: p2p-client, keygen, devnet.

use std::{
    fs::File,
    net::TcpListener,
    process::{Command, Stdio},
};

use e2e::{
    node_process::{NodeCommand, cluster, until},
    payload, program,
    program_process::Program,
    reader::Reader,
};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn the_client_publishes_and_exits_at_once_and_the_client_that_subscribed_prints_it() {
    let nodes = cluster(2, |node| node).await;
    let (here, there) = (nodes[0].sidecar.to_string(), nodes[1].sidecar.to_string());
    let mut subscriber =
        Program::start("p2p-client", &["-mode=subscribe", "-topic", "hello", "--addr", &here]);
    subscriber.line_with(r#"Subscribed to topic "hello", waiting for messages…"#);
    let mut witness = Reader::subscribed(nodes[1].sidecar, "hello").await;
    witness.until_grafted(1).await;

    let published = Command::new(program("p2p-client"))
        .args(["--mode", "publish", "-topic=hello", "-msg=Hello World", "-addr", &there])
        .output()
        .expect("the client runs");
    assert!(published.status.success());
    let text = String::from_utf8(published.stdout).expect("UTF-8");
    assert!(
        text.starts_with(r#"Published "["#)
            && text.contains(r#" 11] Hello World" to "hello" (took "#)
    );
    // So short a message is one shard; what is told of it comes before the message.
    for event in ["NEW_SHARD", "DELIVER_MESSAGE"] {
        subscriber.line_with(&format!("[TRACE] OptimumP2P type={event} "));
    }
    let line = subscriber.line_with("Recv message: [1] [");
    assert!(line.ends_with(" 11] Hello World"), "{line}");

    // 30 messages, and nothing read: all of them arrive.
    let count = Command::new(program("p2p-client"))
        .args(["-mode=publish", "-topic=hello", "-count=30", "-addr", &there])
        .output()
        .expect("the client runs");
    assert!(count.status.success());
    subscriber.line_with("Recv message: [31] [");
    subscriber.signal("-INT");
    subscriber.line_with("shutting down…");
    assert!(subscriber.ended().await.success());
}

#[tokio::test]
async fn the_client_refuses_what_makes_no_sense_in_go_s_manner() {
    for (arguments, code, text) in [
        (&["-x"][..], 2, "flag provided but not defined: -x"),
        (&["-mode=publish"], 1, "-topic is required"),
        (&["-topic=t", "-addr=127.0.0.1:1"], 1, "127.0.0.1:1"),
        (&["-h"], 0, "Usage of "),
    ] {
        let output = Command::new(program("p2p-client")).args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(stderr.contains(text), "{arguments:?}: {stderr}");
    }
}

#[tokio::test]
async fn keygen_makes_an_identity_that_a_node_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    let keygen = folder.path().join("keygen");
    std::fs::create_dir(&keygen).expect("a folder");
    let run = || {
        let output = Command::new(program("keygen")).current_dir(&keygen).output();
        let output = output.expect("keygen runs");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let first = run();
    assert_eq!(run(), first, "the existing identity");
    let id = first.strip_prefix("Peer ID: ").expect("the id").trim().to_owned();
    let identity = folder.path().join("identity");
    let identity = identity.to_str().expect("UTF-8");
    let node = NodeCommand::new().with("IDENTITY_DIR", identity).start().await;
    assert_eq!(node.peer_id, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn devnet_shows_a_message_decoded_at_every_node_and_frees_its_ports() {
    let temporary = tempfile::tempdir().expect("a folder");
    let mut devnet = Program::run(
        Command::new(program("devnet"))
            .args(["--json", "--base-port", "0"])
            .env("TMPDIR", temporary.path()),
    );
    let started: Value =
        serde_json::from_str(&devnet.line_with("\"started\"")).expect("one object a line");
    let shown: Value =
        serde_json::from_str(&devnet.line_with("\"first_message\"")).expect("one object a line");
    let nodes = shown["message"]["nodes"].as_array().expect("a list");
    assert_eq!(
        nodes.iter().map(|node| node["node"].as_u64()).collect::<Vec<_>>(),
        [Some(1), Some(3), Some(4)]
    );
    // 1 MiB is 64 fragments; combinations that stand for some may come beside them.
    assert!(nodes.iter().all(|node| node["shards_used"].as_u64() >= Some(64)), "{shown}");
    println!("{shown}");

    // The cluster can be used while it stays.
    devnet.line_with("\"ready\"");
    let sidecar = |node: usize| {
        let address = started["nodes"][node]["sidecar"].as_str().expect("an address");
        address.parse().expect("an address")
    };
    let mut reader = Reader::subscribed(sidecar(3), "devnet").await;
    let publisher = Reader::open(sidecar(0)).await;
    let sent = payload(1, 10_000);
    publisher.publish("devnet", &sent).await;
    reader.arrival(&sent).await;

    devnet.signal("-TERM");
    assert!(devnet.ended().await.success());
    for node in started["nodes"].as_array().expect("a list") {
        for face in ["sidecar", "api"] {
            let address = node[face].as_str().expect("an address");
            TcpListener::bind(address).unwrap_or_else(|error| panic!("{face} {address}: {error}"));
        }
        let libp2p: Vec<&str> = node["libp2p"].as_str().expect("an address").split('/').collect();
        let address = format!("{}:{}", libp2p[2], libp2p[4]);
        TcpListener::bind(&address).unwrap_or_else(|error| panic!("libp2p {address}: {error}"));
    }
    let left = std::fs::read_dir(temporary.path()).expect("the folder is ours").count();
    assert_eq!(left, 0, "identities that were not to be kept are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn devnet_keeps_identities_where_it_is_told_and_is_quiet_when_told() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().to_str().expect("UTF-8");
    let arguments = ["--nodes", "2", "--base-port", "0", "--data", folder];
    let mut quiet = Program::run(Command::new(program("devnet")).args(arguments).arg("--quiet"));
    let ids: Vec<String> = {
        let key = |node: u16| data.path().join(format!("node-{node}")).join("p2p.key");
        until("both identities are written", || (key(1).exists() && key(2).exists()).then_some(()))
            .await;
        // 8 bytes of checksum, then JSON.
        [1, 2]
            .map(|node| std::fs::read(key(node)).expect("an identity"))
            .iter()
            .map(|file| serde_json::from_slice::<Value>(&file[8..]).expect("JSON"))
            .map(|identity| identity["ID"].as_str().expect("an id").to_owned())
            .collect()
    };
    quiet.signal("-INT");
    assert!(quiet.ended().await.success());
    let printed = quiet.rest();
    assert!(printed.is_empty(), "{printed:?}");

    let again = Program::run(Command::new(program("devnet")).args(arguments).arg("--json"));
    let started: Value =
        serde_json::from_str(&again.line_with("\"started\"")).expect("one object a line");
    let nodes = started["nodes"].as_array().expect("a list");
    assert_eq!(nodes.len(), 2);
    for (node, id) in nodes.iter().zip(&ids) {
        let address = node["libp2p"].as_str().expect("an address");
        assert!(address.ends_with(id), "{address} is not {id}");
    }
}

#[tokio::test]
async fn devnet_names_a_port_in_use_and_the_flag_that_helps() {
    // A port with two more above it, the first of which is taken.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let output = Command::new(program("devnet"))
        .args(["--nodes=1", "--base-port", &port.to_string()])
        .output()
        .expect("devnet runs");
    assert!(!output.status.success());
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(stderr.contains(&port.to_string()) && stderr.contains("--base-port"), "{stderr}");
}

#[test]
fn settings_that_cannot_be_printed_are_told_and_a_closed_pipe_is_quiet() {
    for name in ["p2pnode", "proxy"] {
        let check = |stdout: Stdio| {
            let mut command = Command::new(program(name));
            command.arg("--check").env_clear().env("P2P_NODES", "127.0.0.1:1").stdout(stdout);
            command.output().expect("it runs")
        };
        let full = File::options().write(true).open("/dev/full").expect("it is there");
        let output = check(full.into());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.starts_with(&format!("{name}: cannot write to stdout: No space")),
            "{stderr}"
        );
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = check(writer.into());
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn devnet_that_did_not_start_does_not_say_that_it_stops() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let mut command = Command::new(program("devnet"));
    let output = command.args(["--base-port", &port]).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(!output.status.success() && stderr.contains(&port), "{stderr}");
    assert_eq!(stdout, "");
}
