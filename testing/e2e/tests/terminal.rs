//! The terminal pages of mump2p, before real nodes and a real proxy, and the view of devnet.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    num::NonZeroU16,
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use e2e::{
    node_process::{cluster, until},
    program,
    proxy_process::ProxyCommand,
};
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use serde_json::Value;

const ROWS: NonZeroU16 = NonZeroU16::new(30).expect("not 0");

const COLUMNS: NonZeroU16 = NonZeroU16::new(100).expect("not 0");

/// A program in a terminal.
struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn std::io::Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// The settings of the terminal before the program had it.
    before: String,
    path: String,
    // What is read from ends when it is dropped.
    _master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    /// mump2p in a terminal that has room.
    fn run(home: &std::path::Path, arguments: &[&str]) -> Self {
        Self::sized(ROWS, COLUMNS, home, "mump2p", arguments)
    }

    fn sized(
        rows: NonZeroU16,
        columns: NonZeroU16,
        home: &std::path::Path,
        name: &str,
        arguments: &[&str],
    ) -> Self {
        let size =
            PtySize { rows: rows.get(), cols: columns.get(), pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let path = pair.master.tty_name().expect("a name").display().to_string();
        let before = settings(&path);
        let mut command = CommandBuilder::new(program(name));
        command.env_clear();
        command.env("HOME", home);
        command.env("TERM", "xterm-256color");
        command.args(arguments);
        let child = pair.slave.spawn_command(command).expect("it runs");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let (mut output, shown) =
            (pair.master.try_clone_reader().expect("a reader"), Arc::clone(&screen));
        // Kept open, so that the settings can be read when the program has ended.
        let slave = pair.slave;
        std::thread::spawn(move || {
            let _slave = slave;
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut piece) {
                shown.lock().expect("whole").process(&piece[..count]);
            }
        });
        let keys = pair.master.take_writer().expect("a writer");
        Self { child, keys, screen, before, path, _master: pair.master }
    }

    fn id(&self) -> String {
        self.child.process_id().expect("it runs").to_string()
    }

    /// Sends a signal, named as `kill` does: `-INT`.
    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.id()]).status();
        assert!(status.expect("kill runs").success());
    }

    fn text(&self) -> String {
        self.screen.lock().expect("whole").screen().contents()
    }

    async fn until_shown(&self, part: &str) {
        let shown = || self.text().contains(part).then_some(());
        until(&format!("{part:?} is shown, not\n{}", self.text()), shown).await;
    }

    fn press(&mut self, key: &str) {
        self.keys.write_all(key.as_bytes()).and_then(|()| self.keys.flush()).expect("it reads");
    }

    /// Waits for the end, and checks that the terminal is as it was.
    async fn ended(&mut self) -> ExitStatus {
        let status = until("the program has ended", || self.child.try_wait().expect("ours")).await;
        assert_eq!(settings(&self.path), self.before, "the settings are those from before");
        let restored = || {
            let parser = self.screen.lock().expect("whole");
            (!parser.screen().alternate_screen() && !parser.screen().hide_cursor()).then_some(())
        };
        until("the screen from before is back, with its cursor", restored).await;
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn settings(path: &str) -> String {
    let output = Command::new("stty").args(["-g", "-F", path]).output().expect("stty runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn mump2p(home: &std::path::Path, arguments: &[&str]) -> (Output, String, String) {
    let mut command = Command::new(program("mump2p"));
    let output = command.env_clear().env("HOME", home).args(arguments).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    (output, stdout, stderr)
}

/// An address where nobody listens.
fn nobody() -> String {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr());
    format!("http://{}", free.expect("a free port"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tracers_dashboard_shows_what_it_publishes_and_gives_the_terminal_back() {
    let home = tempfile::tempdir().expect("a folder");
    let nodes = cluster(2, |node| node).await;
    let proxy = ProxyCommand::new(&nodes).start().await;
    proxy.until_nodes(2).await;
    let url = format!("http://{}", proxy.http);
    let common = ["tracer", "dashboard", "--service-url", &url, "--window", "1m"];
    let publishing = ["--count", "3", "--interval-ms", "50", "--size", "5000", "--topic", "shown"];
    let arguments = [&common[..], &publishing].concat();
    let mut terminal = Terminal::run(home.path(), &arguments);
    terminal.until_shown(&format!("{url}  window 1m0s  algorithm optimum")).await;
    terminal.until_shown("2 active, 0 unhealthy").await;
    terminal.until_shown("published 3 of 3 messages, 5000 bytes each on shown").await;
    terminal.until_shown("Slowest of 3 messages").await;
    assert!(terminal.screen.lock().expect("whole").screen().alternate_screen());
    terminal.press("r");
    terminal.until_shown("Slowest of 0 messages").await;
    terminal.press("q");
    assert!(terminal.ended().await.success());

    let quiet = [&common[..], &["--count", "0"]].concat();
    let mut terminal = Terminal::run(home.path(), &quiet);
    terminal.until_shown("publishing nothing").await;
    terminal.press("\u{3}");
    assert!(terminal.ended().await.success(), "Ctrl-C is a key that quits");

    let mut terminal = Terminal::run(home.path(), &quiet);
    terminal.until_shown("publishing nothing").await;
    terminal.signal("-TERM");
    assert!(!terminal.ended().await.success(), "ended from outside");

    let (output, json, _) = mump2p(home.path(), &[&quiet[..], &["--output", "json"]].concat());
    assert!(output.status.success());
    let picture: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&picture["active_nodes"], &picture["window_seconds"]), (&2.into(), &60.into()));

    let mut terminal = Terminal::run(home.path(), &quiet);
    terminal.until_shown("2 active, 0 unhealthy").await;
    proxy.kill();
    terminal.until_shown("no answer from").await;
    terminal.until_shown("2 active, 0 unhealthy").await;
    terminal.press("q");
    assert!(terminal.ended().await.success());
}

#[tokio::test]
async fn the_tracers_dashboard_says_what_it_needs_before_it_takes_the_terminal() {
    let home = tempfile::tempdir().expect("a folder");
    let url = nobody();
    let arguments = ["tracer", "dashboard", "--service-url", &url];
    let (output, _, stderr) = mump2p(home.path(), &arguments);
    assert!(!output.status.success() && stderr.contains("needs a terminal"), "{stderr}");
    let mut terminal = Terminal::run(home.path(), &arguments);
    assert!(!terminal.ended().await.success());
    assert!(terminal.text().contains("cannot reach http://127.0.0.1:"), "{}", terminal.text());
    for wrong in ["--window=0", "--tick-ms=1", "--rows=0", "--size=0", "--interval-ms=x"] {
        let (output, _, stderr) = mump2p(home.path(), &[&arguments[..], &[wrong]].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong}: {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_networks_dashboard_tells_the_living_from_the_dead() {
    let home = tempfile::tempdir().expect("a folder");
    let mut nodes = cluster(2, |node| node).await;
    let proxy = ProxyCommand::new(&nodes).start().await;
    proxy.until_nodes(2).await;
    let apis = nodes.iter().map(|node| format!("http://{}", node.api)).collect::<Vec<_>>();
    let dead = nodes.pop().expect("two");
    dead.kill();
    nodes[0].until_peers(0).await;
    let proxy_url = format!("http://{}", proxy.http);
    let apis = apis.join(",");
    let arguments = ["dashboard", "-proxies", &proxy_url, "-nodes", &apis];
    let (output, text, stderr) = mump2p(home.path(), &arguments);
    assert!(output.status.success(), "{stderr}");
    let row = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).expect("a row").to_owned();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("proxy-1")[1], "UP");
    assert_eq!((row("node-1")[1].as_str(), row("node-1")[5].as_str()), ("UP", "0"));
    assert_eq!(row("node-2")[1..8], ["DOWN", "N/A", "N/A", "N/A", "N/A", "N/A", "N/A"]);
    assert!(text.contains(&format!("node-1 (Peer ID: {})", nodes[0].peer_id)), "{text}");
    assert!(text.contains("\nnode-2: no answer from http://127.0.0.1:"), "{text}");
    assert!(text.starts_with(&"=".repeat(100)) && text.contains("mump2p NETWORK DASHBOARD"));

    let (output, json, _) = mump2p(home.path(), &[&arguments[..], &["--output", "json"]].concat());
    assert!(output.status.success());
    let report: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(report["nodes"][0]["peer_id"], nodes[0].peer_id.as_str());
    assert_eq!(report["nodes"][1]["status"], "DOWN");

    let mut terminal = Terminal::run(home.path(), &[&arguments[..], &["--watch", "20ms"]].concat());
    terminal.until_shown("node-2          DOWN").await;
    terminal.press("\u{3}");
    assert!(terminal.ended().await.success());

    let nobody = nobody();
    let (output, text, stderr) = mump2p(home.path(), &["dashboard", "--nodes", &nobody]);
    assert!(output.status.code() == Some(1) && text.contains("DOWN"), "{text}");
    assert!(stderr.contains("nobody answers"), "{stderr}");
    let (output, _, stderr) = mump2p(home.path(), &["dashboard"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.starts_with("Error: No proxies or nodes specified. Use -local,"), "{stderr}");
}

/// The command line that started it has a line as well, and so has the cursor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_of_devnet_and_its_view_fit_on_one_screen() {
    let home = tempfile::tempdir().expect("a folder");
    let [rows, columns] = [24, 80].map(|size| NonZeroU16::new(size).expect("not 0"));
    let arguments = ["--base-port", "0"];
    let mut terminal = Terminal::sized(rows, columns, home.path(), "devnet", &arguments);
    // Drawn more than once.
    terminal.until_shown("up 00:00:01").await;
    let text = terminal.text();
    assert!(text.starts_with("127.0.0.1  gRPC   HTTP   libp2p\nnode 1     "), "{text}");
    for part in ["\nproxy 2    ", "Try it ", "Live page: http://", "\nno warnings"] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(text.trim_end().lines().count() <= 22, "{text}");
    terminal.press("\u{3}");
    assert!(terminal.ended().await.success());
}

/// What the shell prints meanwhile is the shell's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_view_of_devnet_goes_on_below_what_was_printed_while_it_was_stopped() {
    let home = tempfile::tempdir().expect("a folder");
    let [rows, columns] = [60, 80].map(|size| NonZeroU16::new(size).expect("not 0"));
    let arguments = ["--nodes", "2", "--proxies", "0", "--base-port", "0"];
    let mut terminal = Terminal::sized(rows, columns, home.path(), "devnet", &arguments);
    terminal.until_shown("up 00:00:01").await;
    terminal.signal("-STOP");
    let status = std::path::PathBuf::from(format!("/proc/{}/stat", terminal.id()));
    let stopped =
        || std::fs::read_to_string(&status).expect("it runs").contains(") T ").then_some(());
    until("it is stopped", stopped).await;
    let shell = "[1]+  Stopped\r\n$ fg\r\ndevnet\r\n";
    std::fs::write(&terminal.path, shell).expect("a terminal");
    terminal.until_shown("$ fg\ndevnet").await;
    terminal.signal("-CONT");
    let goes_on = || {
        let text = terminal.text();
        text.split_once("[1]+  Stopped\n$ fg\ndevnet\n")
            .is_some_and(|(_, below)| below.starts_with("-- up ") && below.contains("no warnings"))
            .then_some(())
    };
    until("the view is drawn below", goes_on).await;
    terminal.press("\u{3}");
    assert!(terminal.ended().await.success());
}
