//! `mump2p dashboard`: how the nodes and proxies of a network are.

mod ask;
mod report;
mod targets;

use std::{
    ffi::{OsStr, OsString},
    io::{self, IsTerminal as _},
    time::Duration,
};

use clap::CommandFactory as _;
use crossterm::{cursor::MoveTo, execute, terminal::Clear, terminal::ClearType};
use tokio::time::MissedTickBehavior;

use self::{ask::Clients, targets::Targets};
use crate::{
    Error, Output,
    arguments::{Arguments, duration},
    signals::{self, Signal},
};

/// How the nodes and proxies of a network are.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Ask the stack on this machine: proxies on 8081 and 8082, nodes on 9091 to 9094.
    #[arg(long)]
    pub local: bool,
    /// Base URLs of proxies.
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    pub proxies: Vec<String>,
    /// Base URLs of nodes' HTTP APIs.
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    pub nodes: Vec<String>,
    /// Hosts of proxies, asked on port 8080.
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub proxy_base: Vec<String>,
    /// Hosts of nodes, asked on port 8081.
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub node_base: Vec<String>,
    /// Ask again and again.
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "2s",
        value_parser = duration)]
    pub watch: Option<Duration>,
}

/// Flags that may have a single dash, as those of Go programs.
const GO_FLAGS: [&str; 5] = ["local", "proxies", "nodes", "proxy-base", "node-base"];

/// Gives the flags of this command, spelled in Go's manner, their second dash.
pub(crate) fn double_dashed(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut is_ours = false;
    let mut before: Option<OsString> = None;
    let spelled = arguments.map(|argument| {
        let before = before.replace(argument.clone());
        let Some(text) = argument.to_str() else { return argument };
        is_ours |= text == "dashboard" && !before.is_some_and(|word| has_value_next(&word));
        let flag = text.strip_prefix('-').filter(|_| is_ours);
        let name = flag.and_then(|flag| flag.split('=').next());
        match name {
            Some(name) if GO_FLAGS.contains(&name) => format!("-{text}").into(),
            _ => argument,
        }
    });
    spelled.collect()
}

/// Tells whether the word behind this one may be its value: a flag without `=`, unless it has none, or
/// the command `tracer`.
fn has_value_next(word: &OsStr) -> bool {
    let word = word.to_string_lossy();
    let is_flag = word.starts_with("--") && !word.contains('=');
    word == "tracer" || (is_flag && !["--debug", "--disable-auth"].contains(&&*word))
}

/// Prints it, once or until Ctrl-C.
///
/// # Errors
///
/// Returns an error if there is nobody to ask, or nobody answers when asked once.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    let targets = Targets::new(&args)?;
    if targets.is_empty() {
        return Err(Error::Failed(format!(
            "No proxies or nodes specified. Use -local, -proxy-base, or -proxies/-nodes \
             flags.\n{}",
            usage()
        )));
    }
    let clients = Clients::new()?;
    let Some(interval) = args.watch else {
        let report = clients.report(&targets).await;
        output.print(&report, report::text)?;
        if report.has_answers() {
            return Ok(());
        }
        return Err(Error::Failed(
            "nobody answers\n  check: that the network runs (make up starts a local one), and the \
             addresses"
                .to_owned(),
        ));
    };
    tokio::select! {
        failed = watch(&clients, &targets, output, interval) => failed,
        // Ctrl-C is how watching ends.
        signal = signals::interrupted() => match signal {
            Signal::Interrupt => Ok(()),
            Signal::Terminate => Err(Error::Interrupted(signal)),
        },
    }
}

async fn watch(
    clients: &Clients,
    targets: &Targets,
    output: Output,
    interval: Duration,
) -> Result<(), Error> {
    let is_screen = output == Output::Table && io::stdout().is_terminal();
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let report = clients.report(targets).await;
        if is_screen {
            execute!(io::stdout(), Clear(ClearType::All), MoveTo(0, 0))
                .map_err(|_| Error::OutputClosed)?;
        }
        output.print(&report, report::text)?;
    }
}

fn usage() -> String {
    let mut command = Arguments::command();
    command.build();
    let dashboard = command.find_subcommand_mut("dashboard");
    dashboard.map(|command| command.render_help().to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_may_have_one_dash_as_in_go_behind_this_command_alone() {
        let spelled = |line: &str| {
            let words = double_dashed(line.split(' ').map(OsString::from));
            words.join(" ".as_ref()).into_string().expect("UTF-8")
        };
        for (given, expected) in [
            ("mump2p dashboard -local", "mump2p dashboard --local"),
            ("mump2p dashboard -nodes=http://a", "mump2p dashboard --nodes=http://a"),
            ("mump2p dashboard --local -h", "mump2p dashboard --local -h"),
            ("mump2p --debug dashboard -local", "mump2p --debug dashboard --local"),
            ("mump2p publish -local", "mump2p publish -local"),
            ("mump2p publish --topic dashboard -local", "mump2p publish --topic dashboard -local"),
            ("mump2p tracer dashboard -local", "mump2p tracer dashboard -local"),
        ] {
            assert_eq!(spelled(given), expected);
        }
    }
}
