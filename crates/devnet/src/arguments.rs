//! The command line.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;

/// Starts a local cluster and stays until Ctrl-C.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    name = "devnet",
    args_conflicts_with_subcommands = true,
    after_help = "Ports without --base-port, node i and proxy j counted from 1: sidecar 33220+i, \
                  API 9090+i, libp2p 7070+i; HTTP 8080+j, gRPC 50050+j; page 8090, Prometheus \
                  9190. With --base-port P, N nodes and M proxies: sidecar P+3(i-1), API \
                  P+3(i-1)+1, libp2p P+3(i-1)+2; HTTP P+3N+2(j-1), gRPC P+3N+2(j-1)+1; page \
                  P+3N+2M, Prometheus P+3N+2M+1; with 0 every port is a free one. Everything \
                  listens on 127.0.0.1. For a node of your own: BOOTSTRAP_PEERS is node 1's address, \
                  /ip4/127.0.0.1/tcp/7071/p2p/ and the pub_key of its /api/v1/node-state; `devnet \
                  --json` and a start that is no terminal's print it whole."
)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line, each by itself")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Option<Task>,

    /// How many nodes; on two cores, built for debugging, 32 take over a minute to begin.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) nodes: u16,

    /// How many proxies in front of them.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=8))]
    pub(crate) proxies: u16,

    /// What the nodes speak among themselves.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mode: Mode,

    /// First of three ports for each node and two for each proxy, instead of the guide's; 0 takes
    /// free ones.
    #[arg(long, value_name = "PORT")]
    pub(crate) base_port: Option<u16>,

    /// Serve no live page.
    #[arg(long)]
    pub(crate) no_page: bool,

    /// Start a Prometheus too, which must be installed, and let it scrape everything.
    #[arg(long)]
    pub(crate) prometheus: bool,

    /// Return when the cluster is ready and leave it running; `devnet down` ends it.
    #[arg(long, conflicts_with = "attached_to")]
    pub(crate) detach: bool,

    /// Where the log and the lock of a detached cluster are.
    #[arg(long, value_name = "DIR", default_value = "target/devnet", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) state: String,

    /// Print nothing but errors.
    #[arg(long)]
    pub(crate) quiet: bool,

    /// Print one JSON object a line instead of tables.
    #[arg(long)]
    pub(crate) json: bool,

    /// Keep the nodes' identities here; without it they are new at every start.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// This is the process that a detached cluster runs in, told where its log and lock are.
    #[arg(long, hide = true, value_name = "DIR")]
    pub(crate) attached_to: Option<PathBuf>,
}

/// What else to do than to start a cluster.
#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub(crate) enum Task {
    /// End the cluster that was started with --detach.
    Down {
        /// Where its log and its lock are.
        #[arg(long, value_name = "DIR", default_value = "target/devnet", value_parser = NonEmptyStringValueParser::new())]
        state: String,
    },

    /// What --prometheus starts: becomes Prometheus and ends with the process that asked for it.
    #[command(hide = true)]
    BecomePrometheus {
        /// Who asked.
        parent: u32,
        /// What Prometheus is told.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// What the nodes speak among themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Coded gossip.
    #[default]
    Optimum,
    /// GossipSub, as others speak it.
    Gossipsub,
}

impl Mode {
    pub(crate) fn of_node(self) -> node::Mode {
        match self {
            Self::Optimum => node::Mode::Optimum,
            Self::Gossipsub => node::Mode::Gossipsub,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Arguments, String> {
        let all = std::iter::once("devnet").chain(arguments.iter().copied());
        Arguments::try_parse_from(all).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_wrong_value_is_named_with_its_flag_and_with_what_would_be_right() {
        for (arguments, says) in [
            (&["--nodes", "0"][..], &["'0'", "--nodes", "1..=64"][..]),
            (&["--nodes", "many"], &["'many'", "--nodes"]),
            (&["--proxies", "9"], &["'9'", "--proxies", "0..=8"]),
            (&["--mode", "floodsub"], &["'floodsub'", "--mode", "optimum", "gossipsub"]),
            (&["--base-port", "70000"], &["'70000'", "--base-port", "0..=65535"]),
            (&["--state", ""], &["--state"]),
            (&["down", "--nodes", "4"], &["--nodes"]),
        ] {
            let error = parsed(arguments).expect_err("refused");
            assert!(says.iter().all(|text| error.contains(text)), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn a_cluster_is_ended_where_it_says_that_it_is() {
        let task = parsed(&["down", "--state", "here"]).expect("sound").task;
        assert_eq!(task, Some(Task::Down { state: "here".to_owned() }));
    }
}
