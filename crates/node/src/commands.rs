//! What the program does beside running a node.

use std::{
    fmt::Display,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use node::{Config, ConfigError};
use service::env::{Env, of_process};

/// How long a node may take to say how it is.
const HEALTH_WAIT: Duration = Duration::from_secs(3);

/// Prints the settings in effect, one a line, those that are not set with a mark.
pub(crate) fn check(config: Result<Config, ConfigError>) -> ExitCode {
    let checked =
        config.map_err(Into::into).and_then(|config| runtime()?.block_on(node::check(&config)));
    tell(checked.map(|()| settings(Env::new(&of_process))))
}

/// Asks the node of these settings whether it is well.
pub(crate) fn health(config: Result<Config, ConfigError>) -> ExitCode {
    let asked = config.map_err(Into::into).and_then(|config| runtime()?.block_on(ask(&config)));
    tell(asked)
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn ask(config: &Config) -> anyhow::Result<String> {
    let url = health_url(config)?;
    // The node's certificate names the host that its clients know, not this address.
    let client = reqwest::Client::builder()
        .timeout(HEALTH_WAIT)
        .no_proxy()
        .danger_accept_invalid_certs(true)
        .build()?;
    let answer = client.get(&url).send().await?.error_for_status()?.text().await?;
    anyhow::ensure!(answer.contains(r#""status":"ok""#), "{url} answers {answer}");
    Ok(format!("{url} is well"))
}

fn health_url(config: &Config) -> anyhow::Result<String> {
    anyhow::ensure!(config.api_port != 0, "API_PORT=0: the port that was taken is not known here");
    let bound = config.bind_address.filter(|ip| !ip.is_unspecified());
    let ip = bound.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let address = SocketAddr::new(ip, config.api_port);
    Ok(format!("{scheme}://{address}/api/v1/health"))
}

fn settings(env: Env<'_>) -> String {
    let lines = node::variables().map(|(name, default, _)| match env.text(name) {
        Some(value) => format!("{name}={}", without_secrets(&value)),
        None => format!("{name}={} (default)", default.trim_matches(['(', ')'])),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Hides what a URL carries beside host and path.
fn without_secrets(value: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(value) else { return value.to_owned() };
    if !matches!(url.scheme(), "http" | "https") {
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

/// Prints a result, or why there is none.
fn tell(result: anyhow::Result<impl Display>) -> ExitCode {
    let (written, code) = match result.context("p2pnode") {
        Ok(text) => (writeln!(io::stdout(), "{text}"), ExitCode::SUCCESS),
        Err(error) => (writeln!(io::stderr(), "{error:#}"), ExitCode::FAILURE),
    };
    // Who closed the pipe does not want to know.
    if written.is_ok() { code } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_shown_with_defaults_marked_and_secrets_hidden() {
        let lookup = |name: &str| match name {
            "CLUSTER_ID" => Some("mine".to_owned()),
            "SIDECAR_JWKS" => Some("https://me:pass@keys.example/set?token=abc".to_owned()),
            _ => None,
        };
        let shown = settings(Env::new(&lookup));
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines.len(), node::variables().count());
        for line in [
            "CLUSTER_ID=mine",
            "API_PORT=9090 (default)",
            "SIDECAR_JWKS=https://hidden@keys.example/set?hidden",
        ] {
            assert!(lines.contains(&line), "{line} is not in {shown}");
        }
    }

    #[test]
    fn a_node_is_asked_where_it_listens() {
        let mut config = Config { api_port: 1234, ..Config::default() };
        assert_eq!(health_url(&config).expect("a port"), "http://127.0.0.1:1234/api/v1/health");
        config.bind_address = Some("::1".parse().expect("an address"));
        assert_eq!(health_url(&config).expect("a port"), "http://[::1]:1234/api/v1/health");
        config.api_port = 0;
        health_url(&config).expect_err("no port");
    }
}
