//! What is run, as a TOML file says it. Unknown keys are refused, and numbers out of range, by name.

mod adaptive;
mod links;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    gossipsub,
    protocols::{self, PROTOCOLS},
    run::{PlannedMessage, Setup, pick_publishers},
    topology::{MBIT, TopologyError, TopologySpec},
};

pub use adaptive::AdaptiveSettings;
pub use links::Links;

/// Longest message that a scenario may have.
const MESSAGE_BYTES_MAX: u64 = 1 << 30;
/// A long run says more than many.
const SEEDS_MAX: usize = 1000;

/// A scenario, as its file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is called in reports.
    pub name: String,
    /// One line on what it is for.
    #[serde(default)]
    pub about: String,
    /// A run for each.
    #[serde(default = "seeds")]
    pub seeds: Vec<u64>,
    /// Which are run, by the names of the registry.
    #[serde(default = "protocols")]
    pub protocols: Vec<String>,
    /// Length of each message.
    pub message_bytes: u64,
    /// How many nodes publish, different ones.
    #[serde(default = "one")]
    pub publishers: usize,
    /// The uplink that a publisher has; any if there are too few of them.
    #[serde(default = "publisher_mbps")]
    pub publisher_mbps: u64,
    /// From one publisher to the next; 0 is all at once.
    #[serde(default)]
    pub interval_ms: u64,
    /// One payload byte stands for so many; must divide the message.
    #[serde(default = "one_byte")]
    pub payload_scale: u32,
    /// Until the first message: meshes form.
    #[serde(default = "warm_up_s")]
    pub warm_up_s: f64,
    /// From the first message on, whoever lacks what.
    #[serde(default = "limit_s")]
    pub limit_s: f64,
    /// The network.
    pub topology: TopologySpec,
    /// What is modelled of its links.
    #[serde(default)]
    pub links: Links,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Faults,
    /// What differs from the settings that `GossipSub` ships with.
    #[serde(default)]
    pub gossipsub: GossipSubSettings,
    /// What differs from those of the coded protocols.
    #[serde(default)]
    pub coded: CodedSettings,
}

/// Ordinary faults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The share of nodes that receive and never send a message or a part of one.
    pub droppers: f64,
    /// The share of nodes that leave during the first `churn_within_s`, and come back.
    pub churn: f64,
    /// See there.
    pub churn_within_s: f64,
    /// How long those are away.
    pub churn_away_s: f64,
    /// From when to when the network is split into two halves, in seconds after the first message.
    pub split_s: Option<[f64; 2]>,
}

/// `GossipSub`'s settings that a scenario may change; see [`gossipsub::Config`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GossipSubSettings {
    /// Peers the mesh is filled up to, and its bounds.
    pub mesh: Option<[usize; 3]>,
    /// Peers told ids at a heartbeat; 0 switches gossip off.
    pub lazy: Option<usize>,
    /// IDONTWANT at all.
    pub idontwant: Option<bool>,
    /// Time between heartbeats.
    pub heartbeat_ms: Option<u64>,
    /// As rust-libp2p without scoring: a message asked for is never asked of another peer.
    pub asks_once: bool,
}

/// Settings of coded protocols that a scenario may change; see [`gossip::Config`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CodedSettings {
    /// Fragments of a message, for the profile `documented`.
    pub shard_factor: Option<u16>,
    /// The publisher sends k times as many shards.
    pub shard_multiplier: Option<f64>,
    /// The share of k above which a node recodes.
    pub forward_threshold: Option<f64>,
    /// The numbers of profile `adaptive`.
    pub adaptive: AdaptiveSettings,
    /// Those of `adaptive-tuned`, in place of or beside those of `adaptive`.
    pub tuned: AdaptiveSettings,
}

impl CodedSettings {
    /// Returns whether there are settings for a second row of profile `adaptive`.
    pub fn is_tuned(&self) -> bool {
        self.tuned != AdaptiveSettings::default()
    }
}

fn seeds() -> Vec<u64> {
    (1..=5).collect()
}
fn protocols() -> Vec<String> {
    protocols::defaults().map(str::to_owned).collect()
}
fn one() -> usize {
    1
}
fn one_byte() -> u32 {
    1
}
fn publisher_mbps() -> u64 {
    50
}
fn warm_up_s() -> f64 {
    5.0
}
fn limit_s() -> f64 {
    120.0
}

/// Why a file is no scenario.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// Not TOML, or not the keys that there are; says where.
    #[error("{0}")]
    Syntax(Box<toml::de::Error>),
    /// A number out of range.
    #[error("{key} = {value}: {range}")]
    Range {
        /// Which.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        range: String,
    },
    /// No such protocol.
    #[error("protocols: there is no {0:?}; there are {1}")]
    Protocol(String, String),
    /// Not a network.
    #[error("topology: {0}")]
    Topology(#[from] TopologyError),
}

impl Scenario {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// Returns [`ScenarioError`] that says which key is wrong and what it may be.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self =
            toml::from_str(text).map_err(|e| ScenarioError::Syntax(Box::new(e)))?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Returns the scenario with `key` (dotted for a table: `topology.nodes`) set to `value`, which
    /// is read as TOML, else as a string.
    ///
    /// # Errors
    ///
    /// Returns [`ScenarioError`] if there is no such key or it may not have the value.
    pub fn with(&self, key: &str, value: &str) -> Result<Self, ScenarioError> {
        let syntax = |e| ScenarioError::Syntax(Box::new(e));
        let text = toml::to_string(self).expect("every scenario can be written");
        let mut document: toml::Table = toml::from_str(&text).map_err(syntax)?;
        let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"));
        let parsed = parsed.ok().and_then(|mut table| table.remove("value"));
        let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
        let mut table = &mut document;
        let mut parts: Vec<&str> = key.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            let entry = table.entry(part).or_insert_with(|| toml::Table::new().into());
            table = entry.as_table_mut().ok_or_else(|| ScenarioError::Range {
                key: "key",
                value: key.to_owned(),
                range: format!("{part} has no keys of its own"),
            })?;
        }
        table.insert(last.to_owned(), value);
        Self::parse(&toml::to_string(&document).expect("every table can be written"))
    }

    /// Returns whether runs of both are the same for every protocol and seed that both run. One
    /// without settings for a second row does not run that.
    #[must_use]
    pub fn is_same_network(&self, other: &Self) -> bool {
        let both_tuned = self.coded.is_tuned() && other.coded.is_tuned();
        let bare = |scenario: &Self| {
            let mut bare = Self {
                name: String::new(),
                about: String::new(),
                seeds: Vec::new(),
                protocols: Vec::new(),
                ..scenario.clone()
            };
            if !both_tuned {
                bare.coded.tuned = AdaptiveSettings::default();
            }
            bare
        };
        bare(self) == bare(other)
    }

    /// Checks what the types do not say.
    fn check(&self) -> Result<(), ScenarioError> {
        in_range("message_bytes", self.message_bytes, 1, MESSAGE_BYTES_MAX)?;
        in_range("publishers", self.publishers, 1, self.topology.nodes())?;
        in_range("payload_scale", self.payload_scale, 1, 1 << 16)?;
        in_range("interval_ms", self.interval_ms, 0, 3_600_000)?;
        in_range("warm_up_s", self.warm_up_s, 0.0, 3600.0)?;
        in_range("limit_s", self.limit_s, 0.001, 36_000.0)?;
        in_range("number of seeds", self.seeds.len(), 1, SEEDS_MAX)?;
        in_range("faults.droppers", self.faults.droppers, 0.0, 0.95)?;
        in_range("faults.churn", self.faults.churn, 0.0, 0.95)?;
        in_range("faults.churn_within_s", self.faults.churn_within_s, 0.0, 3600.0)?;
        in_range("faults.churn_away_s", self.faults.churn_away_s, 0.0, 3600.0)?;
        if let Some([from, to]) = self.faults.split_s {
            in_range("faults.split_s", from, 0.0, 3600.0)?;
            in_range("faults.split_s", to, from, 3600.0)?;
        }
        if !self.message_bytes.is_multiple_of(self.payload_scale.into()) {
            return Err(ScenarioError::Range {
                key: "payload_scale",
                value: self.payload_scale.to_string(),
                range: format!("must divide message_bytes, {}", self.message_bytes),
            });
        }
        let coded = &self.coded;
        in_range("coded.shard_factor", coded.shard_factor.unwrap_or(1), 1, 256)?;
        in_range("coded.shard_multiplier", coded.shard_multiplier.unwrap_or(1.0), 1.0, 16.0)?;
        in_range("coded.forward_threshold", coded.forward_threshold.unwrap_or(0.0), 0.0, 1.0)?;
        self.links.check()?;
        self.gossipsub.check()?;
        for name in &self.protocols {
            if protocols::find(name).is_none() {
                let all: Vec<&str> = PROTOCOLS.iter().map(|protocol| protocol.name).collect();
                return Err(ScenarioError::Protocol(name.clone(), all.join(", ")));
            }
        }
        self.topology.build(0)?;
        Ok(())
    }

    /// Returns the network and the messages of a seed.
    ///
    /// # Errors
    ///
    /// Returns [`TopologyError`] if there is no such network.
    pub fn setup(&self, seed: u64) -> Result<Setup, TopologyError> {
        let topology = Arc::new(self.topology.build(seed)?);
        let publishers =
            pick_publishers(&topology, self.publishers, self.publisher_mbps * MBIT, seed);
        let mut setup = Setup::new(topology, seed, &publishers, self.message_bytes);
        let planned = publishers.iter().zip(0_u64..).map(|(&publisher, place)| PlannedMessage {
            at: Duration::from_millis(self.interval_ms * place),
            publisher,
            bytes: self.message_bytes,
        });
        setup.messages = planned.collect();
        setup.model = self.links.model();
        setup.scale = self.payload_scale;
        setup.warm_up = Duration::from_secs_f64(self.warm_up_s);
        setup.limit = Duration::from_secs_f64(self.limit_s);
        let Faults { droppers, churn, churn_within_s, churn_away_s, split_s } = self.faults;
        if droppers > 0.0 {
            setup.drop_share(droppers);
        }
        if churn > 0.0 {
            let (within, away) = (churn_within_s, churn_away_s);
            setup.churn(churn, Duration::from_secs_f64(within), Duration::from_secs_f64(away));
        }
        if let Some([from, to]) = split_s {
            setup.split(Duration::from_secs_f64(from), Duration::from_secs_f64(to));
        }
        Ok(setup)
    }
}

impl GossipSubSettings {
    fn check(&self) -> Result<(), ScenarioError> {
        if let Some([low, mesh, high]) = self.mesh
            && !(1 <= low && low <= mesh && mesh <= high && high <= 1000)
        {
            return Err(ScenarioError::Range {
                key: "gossipsub.mesh",
                value: format!("{:?}", [low, mesh, high]),
                range: "must be [low, target, high], rising, 1 to 1000".to_owned(),
            });
        }
        in_range("gossipsub.lazy", self.lazy.unwrap_or_default(), 0, 1000)?;
        in_range("gossipsub.heartbeat_ms", self.heartbeat_ms.unwrap_or(700), 10, 60_000)
    }

    /// Returns the settings of a node.
    pub fn config(&self, payload_scale: u32) -> gossipsub::Config {
        let mut config = gossipsub::Config { payload_scale, ..gossipsub::Config::default() };
        if let Some([low, mesh, high]) = self.mesh {
            (config.mesh_low, config.mesh, config.mesh_high) = (low, mesh, high);
            config.mesh_outbound_min = config.mesh_outbound_min.min(mesh / 2);
        }
        match self.lazy {
            Some(0) => config = config.without_gossip(),
            Some(lazy) => config.lazy = lazy,
            None => {}
        }
        if self.idontwant == Some(false) {
            config.idontwant_above_bytes = None;
        }
        if let Some(heartbeat) = self.heartbeat_ms {
            config.heartbeat = Duration::from_millis(heartbeat);
        }
        if self.asks_once {
            config.iwant_followup = None;
        }
        config
    }
}

/// Checks that a number is within both bounds.
#[expect(clippy::needless_pass_by_value, reason = "numbers")]
fn in_range<T: PartialOrd + ToString>(
    key: &'static str,
    value: T,
    low: T,
    high: T,
) -> Result<(), ScenarioError> {
    if value >= low && value <= high {
        return Ok(());
    }
    let range = format!("must be {} to {}", low.to_string(), high.to_string());
    Err(ScenarioError::Range { key, value: value.to_string(), range })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "
        name = 'small'
        message_bytes = 65536
        payload_scale = 16
        [topology]
        kind = 'uniform'
        nodes = 20
        mbps = 50
        latency_ms = 10
    ";

    fn error(text: &str) -> String {
        Scenario::parse(text).expect_err("it is wrong").to_string()
    }

    #[test]
    fn what_a_file_does_not_say_has_a_default() {
        let scenario = Scenario::parse(SMALL).expect("sound");
        assert_eq!(scenario.seeds, [1, 2, 3, 4, 5]);
        assert_eq!(scenario.publishers, 1);
        assert!(scenario.protocols.contains(&"gossipsub".to_owned()));
        assert_eq!(scenario.links.model(), crate::network::LinkModel::default());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_name_and_the_ones_there_are() {
        let text = error(&format!("publisher = 3\n{SMALL}"));
        assert!(
            text.contains("unknown field `publisher`") && text.contains("`publishers`"),
            "{text}"
        );
        let text = error(&format!("{SMALL}\nnode = 3"));
        assert!(text.contains("unknown field `node`"), "{text}");
        let text = error(&format!("{SMALL}\n[links]\nlos = 0.1"));
        assert!(text.contains("unknown field `los`") && text.contains("`loss`"), "{text}");
    }

    #[test]
    fn a_number_out_of_range_is_named_with_its_range() {
        let droppers = error(&format!("{SMALL}\n[faults]\ndroppers = 30"));
        assert_eq!(droppers, "faults.droppers = 30: must be 0 to 0.95");
        let publishers = error(&format!("publishers = 21\n{SMALL}"));
        assert_eq!(publishers, "publishers = 21: must be 1 to 20");
        let nodes = error(&SMALL.replace("nodes = 20", "nodes = 1"));
        assert!(nodes.starts_with("topology: a network of 1 nodes"), "{nodes}");
        let scale = error(&SMALL.replace("payload_scale = 16", "payload_scale = 17"));
        assert_eq!(scale, "payload_scale = 17: must divide message_bytes, 65536");
    }

    #[test]
    fn settings_of_a_second_row_make_another_network_only_for_another_second_row() {
        let plain = Scenario::parse(SMALL).expect("sound");
        let tuned = |share| plain.with("coded.tuned.combination_share", share).expect("a share");
        let named = plain.with("name", "other").expect("any name");
        assert!(plain.is_same_network(&named));
        assert!(plain.is_same_network(&tuned("0.5")) && tuned("0.5").is_same_network(&plain));
        assert!(!tuned("0.5").is_same_network(&tuned("0.25")));
        let lossy = plain.with("links.loss", "0.01").expect("1 % is possible");
        assert!(!plain.is_same_network(&lossy));
    }

    #[test]
    fn an_unknown_protocol_is_named_with_the_ones_there_are() {
        let text = error(&format!("protocols = ['floodsub']\n{SMALL}"));
        assert!(text.contains("\"floodsub\"") && text.contains("documented"), "{text}");
    }

    #[test]
    fn a_key_can_be_set_to_another_value() {
        let scenario = Scenario::parse(SMALL).expect("sound");
        let more = scenario.with("topology.nodes", "30").expect("it may have 30 nodes");
        assert_eq!(more.topology.nodes(), 30);
        let lossy = scenario.with("links.loss", "0.01").expect("1 % is possible");
        assert!((lossy.links.loss - 0.01).abs() < 1e-9);
        assert_eq!(scenario.with("name", "other").expect("any name").name, "other");
        assert!(scenario.with("topology.size", "30").is_err());
        assert!(scenario.with("seeds.first", "30").is_err());
    }

    #[test]
    fn messages_follow_each_other_at_the_interval() {
        let text = format!("publishers = 3\ninterval_ms = 1500\n{SMALL}");
        let setup = Scenario::parse(&text).expect("sound").setup(1).expect("sound");
        let at: Vec<u128> = setup.messages.iter().map(|message| message.at.as_millis()).collect();
        assert_eq!(at, [0, 1500, 3000]);
    }
}
