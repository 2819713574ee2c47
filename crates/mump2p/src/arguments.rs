//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

use crate::{Output, commands, dashboard, tracer};

/// Publish and subscribe through a proxy or straight at its nodes.
#[derive(Debug, Parser)]
#[command(name = "mump2p", disable_version_flag = true, disable_help_subcommand = true)]
pub struct Arguments {
    /// Flags that every command has.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command has.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Base URL of the proxy.
    #[arg(
        long,
        global = true,
        env = "MUMP2P_SERVICE_URL",
        default_value = "http://localhost:8081",
        value_name = "URL"
    )]
    pub service_url: String,
    /// The file that keeps the login [default: ~/.mump2p/auth.yml].
    #[arg(long, global = true, env = "MUMP2P_AUTH_PATH", value_name = "FILE")]
    pub auth_path: Option<PathBuf>,
    /// Show no token; needs --client-id.
    #[arg(long, global = true, env = "MUMP2P_DISABLE_AUTH", value_parser = clap::builder::BoolishValueParser::new())]
    pub disable_auth: bool,
    /// Who the client is, where no token says so.
    #[arg(long, global = true, env = "MUMP2P_CLIENT_ID", value_name = "ID")]
    pub client_id: Option<String>,
    /// The form of answers.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub output: Output,
    /// Print what happens underneath, with times.
    #[arg(long, global = true)]
    pub debug: bool,
    /// Who issues tokens.
    #[command(flatten)]
    pub issuer: IssuerArgs,
}

/// Who issues tokens.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Login options")]
pub struct IssuerArgs {
    /// Domain of the issuer of tokens (an Auth0 tenant).
    #[arg(
        id = "auth-domain",
        long,
        global = true,
        env = "MUMP2P_AUTH_DOMAIN",
        value_name = "DOMAIN",
        hide_short_help = true
    )]
    pub domain: Option<String>,
    /// What this program is called there.
    #[arg(
        id = "auth-client-id",
        long,
        global = true,
        env = "MUMP2P_AUTH_CLIENT_ID",
        value_name = "ID",
        hide_short_help = true
    )]
    pub client_id: Option<String>,
    /// Whom tokens are for.
    #[arg(
        id = "auth-audience",
        long,
        global = true,
        env = "MUMP2P_AUTH_AUDIENCE",
        value_name = "AUDIENCE",
        hide_short_help = true
    )]
    pub audience: Option<String>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Log in by a code that is confirmed in a browser.
    Login,
    /// Forget the login.
    Logout,
    /// Who is logged in, and what they may do.
    Whoami,
    /// Get a new token for the login.
    Refresh,
    /// Publish a message.
    Publish(commands::publish::Args),
    /// Print, keep or pass on the messages of a topic.
    Subscribe(commands::subscribe::Args),
    /// The topics that the client subscribed at the proxy.
    ListTopics,
    /// How the proxy is.
    Health,
    /// What was published so far, and what may be.
    Usage,
    /// What this program was built from.
    Version,
    /// How to get a newer one.
    Update(commands::update::Args),
    /// Load on a topic, and what the proxy saw of it.
    #[command(subcommand)]
    Tracer(tracer::Command),
    /// How the nodes and proxies of a network are.
    Dashboard(dashboard::Args),
    /// The completions of a shell.
    Completions(commands::completions::Args),
    /// Write the manual pages.
    #[command(hide = true)]
    Man(commands::man::Args),
}

/// Reads a duration as Go writes it: `10s`, `1m30s`.
///
/// # Errors
///
/// Returns what would be right if it is none, or zero.
pub fn duration(text: &str) -> Result<Duration, String> {
    api::go_duration::parse(text).filter(|duration| !duration.is_zero()).ok_or_else(|| {
        "a duration above 0 with its unit is needed, such as 10s or 1m30s".to_owned()
    })
}
