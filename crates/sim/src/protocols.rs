//! The protocols that can be run side by side, by name. A new one is a line of [`PROTOCOLS`].

use crate::{
    coded::Coded,
    gossipsub::GossipSub,
    protocol::NodeId,
    run::{RunOutcome, Setup, run},
    scenario::Scenario,
};

/// A protocol, and how a scenario is run with it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What it is called in scenarios and tables.
    pub name: &'static str,
    /// What it is called in results: settings have no name of their own there.
    pub protocol: &'static str,
    /// One line on what it is.
    pub about: &'static str,
    /// Its settings are not those that ship.
    pub tuned: bool,
    /// Whether scenarios run it that do not say what they run.
    pub default: bool,
    /// Runs it.
    pub run: fn(&Scenario, &Setup) -> RunOutcome,
}

/// All of them, in the order of tables.
pub const PROTOCOLS: &[Entry] = &[
    entry("gossipsub", "GossipSub v1.2, the faster of the two below at p99", gossipsub_faster),
    Entry { default: false, ..entry("gossipsub-mesh", "without flood publish", gossipsub_mesh) },
    Entry { default: false, ..entry("gossipsub-flood", "with flood publish", gossipsub_flood) },
    entry("documented", "a model of OptimumP2P, from its public documentation", documented),
    entry("adaptive", "this project's own profile, as it ships", adaptive),
    Entry {
        protocol: "adaptive",
        tuned: true,
        ..entry("adaptive-tuned", "adaptive with the settings in coded.tuned", adaptive_tuned)
    },
    entry("committed", "adaptive without combinations: nothing is coded", committed),
];

const fn entry(
    name: &'static str,
    about: &'static str,
    run: fn(&Scenario, &Setup) -> RunOutcome,
) -> Entry {
    Entry { name, protocol: name, about, tuned: false, default: true, run }
}

/// Returns the protocol of a name.
pub fn find(name: &str) -> Option<&'static Entry> {
    PROTOCOLS.iter().find(|entry| entry.name == name)
}

/// Returns the names of those that are run if nothing else is said.
pub fn defaults() -> impl Iterator<Item = &'static str> {
    PROTOCOLS.iter().filter(|entry| entry.default).map(|entry| entry.name)
}

/// The faster at the 99th percentile of flood publish on and off.
fn gossipsub_faster(scenario: &Scenario, setup: &Setup) -> RunOutcome {
    let mesh = gossipsub_mesh(scenario, setup);
    let flood = gossipsub_flood(scenario, setup);
    if p99(&flood) < p99(&mesh) { flood } else { mesh }
}

fn p99(outcome: &RunOutcome) -> std::time::Duration {
    let times = outcome.times().into_iter();
    let mut times: Vec<_> = times.map(|time| time.unwrap_or(std::time::Duration::MAX)).collect();
    crate::percentile::percentile(&mut times, 0.99).unwrap_or_default()
}

fn gossipsub_mesh(scenario: &Scenario, setup: &Setup) -> RunOutcome {
    gossipsub(scenario, setup, false)
}

fn gossipsub_flood(scenario: &Scenario, setup: &Setup) -> RunOutcome {
    gossipsub(scenario, setup, true)
}

fn gossipsub(scenario: &Scenario, setup: &Setup, flood_publish: bool) -> RunOutcome {
    let mut setup = setup.clone();
    let mut config = scenario.gossipsub.config(setup.scale);
    config.flood_publish = flood_publish;
    // Control and messages share a stream, so a dropper is one by its own will, not the network's.
    let droppers = std::mem::take(&mut setup.droppers);
    setup.hostile.extend(&droppers);
    let seed = setup.seed;
    run(
        &setup,
        Box::new(move |name, starts, now| {
            let mut config = config.clone();
            config.withholds = droppers.contains(&name);
            GossipSub::new(name, config, node_seed(seed, name, starts), now)
        }),
    )
}

fn node_seed(seed: u64, name: NodeId, starts: u32) -> u64 {
    seed << 40 | u64::from(starts) << 32 | u64::from(name)
}

/// What the public documentation of OptimumP2P says, by [`gossip::State`]: a model of it.
fn documented(scenario: &Scenario, setup: &Setup) -> RunOutcome {
    let profile = gossip::Profile::Documented;
    coded(scenario, setup, gossip::Config { profile, ..gossip::Config::default() })
}

/// Profile `adaptive` of [`gossip::State`].
fn adaptive(scenario: &Scenario, setup: &Setup) -> RunOutcome {
    coded(scenario, setup, adaptive_config(scenario))
}

/// The same with other settings, which the scenario has beside.
fn adaptive_tuned(scenario: &Scenario, setup: &Setup) -> RunOutcome {
    let mut config = adaptive_config(scenario);
    scenario.coded.tuned.apply(&mut config.adaptive);
    coded(scenario, setup, config)
}

/// The control: what coding is worth.
fn committed(scenario: &Scenario, setup: &Setup) -> RunOutcome {
    let mut config = adaptive_config(scenario);
    config.adaptive.combination_share = 0.0;
    coded(scenario, setup, config)
}

fn adaptive_config(scenario: &Scenario) -> gossip::Config {
    let profile = gossip::Profile::Adaptive;
    let mut config = gossip::Config { profile, ..gossip::Config::default() };
    scenario.coded.adaptive.apply(&mut config.adaptive);
    config
}

fn coded(scenario: &Scenario, setup: &Setup, mut config: gossip::Config) -> RunOutcome {
    config.payload_scale = setup.scale;
    config.message_bytes_max = config.message_bytes_max.max(scenario.message_bytes);
    let settings = &scenario.coded;
    config.shard_factor = settings.shard_factor.unwrap_or(config.shard_factor);
    config.shard_multiplier = settings.shard_multiplier.unwrap_or(config.shard_multiplier);
    config.forward_threshold = settings.forward_threshold.unwrap_or(config.forward_threshold);
    let (seed, mut begin) = (setup.seed, None);
    run(
        setup,
        Box::new(move |name, starts, now| {
            let begin = *begin.get_or_insert(now);
            Coded::new(&config, name, starts, seed, begin, now).expect("sound settings")
        }),
    )
}
