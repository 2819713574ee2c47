//! The guide's scripts and make targets, each in a folder of its own with programs that only say
//! what they were given.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use e2e::program;
use tempfile::TempDir;

/// What scripts use of the system.
const TOOLS: [&str; 20] = [
    "awk", "bash", "cat", "dirname", "echo", "env", "flock", "grep", "id", "install", "ln", "make",
    "mkdir", "rm", "sed", "sh", "sort", "tr", "true", "[",
];

/// A copy of Makefile and scripts, with nothing else on the PATH than what they need.
struct Checkout(TempDir);

impl Checkout {
    fn new() -> Self {
        let here = Self(tempfile::tempdir().expect("a folder"));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let tools = here.path("tools");
        for folder in ["tools", "script", "target/debug", "grpc_proxy_client"] {
            fs::create_dir_all(here.path(folder)).expect("a folder");
        }
        for tool in TOOLS {
            let paths = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool));
            let path = paths.iter().find(|path| path.exists()).expect(tool);
            symlink(path, tools.join(tool)).expect("a link");
        }
        fs::copy(root.join("Makefile"), here.path("Makefile")).expect("copied");
        for name in ["generate-identity.sh", "proxy_client.sh", "make-client.sh"] {
            fs::copy(root.join("script").join(name), here.path("script").join(name))
                .expect("copied");
        }
        here
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a program somewhere that says how it is called.
    fn say(&self, name: &str, says: &str) {
        let path = self.path(name);
        let script = format!("#!/bin/sh\nprintf '{says}'\nprintf ' [%s]' \"$@\"\necho\n");
        fs::write(&path, script).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    }

    /// Puts what cargo would build where cargo puts it, and no cargo.
    fn built(&self) {
        for name in [
            "p2p-client",
            "p2p-multi-publish",
            "p2p-multi-subscribe",
            "proxy-client",
            "mump2p",
            "p2pnode",
            "proxy",
        ] {
            self.say(&format!("target/debug/{name}"), name);
        }
        fs::copy(program("keygen"), self.path("target/debug/keygen")).expect("copied");
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.path("tools").join(name));
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", self.path("tools"))
            .stdin(Stdio::null());
        command
    }

    fn make(&self, words: &[&str]) -> (bool, String) {
        let mut command = self.command("make");
        result(command.args(["CARGO=true", "PROFILE=dev"]).args(words).output())
    }

    fn dash(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = self.command("env");
        result(command.args(["/bin/dash", "script/proxy_client.sh"]).args(arguments).output())
    }
}

/// Returns whether it went well, and all that was printed.
fn result(output: std::io::Result<Output>) -> (bool, String) {
    let output = output.expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn make_builds_the_clients_where_the_guide_runs_them_and_clean_removes_them() {
    let here = Checkout::new();
    here.built();
    let (well, said) = here.make(&["build"]);
    assert!(well && said.contains("All clients built successfully"), "{said}");
    let programs = [
        "grpc_p2p_client/p2p-client",
        "grpc_p2p_client/p2p-multi-publish",
        "grpc_p2p_client/p2p-multi-subscribe",
        "grpc_proxy_client/proxy-client",
        "grpc_proxy_client/proxy_client",
        "keygen/keygen",
        "bin/mump2p",
        "bin/p2pnode",
        "bin/proxy",
    ];
    assert!(programs.iter().all(|name| here.path(name).exists()));
    let (well, said) = here.make(&["clean"]);
    assert!(well, "{said}");
    assert!(programs.iter().all(|name| !here.path(name).is_symlink() && !here.path(name).exists()));
}

#[test]
fn make_clean_leaves_everything_alone_while_a_stack_runs_in_the_background() {
    let here = Checkout::new();
    here.built();
    assert!(here.make(&["build"]).0);
    fs::create_dir(here.path("target/devnet")).expect("a folder");
    // As devnet holds it.
    let lock = fs::File::create(here.path("target/devnet/devnet.pid")).expect("a file");
    lock.lock().expect("nobody else knows it");
    let (well, said) = here.make(&["clean"]);
    assert!(!well && said.contains("end it first with make down"), "{said}");
    assert!(here.path("bin/mump2p").exists());
    drop(lock);
    let (well, said) = here.make(&["clean"]);
    assert!(well, "{said}");
    assert!(!here.path("bin/mump2p").exists());
}

#[test]
fn make_publish_and_subscribe_hand_their_words_to_the_client() {
    let here = Checkout::new();
    here.built();
    let (well, said) = here.make(&["subscribe", "127.0.0.1:1", "topic"]);
    assert!(well, "{said}");
    assert!(said.contains("p2p-client [-mode=subscribe] [-addr=127.0.0.1:1] [-topic=topic]"));
    assert!(said.contains("Generating new P2P identity...\nPeer ID: 12D3KooW"), "{said}");
    // Words that are targets are words.
    for (words, arguments) in [
        (&["clean", "hello"][..], "[-topic=clean] [-msg=hello] [-count=1] [-sleep=0s]"),
        (&["test", "random", "10"], "[-topic=test] [-msg=random] [-count=10] [-sleep=0s]"),
        (&["t", "random", "3", "2"], "[-topic=t] [-msg=random] [-count=3] [-sleep=2s]"),
        (&["t", "random", "3", "500ms"], "[-topic=t] [-msg=random] [-count=3] [-sleep=500ms]"),
        (&["t", "hello", "1", "2"], "[-topic=t] [-msg=hello] [-count=1] [-sleep=2s]"),
        (&["t", "Hello", "wide", "*"], "[-topic=t] [-msg=Hello wide *]"),
        // Whatever a shell hands over as one word stays one.
        (&["t", "Hello  wide *"], "[-topic=t] [-msg=Hello  wide *] [-count=1] [-sleep=0s]"),
        (&["t", "Version 2"], "[-topic=t] [-msg=Version 2] [-count=1] [-sleep=0s]"),
        (&["t", "a\n`id` $(X) \"b"], "[-topic=t] [-msg=a\n`id` $(X) \"b] [-count=1] [-sleep=0s]"),
        (&["--", "t", "-n"], "[-topic=t] [-msg=-n] [-count=1] [-sleep=0s]"),
        (&["t", "hello", "PROFILE=dev"], "[-topic=t] [-msg=hello] [-count=1] [-sleep=0s]"),
    ] {
        let (well, said) = here.make(&[&["publish", "a:1"], words].concat());
        let line = format!("p2p-client [-mode=publish] [-addr=a:1] {arguments}\n");
        assert!(well && said.contains(&line), "{line}{said}");
        assert!(said.contains("P2P identity already exists at ./identity/p2p.key"), "{said}");
        assert_eq!(said.matches("p2p-client [").count(), 1, "{said}");
    }
}

#[test]
fn make_publish_loses_no_word_silently() {
    let here = Checkout::new();
    here.built();
    for (words, reason) in [
        (&["a:1", "t", "a=b"][..], "a=b is a variable to make"),
        (&["a:1", "t", "x = y"], "x = y is a variable to make"),
        (&["a:1", "t", "-n"], "-n is an option to make; behind two dashes it is a word"),
        (&["a:1", "-n"], "-n is an option to make"),
    ] {
        let (well, said) = here.make(&[&["publish"], words].concat());
        assert!(!well && said.contains(reason), "{words:?}: {said}");
        assert!(!said.contains("p2p-client ["), "{words:?}: {said}");
    }
    let (well, said) = here.make(&["publish", "a:1", "t", "Version", "2"]);
    assert!(well && said.contains("[-msg=Version] [-count=2]"), "{said}");
    assert!(said.contains("the text \"Version\" is not published"), "{said}");
}

#[test]
fn where_no_process_is_shown_a_number_behind_a_text_is_refused() {
    let here = Checkout::new();
    here.say("client", "client");
    let run = |words: &str| {
        let mut command = here.command("sh");
        command.args(["script/make-client.sh", "publish"]);
        result(command.env("CLIENT", "./client").env("ARGUMENTS", words).output())
    };
    let (well, said) = run("a:1 t Version 2");
    assert!(!well && said.contains("whether 2 is a count or a part of the message"), "{said}");
    for (words, expected) in [
        ("a:1 t random 2", "[-msg=random] [-count=2] [-sleep=0s]\n"),
        ("a:1 t Hello wide world", "[-msg=Hello wide world]\n"),
    ] {
        let (well, said) = run(words);
        assert!(well && said.ends_with(expected), "{said}");
    }
}

#[test]
fn make_that_only_shows_what_it_would_do_makes_no_identity() {
    let here = Checkout::new();
    here.built();
    assert!(here.make(&["build"]).0);
    for words in [
        &["-n", "generate-identity"][..],
        &["-n", "subscribe", "a:1", "t"],
        &["-n", "publish", "a:1", "t", "hello"],
    ] {
        let (well, said) = here.make(words);
        assert!(well && said.contains("./keygen"), "{words:?}: {said}");
        assert!(!here.path("identity").exists(), "{words:?}: {said}");
    }
    let (well, said) = here.make(&["-n", "publish", "a:1", "t"]);
    assert!(!well && said.contains("Usage: make publish"), "{said}");
}

#[test]
fn make_says_what_is_missing_and_does_nothing_else() {
    let here = Checkout::new();
    for (words, usage) in [
        (&["subscribe"][..], "Usage: make subscribe <addr> <topic>\nExample: make subscribe "),
        (&["subscribe", "a:1"], "Usage: make subscribe"),
        (&["publish", "a:1", "t"], "Usage: make publish <addr> <topic> <message|random> [count]"),
        (&["dashboard", "remote"], "Usage: make dashboard [local|remote]"),
        (&["dashboard", "elsewhere"], "Usage: make dashboard"),
        (&["publishh", "a:1", "t", "hello"], "No rule to make target"),
        (&["generate-identity", "subscribe"], "each is the first target of a make of its own"),
        (&["help", "publish", "a:1", "t", "x"], "each is the first target of a make of its own"),
        (&["lint-all"], "No rule to make target"),
    ] {
        let (well, said) = here.make(&[&["MUMP2P=true"], words].concat());
        assert!(!well && said.contains(usage), "{words:?}: {said}");
    }
    assert!(!here.path("identity").exists());
}

#[test]
fn make_dashboard_asks_the_places_it_is_given() {
    let here = Checkout::new();
    here.say("tools/mump2p", "mump2p");
    for (words, arguments) in [
        (&["dashboard"][..], "[dashboard] [--local]"),
        (&["dashboard", "local"], "[dashboard] [--local]"),
        (&["dashboard", "proxy-base=a,b"], "[dashboard] [--proxy-base] [a,b]"),
        (
            &["dashboard", "remote", "proxy-base=a", "node-base=b"],
            "[dashboard] [--proxy-base] [a] [--node-base] [b]",
        ),
        (&["dashboard", "local", "node-base=b"], "[dashboard] [--local] [--node-base] [b]"),
    ] {
        let (well, said) = here.make(&[&["MUMP2P=mump2p"], words].concat());
        assert!(well && said.contains(&format!("mump2p {arguments}\n")), "{words:?}: {said}");
    }
}

#[test]
fn make_help_lists_the_targets_and_how_to_do_without_make() {
    let (well, said) = Checkout::new().make(&[]);
    assert!(well, "{said}");
    for line in [
        "\u{1b}[36mbuild                         \u{1b}[0m ",
        "\u{1b}[36mci                            \u{1b}[0m Run all CI checks locally\n",
        "\u{1b}[36mtest-docker                   \u{1b}[0m ",
        "\u{1b}[36mtest-scripts                  \u{1b}[0m ",
        "\u{1b}[36mvalidate                      \u{1b}[0m ",
        "\u{1b}[36mgenerate-identity             \u{1b}[0m Generate P2P identity (if missing)\n",
        "\u{1b}[36mpublish                       \u{1b}[0m publish message to p2p topic: make publish ",
        "\nDirect binary usage (recommended):\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn the_script_of_the_proxy_client_runs_in_any_shell() {
    let here = Checkout::new();
    let (well, said) = here.dash(&["subscribe", "t", "0.5"]);
    assert!(!well && said.contains("proxy-client is not built"), "{said}");
    here.say("grpc_proxy_client/proxy-client", "proxy-client");
    for (arguments, expected) in [
        (&["subscribe", "a b", "0.5"][..], "[-topic=a b] [-threshold=0.5] [-subscribeOnly]\n"),
        (
            &["subscribe", "t", "1", "-proxy=a:1"],
            "[-topic=t] [-threshold=1] [-subscribeOnly] [-proxy=a:1]\n",
        ),
        (
            &["publish", "t", "0.1", "7", "-rest=http://a:1"],
            "[-topic=t] [-threshold=0.1] [-count=7] [-rest=http://a:1]\n",
        ),
    ] {
        let (well, said) = here.dash(arguments);
        assert!(well && said == format!("proxy-client {expected}"), "{said}");
    }
    for arguments in [&[][..], &["subscribe", "t"], &["publish", "t", "0.1"]] {
        let (well, said) = here.dash(arguments);
        let usage = "Usage: script/proxy_client.sh (subscribe <topic> <threshold>)|(publish <topic> <threshold> <message-count>)\n";
        assert!(!well && said.starts_with(usage), "{said}");
    }
    assert_eq!(here.dash(&["listen"]), (false, "Invalid mode: listen\n".to_owned()));
}

#[test]
fn the_script_of_the_proxy_client_builds_it_where_there_is_none() {
    let here = Checkout::new();
    here.built();
    here.say("tools/cargo", "cargo");
    let run = || {
        let mut command = here.command("env");
        let command = command.env("PROFILE", "dev").args(["/bin/dash", "script/proxy_client.sh"]);
        result(command.args(["subscribe", "t", "1"]).output())
    };
    let (built, client) =
        ("[--package] [cli] [--bin] [proxy-client] [--profile] [dev]\n", "proxy-client [-topic=t]");
    let (well, said) = run();
    assert!(well && said.starts_with("cargo [build]"), "{said}");
    assert!(said.contains(built) && said.contains(client), "{said}");
    let (well, said) = run();
    assert!(well && said.starts_with(client), "what is there is not built again: {said}");
}

const GENERATE: &str = "script/generate-identity.sh";

/// Returns the id that a text exports.
fn exported(said: &str) -> String {
    let (_, id) = said.split_once("\nexport BOOTSTRAP_PEER_ID=").expect("it is told");
    id.lines().next().expect("an id").to_owned()
}

#[test]
fn an_identity_is_made_once_and_its_id_is_told() {
    let here = Checkout::new();
    symlink(program("keygen"), here.path("tools/keygen")).expect("a link");
    let (well, said) = result(here.command("bash").arg(GENERATE).output());
    assert!(well, "{said}");
    let id = exported(&said);
    assert!(id.starts_with("12D3KooW"), "{said}");
    for line in [
        "\u{1b}[0;34m[INFO] Generating P2P Bootstrap Identity...\u{1b}[0m\n",
        "[INFO] Creating identity directory...\u{1b}[0m\n",
        "[INFO] Using existing keygen script...\u{1b}[0m\n",
        "[INFO] Generating P2P keypair...\u{1b}[0m\n",
        "[SUCCESS] Generated P2P identity successfully!\u{1b}[0m\n",
        "[SUCCESS] Identity saved to: ./identity/p2p.key\u{1b}[0m\n",
        &format!("[SUCCESS] Peer ID: {id}\u{1b}[0m\n\n"),
        "[INFO] To use in docker-compose:\u{1b}[0m\n",
        &format!("[SUCCESS] Done! Your OptimumP2P peer ID: {id}\u{1b}[0m\n"),
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let file = fs::read(here.path("identity/p2p.key")).expect("made");
    for ci in ["CI", "GITHUB_ACTIONS"] {
        let (well, said) = result(here.command("bash").arg(GENERATE).env(ci, "true").output());
        assert!(well, "{said}");
        let lines = [
            "[WARNING] P2P identity already exists at ./identity/p2p.key",
            "[INFO] CI environment detected - using existing identity",
            &format!("[SUCCESS] BOOTSTRAP_PEER_ID={id}"),
        ];
        assert!(lines.iter().all(|line| said.contains(line)), "{said}");
        assert_eq!(exported(&said), id);
    }
    assert_eq!(fs::read(here.path("identity/p2p.key")).expect("there"), file);
}

#[test]
fn a_piped_script_makes_an_identity_and_a_sourced_one_exports_its_id_and_leaves_nothing() {
    let here = Checkout::new();
    fs::create_dir_all(here.path("target/release")).expect("a folder");
    fs::copy(program("keygen"), here.path("target/release/keygen")).expect("copied");
    let mut id = String::new();
    for shell in ["/bin/dash", "bash"] {
        // Somebody may have made one before.
        let _none = fs::remove_dir_all(here.path("identity"));
        let piped = format!("cat {GENERATE} | {shell}");
        let (well, said) = result(here.command("bash").args(["-c", &piped]).output());
        assert!(well, "{shell}: {said}");
        id = exported(&said);
        assert!(id.starts_with("12D3KooW"), "{said}");
        let sourced = format!(
            ". ./{GENERATE} >/dev/null; echo \"$BOOTSTRAP_PEER_ID\"; set | grep ^_identity"
        );
        let mut command = here.command("env");
        let (_, said) = result(command.args(["CI=true", shell, "-c", &sourced]).output());
        assert_eq!(said, format!("{id}\n"), "{shell}");
    }
    let sourced = format!(
        "source {GENERATE} >/dev/null; env; declare -F; set | grep ^_identity; false; echo alive"
    );
    let (well, said) =
        result(here.command("bash").args(["-c", &sourced]).env("CI", "true").output());
    assert!(well && said.contains("alive"), "{said}");
    assert!(said.contains(&format!("BOOTSTRAP_PEER_ID={id}\n")) && !said.contains("_identity"));
}

#[test]
fn any_byte_may_stand_before_the_id_and_what_has_no_id_is_left_alone() {
    let here = Checkout::new();
    fs::create_dir(here.path("identity")).expect("a folder");
    let file = here.path("identity/p2p.key");
    let run = || result(here.command("bash").arg(GENERATE).env("CI", "true").output());
    let json = br#"{"Key":"CAESQA==","ID":"12D3KooWExample"}"#;
    for checksum in [*b"\0\xff\n\"\0\x80\r\0", *b"\xc3(\0\0\0\0\0\0"] {
        fs::write(&file, [&checksum[..], json].concat()).expect("written");
        let (well, said) = run();
        assert!(well, "{said}");
        assert_eq!(exported(&said), "12D3KooWExample");
    }
    fs::write(&file, b"nothing").expect("written");
    let (well, said) = run();
    assert!(!well && said.contains("p2p.key is no identity; delete it"), "{said}");
    assert_eq!(fs::read(&file).expect("there"), b"nothing");
}

#[test]
fn where_nothing_makes_a_keypair_the_script_says_what_to_install() {
    let here = Checkout::new();
    let (well, said) = result(here.command("bash").arg(GENERATE).output());
    assert!(!well, "{said}");
    for text in ["[ERROR] Nothing here makes a keypair", "install Rust", "Docker"] {
        assert!(said.contains(text), "{said}");
    }
    let sourced = format!("source {GENERATE} >/dev/null; echo code $?");
    let (_, said) = result(here.command("bash").args(["-c", &sourced]).output());
    assert_eq!(said, "code 1\n");
}

#[test]
fn every_variable_that_the_stacks_and_scripts_read_has_its_line_in_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = |name: &str| fs::read_to_string(root.join(name)).expect(name);
    let example = text(".env.example");
    let files = ["docker-compose-optimum.yml", "docker-compose-gossipsub.yml", GENERATE];
    for file in files {
        let content = text(file);
        let names = content.split("${").skip(1).filter_map(|rest| rest.split([':', '}']).next());
        // What every CI sets, and what a shell sets itself.
        let known = ["CI", "GITHUB_ACTIONS", "BASH_VERSION"];
        for name in names.filter(|name| !known.contains(name)) {
            assert!(example.contains(&format!("\n{name}=")), "{file}: {name}");
        }
    }
}
