//! devnet in the background, with Prometheus, and told nonsense.

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use e2e::{LIMIT, node_process::until, program, program_process::Program};
use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;

/// A small stack that needs no port of its own.
const SMALL: [&str; 6] = ["--nodes", "2", "--proxies", "1", "--base-port", "0"];

/// Where the lock and the log of a stack in the background are; the stack ends with it.
struct Background(TempDir);

impl Background {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn state(&self) -> &str {
        self.0.path().to_str().expect("UTF-8")
    }

    fn lock(&self) -> std::path::PathBuf {
        self.0.path().join("devnet.pid")
    }

    fn start(&self) -> Output {
        devnet(&[&SMALL[..], &["--detach", "--state", self.state()]].concat())
    }

    fn down(&self) -> Output {
        devnet(&["down", "--state", self.state()])
    }

    /// The id of the process, as its lock says it.
    fn id(&self) -> String {
        let text = std::fs::read_to_string(self.lock()).expect("a lock");
        text.split_once(' ').expect("an id and a state").0.to_owned()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // A test that failed may have left it.
        let _down = self.down();
    }
}

fn devnet(arguments: &[&str]) -> Output {
    let mut command = Command::new(program("devnet"));
    command.args(arguments).stdin(Stdio::null()).output().expect("devnet runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn assert_well(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Checks that it failed; returns what it said about that.
fn assert_refused(output: &Output) -> String {
    assert!(!output.status.success(), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn lives(id: &str) -> bool {
    // A zombie has no program any more.
    std::fs::read_link(Path::new("/proc").join(id).join("exe")).is_ok()
}

#[tokio::test]
async fn a_stack_in_the_background_comes_back_when_it_is_up_and_is_ended_once() {
    let background = Background::new();
    let said = assert_well(&background.start());
    assert!(said.contains("The mesh stands") && said.contains("devnet down"), "{said}");
    let id = background.id();
    assert!(lives(&id));

    let said = assert_refused(&background.start());
    assert!(said.contains(&format!("runs already (process {id})")), "{said}");
    assert!(said.contains("end it first with `make down` or `devnet down`"), "{said}");

    let said = assert_well(&background.down());
    assert_eq!(said, format!("The cluster (process {id}) has ended.\n"));
    assert!(!lives(&id), "not before it has ended");
    assert_eq!(assert_well(&background.down()), "No detached cluster runs.\n");
}

#[tokio::test]
async fn what_a_crash_left_hinders_neither_down_nor_the_next_start() {
    let background = Background::new();
    assert_well(&background.start());
    let id = background.id();
    assert!(Command::new("kill").args(["-KILL", &id]).status().expect("kill runs").success());
    until("the process has ended", || (!lives(&id)).then_some(())).await;
    assert_eq!(background.id(), id, "the file still names it");
    assert_eq!(assert_well(&background.down()), "No detached cluster runs.\n");
    assert_well(&background.start());
    assert_ne!(background.id(), id);
}

#[test]
fn a_stack_in_the_background_that_does_not_start_says_why() {
    let background = Background::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let arguments = ["--nodes", "1", "--proxies", "0", "--detach", "--base-port", &port];
    let output = devnet(&[&arguments[..], &["--state", background.state()]].concat());
    let said = assert_refused(&output);
    for part in ["ended before it was ready", "sidecar of node 1", &port, "--base-port"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert_eq!(assert_well(&background.down()), "No detached cluster runs.\n");
}

#[test]
fn what_devnet_cannot_do_is_refused_with_what_it_can() {
    for (arguments, parts) in [
        (&["--nodes", "0"][..], &["'0'", "--nodes", "1..=64"][..]),
        (&["--nodes", "65"], &["'65'", "--nodes", "1..=64"]),
        (&["--mode", "floodsub"], &["'floodsub'", "--mode", "optimum", "gossipsub"]),
        (&["--base-port", "65535"], &["65535", "choose a --base-port of at most"]),
        (&["--state", "/dev/null/x", "--detach"], &["/dev/null/x"]),
        (&["down", "--state", "/dev/null/x"], &["/dev/null/x"]),
    ] {
        let said = assert_refused(&devnet(arguments));
        assert!(parts.iter().all(|part| said.contains(part)), "{arguments:?}: {said}");
    }
}

#[test]
fn without_prometheus_on_the_path_devnet_says_how_to_go_on_and_ends() {
    let nowhere = tempfile::tempdir().expect("a folder");
    let output = Command::new(program("devnet"))
        .args(SMALL)
        .arg("--prometheus")
        .env("PATH", nowhere.path())
        .output()
        .expect("devnet runs");
    let said = assert_refused(&output);
    for part in ["prometheus is not on the PATH", "apt-get install", "without --prometheus"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

/// Returns the health of each target that the Prometheus at `url` scrapes.
async fn targets(client: &Client, url: &str) -> Vec<String> {
    let Ok(answer) = client.get(format!("{url}/api/v1/targets")).send().await else {
        return Vec::new();
    };
    let answer = answer.text().await.expect("a body");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let targets = answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
    targets.iter().map(|target| target["health"].as_str().expect("text").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prometheus_scrapes_the_stack_and_does_not_outlive_it_however_that_ends() {
    if Command::new("prometheus").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI has prometheus");
        println!("prometheus is not installed: not tried");
        return;
    }
    let client = Client::builder().no_proxy().build().expect("a client");
    let temporary = tempfile::tempdir().expect("a folder");
    let files = || std::fs::read_dir(temporary.path()).expect("readable").count();
    for signal in ["-TERM", "-KILL"] {
        let arguments = [&SMALL[..], &["--prometheus", "--json", "--no-page"]].concat();
        let mut command = Command::new(program("devnet"));
        let command = command.args(&arguments).env("TMPDIR", temporary.path());
        let mut devnet = Program::run(command);
        let ready: Value = serde_json::from_str(&devnet.line_with("\"ready\"")).expect("JSON");
        let url = ready["prometheus"].as_str().expect("a URL");
        let all_up = async {
            // Another process is asked until it says so; the limit is below.
            while targets(&client, url).await != ["up"; 3] {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let all_up = tokio::time::timeout(LIMIT, all_up).await;
        assert!(all_up.is_ok(), "{:?}", targets(&client, url).await);
        devnet.signal(signal);
        assert_eq!(devnet.ended().await.success(), signal == "-TERM");
        let address = url.strip_prefix("http://").expect("HTTP");
        until("its port is free", || TcpListener::bind(address).ok()).await;
        let (none, left) = (Background::new(), 2 * usize::from(signal == "-KILL"));
        // What is Prometheus', and the identities.
        assert_eq!(files(), left, "{signal}");
        let mut down = Command::new(program("devnet"));
        let down = down.args(["down", "--state", none.state()]).env("TMPDIR", temporary.path());
        assert_well(&down.output().expect("devnet runs"));
        assert_eq!(files(), 0);
    }
}
