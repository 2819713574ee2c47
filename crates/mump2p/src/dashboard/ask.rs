//! What proxies and nodes are asked, all at once.

use std::{collections::BTreeMap, time::Duration};

use cli::{client::root_cause, proxy::is_here};
use futures::future::{join, join_all};
use reqwest::Client;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    report::{Machine, Node, Place, Proxy, Report, Status},
    targets::Targets,
};
use crate::{Error, http, plain_text::plain};

/// How long an answer may take, its body included (the contract, section 3.8).
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest body that is read, in bytes: a node names its peers and topics.
const BODY_BYTES_MAX: usize = 4 << 20;

/// Characters of a name from outside that are kept.
const NAME_CHARS_MAX: usize = 256;

/// The clients for servers of this machine and for others.
#[derive(Debug)]
pub(super) struct Clients {
    local: Client,
    remote: Client,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Health {
    cpu_used: String,
    memory_used: String,
    disk_used: String,
    country: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NodeState {
    pub_key: String,
    peers: Vec<String>,
    topics: Vec<String>,
    addresses: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Countries {
    countries: BTreeMap<String, String>,
}

impl Clients {
    pub(super) fn new() -> Result<Self, Error> {
        let local = http::client("http://localhost", TIMEOUT)?;
        Ok(Self { local, remote: http::client("http://remote.invalid", TIMEOUT)? })
    }

    /// Asks everybody.
    pub(super) async fn report(&self, targets: &Targets) -> Report {
        let proxies = targets.proxies.iter().enumerate();
        let proxies = join_all(proxies.map(|(at, url)| self.proxy(at + 1, url)));
        let nodes = targets.nodes.iter().enumerate();
        let nodes = join_all(nodes.map(|(at, url)| self.node(at + 1, url)));
        let (proxies, nodes) = join(proxies, nodes).await;
        let (proxies, countries): (Vec<_>, Vec<_>) = proxies.into_iter().unzip();
        let told = countries.into_iter().flatten().next();
        let node_countries = told.unwrap_or_else(|| own_countries(&nodes));
        let time = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        Report { time, proxies, nodes, node_countries }
    }

    async fn proxy(&self, number: usize, url: &str) -> (Proxy, Option<BTreeMap<String, usize>>) {
        let (health, countries) =
            join(self.get(url, "health"), self.get::<Countries>(url, "node-countries")).await;
        let (status, machine, error) = answered(health);
        let countries = countries.ok().map(|told| counted(told.countries.values()));
        let name = format!("proxy-{number}");
        (Proxy { name, url: url.to_owned(), status, machine, error }, countries)
    }

    async fn node(&self, number: usize, url: &str) -> Node {
        let (health, state) =
            join(self.get(url, "health"), self.get::<NodeState>(url, "node-state")).await;
        let (status, machine, error) = answered(health);
        let (place, error) = match state {
            Ok(state) => (Some(Place::from(state)), error),
            Err(problem) => (None, error.or(Some(problem))),
        };
        Node { name: format!("node-{number}"), url: url.to_owned(), status, machine, place, error }
    }

    /// Returns a page, or why there is none.
    async fn get<T: DeserializeOwned>(&self, base: &str, page: &str) -> Result<T, String> {
        let client = if is_here(base) { &self.local } else { &self.remote };
        let page = format!("/api/v1/{page}");
        let answer = client.get(format!("{base}{page}")).send().await.map_err(|error| {
            let late = format!("no answer within {} s", TIMEOUT.as_secs());
            let cause = if error.is_timeout() { late } else { root_cause(&error) };
            plain(&format!("no answer from {base}: {cause}"), NAME_CHARS_MAX)
        })?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(format!("{base}{page} answers HTTP {status}"));
        }
        let body = http::body(answer, BODY_BYTES_MAX);
        let body =
            body.await.map_err(|error| plain(&format!("{base}{page}: {error}"), NAME_CHARS_MAX))?;
        serde_json::from_slice(&body).map_err(|error| {
            plain(&format!("{base}{page} answers no JSON of the kind: {error}"), NAME_CHARS_MAX)
        })
    }
}

fn answered(health: Result<Health, String>) -> (Status, Option<Machine>, Option<String>) {
    match health {
        Ok(health) => (Status::Up, Some(Machine::from(health)), None),
        Err(error) => (Status::Down, None, Some(error)),
    }
}

fn clean(text: &str) -> String {
    plain(text, NAME_CHARS_MAX)
}

fn counted<'a>(countries: impl Iterator<Item = &'a String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for country in countries {
        *counts.entry(clean(country)).or_insert(0) += 1;
    }
    counts
}

/// What nodes say of themselves, where no proxy tells.
fn own_countries(nodes: &[Node]) -> BTreeMap<String, usize> {
    counted(nodes.iter().filter_map(|node| Some(&node.machine.as_ref()?.country)))
}

impl From<Health> for Machine {
    fn from(health: Health) -> Self {
        Self {
            cpu_used: clean(&health.cpu_used),
            memory_used: clean(&health.memory_used),
            disk_used: clean(&health.disk_used),
            country: clean(&health.country),
        }
    }
}

impl From<NodeState> for Place {
    fn from(state: NodeState) -> Self {
        let all = |names: &[String]| names.iter().map(|name| clean(name)).collect();
        Self {
            peer_id: clean(&state.pub_key),
            peers: all(&state.peers),
            topics: all(&state.topics),
            addresses: all(&state.addresses),
        }
    }
}
