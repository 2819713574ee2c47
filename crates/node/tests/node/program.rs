//! The program p2pnode as a process.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpStream,
    process::{Child, Command, Output, Stdio},
};

/// The program with nothing set but what keeps it on free ports of loopback.
fn program(identity: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_p2pnode"));
    command
        .env_clear()
        .env("BIND_ADDRESS", "127.0.0.1")
        .envs(["SIDECAR_PORT", "API_PORT", "OPTIMUM_PORT"].map(|name| (name, "0")))
        .env("IDENTITY_DIR", identity)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts the program and reads its log up to the line that says it runs.
fn started(mut command: Command) -> (Child, serde_json::Value, impl Iterator<Item = String>) {
    let mut child = command.spawn().expect("runs");
    let mut log = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let line = log.find(|line| line.contains("node started")).expect("it starts");
    (child, serde_json::from_str(&line).expect("JSON"), log)
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
}

fn refused(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().expect("runs");
    assert!(!status.success(), "it must not start");
    assert_eq!(status.code(), Some(1), "an error, not a panic");
    String::from_utf8(stderr).expect("text")
}

#[test]
fn a_signal_ends_it_with_success_and_its_identity_stays() {
    let identity = tempfile::tempdir().expect("a directory");
    let mut peers = Vec::new();
    for name in ["TERM", "INT"] {
        let (mut child, line, log) = started(program(identity.path()));
        peers.push(line["peer"].as_str().expect("text").to_owned());
        TcpStream::connect(line["api"].as_str().expect("text")).expect("it listens");
        signal(&child, name);
        assert!(log.last().expect("more lines").contains("node stopped"));
        assert!(child.wait().expect("ends").success());
    }
    assert_eq!(peers[0], peers[1]);
}

#[test]
fn a_wrong_value_is_refused_naming_variable_value_and_what_is_allowed() {
    let identity = tempfile::tempdir().expect("a directory");
    for (variable, value, allowed) in [
        ("SIDECAR_PORT", "70000", "0 to 65535"),
        ("OPTIMUM_MAX_MSG_SIZE", "1MB", "an integer from 1"),
        ("BOOTSTRAP_PEERS", "/ip4/127.0.0.1/tcp/7070", "/p2p/<peer id>"),
    ] {
        let log = refused(program(identity.path()).env(variable, value));
        for part in [variable, value, allowed] {
            assert!(log.contains(part), "{part} is not in {log}");
        }
    }
}

#[test]
fn a_setting_of_the_other_profile_is_told_to_be_without_effect() {
    let identity = tempfile::tempdir().expect("a directory");
    for (profile, told) in [("adaptive", true), ("documented", false)] {
        let mut command = program(identity.path());
        command.env("OPTIMUM_PROFILE", profile).env("OPTIMUM_SHARD_FACTOR", "8");
        let mut child = command.spawn().expect("runs");
        let log = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let mut log = log.take_while(|line| !line.contains("node started"));
        let is_told = |line: String| {
            line.contains("OPTIMUM_SHARD_FACTOR")
                && line.contains("without effect in profile adaptive")
        };
        assert_eq!(log.any(is_told), told);
        signal(&child, "TERM");
        // Nobody reads its log any more, which is no failure.
        assert!(child.wait().expect("ends").success());
    }
}

#[test]
fn a_broken_identity_is_refused_and_left_untouched() {
    let identity = tempfile::tempdir().expect("a directory");
    let file = identity.path().join("p2p.key");
    std::fs::write(&file, "12345678{}").expect("written");
    let log = refused(&mut program(identity.path()));
    assert!(log.contains("checksum mismatch") && log.contains("p2p.key"), "{log}");
    assert_eq!(std::fs::read(&file).expect("there"), b"12345678{}");
}

#[test]
fn check_prints_the_settings_or_what_is_wrong_with_them() {
    let identity = tempfile::tempdir().expect("a directory");
    let output = program(identity.path()).args(["--check"]).env("CLUSTER_ID", "mine").output();
    let output = output.expect("runs");
    assert_eq!(output.status.code(), Some(0));
    let settings = String::from_utf8(output.stdout).expect("text");
    for line in ["CLUSTER_ID=mine", "SIDECAR_PORT=0", "OPTIMUM_SHARD_FACTOR=4 (default)"] {
        assert!(settings.lines().any(|shown| shown == line), "{line} is not in {settings}");
    }
    for (variable, value) in [("API_PORT", "x"), ("GEOIP_DB", "/does/not/exist")] {
        let problem = refused(program(identity.path()).arg("--check").env(variable, value));
        assert!(problem.contains(variable) && problem.contains(value), "{problem}");
    }
    assert_eq!(std::fs::read_dir(identity.path()).expect("a directory").count(), 0);
}

#[test]
fn healthcheck_tells_whether_the_node_of_its_port_is_well() {
    let identity = tempfile::tempdir().expect("a directory");
    let (mut child, line, _log) = started(program(identity.path()));
    let address = line["api"].as_str().expect("text");
    let port = address.rsplit(':').next().expect("a port");
    let mut ask = program(identity.path());
    ask.arg("healthcheck").env("API_PORT", port);
    let output = ask.output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).expect("text").lines().count(), 1);
    signal(&child, "TERM");
    assert!(child.wait().expect("ends").success());
    let problem = refused(&mut ask);
    assert_eq!(problem.lines().count(), 1, "{problem}");
}

#[test]
fn help_lists_every_variable() {
    let identity = tempfile::tempdir().expect("a directory");
    let output = program(identity.path()).arg("--help").output().expect("runs");
    let help = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success());
    for (name, default, _) in node::variables() {
        assert!(help.contains(name) && help.contains(default), "{name} is not in {help}");
    }
    let output = program(identity.path()).arg("--version").output().expect("runs");
    let version = String::from_utf8(output.stdout).expect("text");
    assert_eq!(version, format!("p2pnode {} ({})\n", node::VERSION, node::COMMIT));
}
