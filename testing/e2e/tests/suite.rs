//! `test_suite.sh` against a stack of `devnet`, and against nobody.

use std::process::{Command, Output};

use e2e::{program, program_process::Program, proxy_process::ProxyCommand, repository};
use serde_json::Value;

/// Addresses of a stack that runs as long as this is held.
struct Stack {
    variables: Vec<(&'static str, String)>,
    /// Of all nodes, as a proxy takes them.
    sidecars: String,
    _devnet: Program,
}

impl Stack {
    fn start(mode: &str) -> Self {
        let arguments = ["--json", "--base-port", "0", "--no-page", "--mode", mode];
        let devnet = Program::start("devnet", &arguments);
        let started: Value =
            serde_json::from_str(&devnet.line_with(r#""event":"started""#)).expect("JSON");
        let url = |at: &str| format!("http://{}", text(&started, at));
        let variables = vec![
            ("PROXY", url("/proxies/0/http")),
            ("PROXY_2", url("/proxies/1/http")),
            ("PROXY_GRPC", text(&started, "/proxies/0/grpc")),
            ("NODE", url("/nodes/0/api")),
        ];
        let sidecars = (0..4).map(|node| text(&started, &format!("/nodes/{node}/sidecar")));
        let sidecars = sidecars.collect::<Vec<_>>().join(",");
        devnet.line_with(r#""event":"ready""#);
        Self { variables, sidecars, _devnet: devnet }
    }
}

fn text(value: &Value, at: &str) -> String {
    value.pointer(at).and_then(Value::as_str).unwrap_or_else(|| panic!("{at}")).to_owned()
}

fn suite() -> Command {
    let mut command = Command::new("bash");
    command.arg(repository("test_suite.sh"));
    command
}

fn printed(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part));
    format!("{out}{err}")
}

fn assert_passes(mode: &str) {
    let stack = Stack::start(mode);
    let programs = program("mump2p");
    let output = suite()
        .envs(stack.variables.iter().cloned())
        .env("BIN_DIR", programs.parent().expect("a folder"))
        .output()
        .expect("bash runs");
    let said = printed(&output);
    assert!(output.status.success(), "{said}");
    for name in [
        "WebSocket delivery",
        "delivery when all nodes have it",
        "gRPC delivery",
        "gRPC delivery to proxy-client",
        "snapshot of a node",
    ] {
        assert!(said.contains(&format!("[PASS] {name}\n")), "{name}: {said}");
    }
    // Only wscat may be missing.
    assert!(said.contains(" passed, 0 failed, ") && said.matches("[SKIP]").count() <= 1, "{said}");
    if std::env::var_os("CI").is_some() {
        assert!(said.ends_with(" 0 failed, 0 skipped\n"), "CI skips nothing: {said}");
    }
}

#[test]
fn the_suite_passes_against_a_stack_of_coded_gossip() {
    assert_passes("optimum");
}

#[test]
fn the_suite_passes_against_a_stack_of_gossipsub() {
    assert_passes("gossipsub");
}

#[tokio::test]
async fn the_suite_fails_before_a_proxy_that_waits_for_no_threshold() {
    let stack = Stack::start("optimum");
    let proxy = ProxyCommand::new(&[]).with("FALLBACK_DELAY", "0s");
    let proxy = proxy.with("P2P_NODES", &stack.sidecars).start().await;
    proxy.until_nodes(4).await;
    let output = suite()
        .envs(stack.variables.iter().cloned())
        .env("BIN_DIR", program("mump2p").parent().expect("a folder"))
        .env("PROXY", format!("http://{}", proxy.http))
        .env("PROXY_GRPC", proxy.grpc.to_string())
        .output()
        .expect("bash runs");
    let said = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let failed = said.lines().filter(|line| line.starts_with("[FAIL]")).collect::<Vec<_>>();
    let [failed] = failed[..] else { panic!("one check alone fails: {said}") };
    let because = "delivery when all nodes have it: came below the threshold: ";
    assert!(failed.contains(because), "{said}");
}

#[test]
fn the_suite_fails_where_nobody_listens_and_says_so() {
    // Port 1 of loopback: nobody has it.
    let [proxy, node] = ["http://127.0.0.1:1"; 2];
    let output = suite()
        .envs([("PROXY", proxy), ("PROXY_2", proxy), ("NODE", node), ("PROXY_GRPC", "127.0.0.1:1")])
        .env("PATH", "/usr/bin:/bin")
        .env("BIN_DIR", program("mump2p").parent().expect("a folder"))
        .output()
        .expect("bash runs");
    let said = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("[FAIL] subscribe: ") && !said.contains("[PASS]"), "{said}");
}
