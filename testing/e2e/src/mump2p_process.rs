//! mump2p as a process.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tokio::time::timeout;

use crate::{LIMIT, program, program_process::Program, proxy_process::ProxyProcess};

/// Who the client is where nobody logs in.
pub const CLIENT: &str = "c";

/// mump2p with a home of its own and no other variables than those that are set here.
#[derive(Debug)]
pub struct Mump2p {
    home: TempDir,
    variables: Vec<(String, String)>,
}

/// What a run of it left.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed, bytes that are no text replaced.
    pub stdout: String,
    /// What else it said.
    pub stderr: String,
}

impl Mump2p {
    /// Before a proxy, with authentication as the variables say.
    pub fn new(service_url: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        Self { home, variables: Vec::new() }.with("MUMP2P_SERVICE_URL", service_url)
    }

    /// Before a running proxy.
    pub fn before(proxy: &ProxyProcess) -> Self {
        Self::new(&format!("http://{}", proxy.http))
            .with("MUMP2P_GRPC_ADDRESS", &proxy.grpc.to_string())
    }

    /// The same without a login.
    #[must_use]
    pub fn nameless(self) -> Self {
        self.with("MUMP2P_DISABLE_AUTH", "true").with("MUMP2P_CLIENT_ID", CLIENT)
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns a file of the home folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Returns the folder of logins, sessions and counters.
    pub fn folder(&self) -> PathBuf {
        self.file(".mump2p")
    }

    /// Writes a file into the home folder; returns its path as text.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.file(name);
        let folder = path.parent().map(Path::to_owned).expect("in the home folder");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, content))
            .expect("room");
        path.to_str().expect("UTF-8").to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("mump2p"));
        command
            .env_clear()
            .env("HOME", self.home.path())
            .envs(self.variables.iter().cloned())
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = tokio::process::Command::from(self.command(arguments));
        let output = timeout(LIMIT, command.kill_on_drop(true).output()).await;
        let output = output.unwrap_or_else(|_| panic!("{arguments:?} does not end"));
        let output = output.expect("mump2p runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Ended { code: output.status.code(), stdout, stderr }
    }

    /// Starts one that is watched; all its lines are read.
    pub fn start(&self, arguments: &[&str]) -> Program {
        Program::talkative_command(&mut self.command(arguments))
    }

    /// Starts one whose stdout alone is read.
    pub fn start_quietly(&self, arguments: &[&str]) -> Program {
        Program::run(&mut self.command(arguments))
    }
}

impl Ended {
    /// Checks that all went well; returns what was printed.
    #[track_caller]
    pub fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// Checks the exit code, and that it said why; returns all that it said.
    #[track_caller]
    pub fn refused(self, code: i32, why: &str) -> String {
        assert!(self.code == Some(code) && self.stderr.contains(why), "{code}, {why:?}: {self:?}");
        assert!(self.stderr.contains("rror: "), "{self:?}");
        self.stderr
    }
}
