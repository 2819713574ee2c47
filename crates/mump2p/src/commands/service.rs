//! `mump2p health`, `list-topics` and `version`.

use serde::Serialize;
use serde_json::Value;

use crate::{
    Context, Error,
    http::{self, Service},
};

/// Says how the proxy is.
///
/// # Errors
///
/// Returns an error if it does not answer.
pub(crate) async fn health(context: &Context) -> Result<(), Error> {
    let service = Service::new(context)?;
    let health = service.get("/api/v1/health").await?.json("health")?;
    context.output.print(&health, |health| {
        let text = |key: &str| health[key].as_str().unwrap_or("unknown").to_owned();
        format!(
            "Proxy:    {}\nStatus:   {}\nCPU:      {} %\nMemory:   {} %\nDisk:     {} %\nCountry:  {} ({})",
            service.base(),
            text("status"),
            text("cpu_used"),
            text("memory_used"),
            text("disk_used"),
            text("country"),
            text("country_iso"),
        )
    })
}

/// Lists the topics that the client subscribed at the proxy.
///
/// # Errors
///
/// Returns an error if it does not say.
pub(crate) async fn list_topics(context: &Context) -> Result<(), Error> {
    let path = format!("/api/v1/topics?client_id={}", http::query_value(context.client()?));
    let topics = Service::new(context)?.get(&path).await?.json("list-topics")?;
    context.output.print(&topics, |page| {
        let client = page["client_id"].as_str().unwrap_or_default();
        let names = page["topics"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut text = format!("Client {client} has {} topics", names.len());
        for name in names.iter().filter_map(Value::as_str) {
            text.push_str("\n  ");
            text.push_str(name);
        }
        text
    })
}

#[derive(Serialize)]
struct Version {
    commit_hash: &'static str,
    version: &'static str,
}

/// The release, `dev` for untagged builds.
pub(crate) const VERSION: &str = env!("BUILD_VERSION");

/// Says what this program was built from.
///
/// # Errors
///
/// Returns an error if the output is closed.
pub(crate) fn version(context: &Context) -> Result<(), Error> {
    let version = Version { commit_hash: env!("BUILD_COMMIT"), version: VERSION };
    context.output.print(&version, |version| {
        format!("Version: {}\nCommit:  {}", version.version, version.commit_hash)
    })
}
