//! What the programs of the daemons have in common: the command line, `--check`, `healthcheck`, and
//! how they are ended.

use std::{
    fmt::{Display, Write as _},
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, warn};

use crate::{
    env::{ConfigError, Env, of_process},
    manual, version,
};

/// How long a daemon may take to say how it is.
const HEALTH_WAIT: Duration = Duration::from_secs(3);

/// Fewer open files than this, and peers and clients soon find no room.
const FILES_MIN: u64 = 4096;

/// A variable for the help: name, default, meaning.
pub type Variable = (&'static str, &'static str, &'static str);

/// A daemon as a program.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it is called.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What it is configured by.
    pub variables: Vec<Variable>,
}

/// What a program is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Run the daemon.
    Run,
    /// Print the settings in effect.
    Check,
    /// Ask the daemon that runs with these settings how it is.
    Health,
}

impl Program {
    /// Reads the command line; prints help, version or what is wrong, or writes the manual, and exits,
    /// where that is asked for.
    pub fn task(&self) -> Task {
        let matches: ArgMatches = self.command().get_matches();
        let manual = matches.subcommand_matches("man");
        if let Some(folder) = manual.and_then(|matches| matches.get_one::<PathBuf>("out")) {
            let code = self.tell(self.write_manual(folder));
            std::process::exit(i32::from(code != ExitCode::SUCCESS));
        }
        if matches.get_flag("check") {
            Task::Check
        } else if matches.subcommand_matches("healthcheck").is_some() {
            Task::Health
        } else {
            Task::Run
        }
    }

    /// Writes the pages; returns what there is to say.
    fn write_manual(&self, folder: &Path) -> anyhow::Result<String> {
        let shown = folder.display();
        manual::write(self.command_line(), &self.variables, folder)
            .with_context(|| format!("cannot write to {shown}"))?;
        Ok(format!("manual pages are in {shown}"))
    }

    fn command(&self) -> Command {
        let width = self.variables.iter().map(|(name, _, _)| name.len()).max().unwrap_or(0);
        let mut help = "Environment variables (default):\n".to_owned();
        for (name, default, meaning) in &self.variables {
            // Writing to a string does not fail.
            let default = default.trim_matches(['(', ')']);
            let _written = writeln!(help, "  {name:width$}  {meaning} ({default})");
        }
        self.command_line().after_help(help)
    }

    /// All of the command line but the variables.
    fn command_line(&self) -> Command {
        let check = Arg::new("check").long("check").action(ArgAction::SetTrue);
        let out = Arg::new("out").long("out").value_name("DIR").required(true);
        let out = out.value_parser(value_parser!(PathBuf));
        let man = Command::new("man").about("Write the manual pages").hide(true);
        let health = Command::new("healthcheck");
        Command::new(self.name)
            .about(self.about)
            .version(format!("{} ({})", version::VERSION, version::COMMIT))
            .arg(check.help("Print the settings that would be used, or what is wrong with them"))
            .subcommand(health.about("Ask the one that runs with these settings how it is"))
            .subcommand(man.arg(out.help("The folder to write to; made if it is not there")))
    }

    /// Prints the settings in effect, one a line, those that are not set with a mark; or what is
    /// wrong with them.
    pub fn check(&self, checked: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
        self.check_effective(async { checked.await.map(|()| Vec::new()) })
    }

    /// The same where `checked` tells of variables whose value in effect may not be the one written.
    pub fn check_effective(
        &self,
        checked: impl Future<Output = anyhow::Result<Vec<(&'static str, String)>>>,
    ) -> ExitCode {
        let checked = runtime().and_then(|runtime| runtime.block_on(checked));
        self.tell(checked.map(|effective| self.settings(Env::new(&of_process), &effective)))
    }

    /// Asks the daemon at `url`, if that is known, whether it is well.
    pub fn health(&self, url: anyhow::Result<String>) -> ExitCode {
        let asked = url.and_then(|url| runtime()?.block_on(ask(&url)));
        self.tell(asked)
    }

    /// Runs the daemon to its end with the settings that were read, if they are any; `level` is what
    /// is logged.
    pub fn run<C>(
        &self,
        level: &str,
        config: Result<C, ConfigError>,
        serve: impl FnOnce(C) -> anyhow::Result<()>,
    ) -> ExitCode {
        crate::log::init(level, version::VERSION, version::COMMIT);
        raise_file_limit();
        match config.map_err(Into::into).and_then(serve) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                error!("{error:#}");
                ExitCode::FAILURE
            }
        }
    }

    fn settings(&self, env: Env<'_>, effective: &[(&str, String)]) -> String {
        let lines = self.variables.iter().map(|(name, default, _)| match env.text(name) {
            Some(value) => {
                let known = effective.iter().find(|(known, _)| known == name);
                let value = known.map_or(value.as_str(), |(_, value)| value);
                format!("{name}={}", on_one_line(&without_secrets(value.trim())))
            }
            None => format!("{name}={} (default)", default.trim_matches(['(', ')'])),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Prints a result, or why there is none.
    fn tell(&self, result: anyhow::Result<impl Display>) -> ExitCode {
        let text = match result.context(self.name) {
            Ok(text) => text,
            Err(error) => {
                let _gone = writeln!(io::stderr(), "{error:#}");
                return ExitCode::FAILURE;
            }
        };
        match writeln!(io::stdout(), "{text}") {
            // Who closed the pipe does not want to know.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let _gone =
                    writeln!(io::stderr(), "{}: cannot write to stdout: {error}", self.name);
                ExitCode::FAILURE
            }
            Ok(()) | Err(_) => ExitCode::SUCCESS,
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn ask(url: &str) -> anyhow::Result<String> {
    // The certificate names the host that clients know, not this address.
    let client = reqwest::Client::builder()
        .timeout(HEALTH_WAIT)
        .no_proxy()
        .danger_accept_invalid_certs(true)
        .build()?;
    let answer = client.get(url).send().await?.error_for_status()?.text().await?;
    anyhow::ensure!(answer.contains(r#""status":"ok""#), "{url} answers {answer}");
    Ok(format!("{url} is well"))
}

/// Returns where a daemon on this machine that listens at `ip` (none is everywhere) and `port` says
/// how it is.
///
/// # Errors
///
/// Returns an error if the port, of `variable`, is 0: the one that was taken is not known here.
pub fn health_url(
    ip: Option<IpAddr>,
    port: u16,
    variable: &str,
    has_tls: bool,
) -> anyhow::Result<String> {
    anyhow::ensure!(port != 0, "{variable}=0: the port that was taken is not known here");
    let bound = ip.filter(|ip| !ip.is_unspecified());
    let address = SocketAddr::new(bound.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port);
    let scheme = if has_tls { "https" } else { "http" };
    Ok(format!("{scheme}://{address}/api/v1/health"))
}

/// The signals that end a daemon. Made before anything else, so that none is lost during the start.
#[derive(Debug)]
pub struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Begins to watch.
    ///
    /// # Errors
    ///
    /// Returns an error if the system does not let us.
    pub fn watch() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("watch for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("watch for SIGINT")?;
        Ok(Self { terminate, interrupt })
    }

    /// Waits for one; returns its name.
    pub async fn signalled(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Every connection is a file. Many systems allow 1,024 unless a program asks for more.
fn raise_file_limit() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < FILES_MIN => warn!(
            limit,
            "few files may be open, and every connection is one: raise the hard limit (ulimit -n, LimitNOFILE) to {FILES_MIN} or more"
        ),
        Ok(_) => {}
        Err(error) => warn!(%error, "the limit of open files stays as it is"),
    }
}

/// One variable is one line, whatever was set.
fn on_one_line(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Hides what a URL carries beside host and path.
fn without_secrets(value: &str) -> String {
    if value.starts_with("-----BEGIN") {
        return "hidden".to_owned();
    }
    let Ok(mut url) = reqwest::Url::parse(value) else { return value.to_owned() };
    if !url.has_host() {
        return value.to_owned();
    }
    let is_secret = !url.username().is_empty() || url.password().is_some();
    if is_secret && url.set_username("hidden").and_then(|()| url.set_password(None)).is_err() {
        return "hidden".to_owned();
    }
    if url.query().is_some() {
        url.set_query(Some("hidden"));
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &[Variable] = &[
        ("CLUSTER_ID", "(none)", "cluster"),
        ("NODE_MODE", "optimum", "mode"),
        ("LOG_LEVEL", "info", "level"),
        ("API_PORT", "9090", "port"),
        ("SIDECAR_JWKS", "(none)", "keys"),
        ("REDIS_URL", "(none)", "shared state"),
        ("TICKET_SIGNING_KEY", "(made at start)", "key"),
    ];

    fn program() -> Program {
        Program { name: "program", about: "A program", variables: PROGRAM.to_vec() }
    }

    #[test]
    fn the_command_line_is_sound() {
        program().command().debug_assert();
    }

    #[test]
    fn settings_are_shown_with_defaults_marked_and_secrets_hidden() {
        let lookup = |name: &str| match name {
            "CLUSTER_ID" => Some("mine".to_owned()),
            "NODE_MODE" => Some(String::new()),
            "LOG_LEVEL" => Some(" one\nAPI_PORT=1 ".to_owned()),
            "SIDECAR_JWKS" => Some("https://me:pass@keys.example/set?token=abc".to_owned()),
            "REDIS_URL" => Some("redis://:secret@127.0.0.1:6379/0".to_owned()),
            "TICKET_SIGNING_KEY" => Some("-----BEGIN PRIVATE KEY-----\\nsecret".to_owned()),
            _ => None,
        };
        let effective = [("NODE_MODE", "optimum".to_owned()), ("API_PORT", "1".to_owned())];
        let shown = program().settings(Env::new(&lookup), &effective);
        let lines: Vec<_> = shown.lines().collect();
        let wanted = [
            "CLUSTER_ID=mine",
            "NODE_MODE=optimum",
            "LOG_LEVEL=one\u{fffd}API_PORT=1",
            "API_PORT=9090 (default)",
            "SIDECAR_JWKS=https://hidden@keys.example/set?hidden",
            "REDIS_URL=redis://hidden@127.0.0.1:6379/0",
            "TICKET_SIGNING_KEY=hidden",
        ];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn a_daemon_is_asked_where_it_listens() {
        let url = |ip: Option<&str>, port| {
            health_url(ip.map(|ip| ip.parse().expect("an address")), port, "API_PORT", false)
        };
        assert_eq!(url(None, 1234).expect("a port"), "http://127.0.0.1:1234/api/v1/health");
        assert_eq!(url(Some("::1"), 1234).expect("a port"), "http://[::1]:1234/api/v1/health");
        assert!(url(None, 0).expect_err("no port").to_string().contains("API_PORT=0"));
    }
}
