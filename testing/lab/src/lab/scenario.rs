//! What is run, in the words of the simulator: whoever dials and publishes here does so there.

use std::time::Duration;

use anyhow::{Context as _, Result};
use sim::{protocols, run::RunOutcome, scenario::Scenario};

use crate::{kinds::Kind, network::Links, spread::Spread};

/// Seeds of a prediction.
const SEEDS: u64 = 3;

/// One payload byte of the simulator stands for so many.
const PAYLOAD_SCALE: usize = 64;

/// When the next message is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// At a fixed interval, whether the one before has arrived or not.
    Every(Duration),
    /// When the one before is everywhere and the links are quiet.
    Apart,
}

/// What is published over which links.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) links: Links,
    pub(crate) bytes: usize,
    pub(crate) messages: usize,
    pub(crate) pace: Pace,
}

/// What the simulator says of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prediction {
    pub(crate) spread: Spread,
    /// By a node, in the mean, per byte of the messages; without the headers of packets.
    pub(crate) received: f64,
}

impl Load {
    /// Returns the time that one message takes on a link.
    pub(crate) fn unit(&self) -> Duration {
        Duration::from_secs_f64(self.bytes as f64 * 8.0 / (f64::from(self.links.mbps) * 1e6))
    }

    /// Returns the bytes of all messages.
    pub(crate) fn message_bytes(&self) -> f64 {
        (self.bytes * self.messages) as f64
    }

    /// Returns the scenario that is this load with a kind of nodes.
    pub(crate) fn scenario(&self, kind: Kind) -> Result<Scenario> {
        let Self { links: Links { nodes, mbps, latency_ms }, bytes, messages, pace } = *self;
        let interval = match pace {
            Pace::Every(interval) => interval,
            // So long that nothing is on the way any more, however slow the protocol.
            Pace::Apart => (self.unit() * 40).max(Duration::from_secs(10)),
        };
        let network = if latency_ms == 0 {
            format!("kind = \"lab\"\nnodes = {nodes}\nmbps = {mbps}")
        } else {
            let name = "kind = \"uniform\"\ndials = 10";
            format!("{name}\nnodes = {nodes}\nmbps = {mbps}\nlatency_ms = {latency_ms}")
        };
        let [low, target, high] = kind.mesh();
        let lazy = if kind.gossips() { "" } else { "lazy = 0" };
        let scale = if bytes.is_multiple_of(PAYLOAD_SCALE) { PAYLOAD_SCALE } else { 1 };
        let text = format!(
            "name = \"lab\"\nmessage_bytes = {bytes}\npayload_scale = {scale}\n\
             publishers = {messages}\npublisher_mbps = {mbps}\ninterval_ms = {}\nwarm_up_s = 10\n\
             limit_s = {}\nprotocols = [\"{}\"]\n[topology]\n{network}\n[links]\njitter = 0.0\n\
             [gossipsub]\nasks_once = true\nmesh = [{low}, {target}, {high}]\n{lazy}\n",
            interval.as_millis(),
            (interval.as_secs() + 1) * messages as u64 + 300,
            kind.simulated(),
        );
        Scenario::parse(&text).context("the simulator does not know this load")
    }

    /// Runs the simulator.
    pub(crate) fn predict(&self, kind: Kind) -> Result<Prediction> {
        let scenario = self.scenario(kind)?;
        let protocol = protocols::find(kind.simulated()).context("no such protocol")?;
        let (mut spreads, mut received) = (Vec::new(), Vec::new());
        for seed in 1..=SEEDS {
            let outcome = (protocol.run)(&scenario, &scenario.setup(seed)?);
            spreads.push(spread(&outcome));
            let bytes: u64 = outcome.nodes.iter().map(|node| node.usage.received()).sum();
            received.push(bytes as f64 / outcome.nodes.len() as f64 / self.message_bytes());
        }
        received.sort_by(f64::total_cmp);
        let received = received[received.len() / 2];
        Ok(Prediction { spread: Spread::median(&spreads), received })
    }
}

fn spread(outcome: &RunOutcome) -> Spread {
    let messages = outcome.messages.iter().map(|message| {
        let nodes = message.delivered.iter().enumerate();
        let others = nodes.filter(|(node, _)| *node != message.publisher as usize);
        others.map(|(_, time)| *time).collect()
    });
    Spread::of(&messages.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(latency_ms: u32, pace: Pace) -> Load {
        let links = Links { nodes: 8, mbps: 50, latency_ms };
        Load { links, bytes: 64 << 10, messages: 2, pace }
    }

    #[test]
    fn a_message_takes_its_bits_over_the_rate_on_a_link() {
        let unit = load(0, Pace::Apart).unit();
        assert_eq!(unit.as_micros(), 10_485);
    }

    #[test]
    fn every_kind_dials_and_publishes_alike() {
        let setup = |kind, latency_ms| {
            let load = load(latency_ms, Pace::Apart);
            load.scenario(kind).expect("a scenario").setup(7).expect("a setup")
        };
        let one = setup(Kind::Adaptive, 0);
        for kind in [Kind::Documented, Kind::Gossipsub, Kind::GossipsubBest] {
            for latency_ms in [0, 25] {
                let other = setup(kind, latency_ms);
                assert_eq!(other.topology.dials, one.topology.dials);
                let publishers = |setup: &sim::run::Setup| {
                    setup.messages.iter().map(|message| message.publisher).collect::<Vec<_>>()
                };
                assert_eq!(publishers(&other), publishers(&one));
            }
        }
    }

    #[test]
    fn the_simulator_predicts_that_every_node_gets_what_is_published() {
        let interval = Duration::from_millis(1500);
        for kind in [Kind::Adaptive, Kind::GossipsubBest] {
            let load = load(25, Pace::Every(interval));
            let prediction = load.predict(kind).expect("it runs");
            assert_eq!((prediction.spread.pairs, prediction.spread.missing), (14, 0));
            assert!(prediction.spread.p50 > Some(load.unit()));
            assert!(prediction.received > 0.8, "{}", prediction.received);
        }
    }
}
