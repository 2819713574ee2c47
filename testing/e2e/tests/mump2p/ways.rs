//! The command line of users, against real proxies and nodes.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use e2e::{
    LIMIT,
    node_process::{NodeProcess, cluster, until},
    program,
    proxy_process::{ProxyCommand, ProxyProcess},
};
use tempfile::TempDir;

const TOPIC: &str = "t";

async fn stack(nodes: usize) -> (Vec<NodeProcess>, ProxyProcess) {
    let nodes = cluster(nodes, |command| command).await;
    let proxy = ProxyCommand::new(&nodes).start().await;
    proxy.until_nodes(nodes.len()).await;
    (nodes, proxy)
}

/// A `mump2p` of its own home and client, without a login.
fn mump2p(proxy: &ProxyProcess, home: &Path) -> Command {
    let mut command = Command::new(program("mump2p"));
    command
        .env_clear()
        .env("HOME", home)
        .env("MUMP2P_SERVICE_URL", format!("http://{}", proxy.http))
        .env("MUMP2P_GRPC_ADDRESS", proxy.grpc.to_string())
        .args(["--disable-auth", "--client-id", "c"]);
    command
}

/// A subscriber whose lines are read as they come, and that is ended with its handle.
struct Subscriber {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    _home: TempDir,
}

impl Subscriber {
    fn start(proxy: &ProxyProcess, arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let mut child = mump2p(proxy, home.path())
            .args(["subscribe", "--topic", TOPIC])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("mump2p runs");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, _home: home }
    }

    /// Waits for a line that contains `text`.
    async fn until(&self, text: &str) -> String {
        let line = || self.lines.try_iter().find(|line| line.contains(text));
        until(&format!("{text:?} is printed"), line).await
    }

    /// Ends it as Ctrl-C does; returns its exit code.
    async fn interrupt(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
        let ended = || self.child.try_wait().expect("a child of ours");
        until("mump2p has ended", ended).await.code()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part));
    format!("{out}{err}")
}

/// Publishes until the subscriber prints it: the mesh of a topic forms within some heartbeats.
async fn until_delivered(proxy: &ProxyProcess, subscriber: &Subscriber, way: &[&str], says: &str) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let begin = std::time::Instant::now();
    for number in 0.. {
        let message = format!("hello {number} by {way:?}");
        let published = mump2p(proxy, home.path())
            .args(["publish", "--topic", TOPIC, "--message", &message])
            .args(way)
            .output()
            .expect("mump2p runs");
        let printed = text(&published);
        assert!(published.status.success() && printed.contains(says), "{printed}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        if subscriber.lines.try_iter().any(|line| line.contains("hello ")) {
            return;
        }
        assert!(begin.elapsed() < LIMIT, "nothing is delivered");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_in_any_way_is_received_in_any_way() {
    let (_nodes, proxy) = stack(2).await;
    for (way, ready) in [
        (&["--threshold", "0.5"][..], "Listening for messages"),
        (&["--grpc"], "Listening for messages"),
        (&["--direct"], "Subscribed to 't' on "),
    ] {
        let mut subscriber = Subscriber::start(&proxy, way);
        subscriber.until(ready).await;
        until_delivered(&proxy, &subscriber, &[], "✅ Published via HTTP inline message").await;
        until_delivered(&proxy, &subscriber, &["--grpc"], "✅ Published via gRPC").await;
        until_delivered(&proxy, &subscriber, &["--direct"], "Published to 127.0.0.1:").await;
        assert_eq!(subscriber.interrupt().await, Some(0), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_subscriber_goes_on_at_another_node_when_its_own_dies() {
    let (mut nodes, proxy) = stack(2).await;
    let subscriber = Subscriber::start(&proxy, &["--expose-amount", "2"]);
    let line = subscriber.until("Subscribed to").await;
    let address = |node: &NodeProcess| line.contains(&format!(" on {} ", node.sidecar));
    let place = nodes.iter().position(address).expect("one of ours");
    nodes.remove(place).kill();
    let again = subscriber.until("Subscribed to").await;
    assert!(again.contains(&nodes[0].sidecar.to_string()), "{again}");
    until_delivered(&proxy, &subscriber, &["--direct"], "Published to").await;
}

#[tokio::test]
async fn what_is_wrong_is_said_with_an_exit_code() {
    let (_nodes, proxy) = stack(1).await;
    let home = tempfile::tempdir().expect("a temporary folder");
    let bytes = home.path().join("bytes");
    std::fs::write(&bytes, [0xff, 0xfe]).expect("written");
    let file = bytes.to_str().expect("UTF-8");
    let closed = "http://127.0.0.1:1";
    for (arguments, code, says) in [
        (&["publish", "--topic", TOPIC][..], 2, "either --message or --file must be provided"),
        (&["publish", "--topic", TOPIC, "--message", "a"], 1, "topic not assigned"),
        (&["publish", "--topic", TOPIC, "--file", file], 1, "no UTF-8 text"),
        (&["health", "--service-url", closed], 1, closed),
        (&["health", "--service-url", "localhost:8081"], 2, "for example"),
        (&["subscribe", "--topic", TOPIC, "--direct", "--threshold", "1"], 2, "--threshold"),
        (&["subscribe", "--topic", TOPIC, "--persist", "/proc/no/x"], 1, "/proc/no/x"),
        (&["login"], 4, "MUMP2P_AUTH_DOMAIN"),
        (&["subscribe", "--topic", ""], 2, "--topic is empty"),
    ] {
        let output = mump2p(&proxy, home.path()).args(arguments).output().expect("mump2p runs");
        let printed = text(&output);
        assert!(output.status.code() == Some(code) && printed.contains(says), "{printed}");
    }
}
