//! Small networks with everything that can go wrong at once, many seeds. After every event what must
//! never be is looked for. A failure prints the seed and the command that replays it.

mod actor;
mod rogue;

use std::{
    collections::BTreeSet,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use actor::{Actor, FalseFragments};
use bytes::Bytes;
use gossip::{AdaptiveConfig, Config, Profile, message_id};
use rand::{Rng, RngExt, seq::IndexedRandom};
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
use rogue::{Mischief, Rogue};
use sim::{
    coded::Coded,
    network::{Action, LinkModel, Loss, Network, SlowStart},
    protocol::{MessageId, NodeId},
    topology::{TopologySpec, reachable},
};

/// How many seeds of each profile CI runs.
const SEEDS: u64 = 120;

/// All are published by then.
const WARM_UP: Duration = Duration::from_secs(3);

/// By then all who can have everything have it: faults last two seconds, and what was decoded before
/// they end is kept longer.
const LIMIT: Duration = Duration::from_secs(40);

const OPEN_MESSAGES_MAX: usize = 6;

/// Data frames that a node sends another over one connection at most: three messages of at most 79
/// fragments twice, whatever is asked for, and a few more.
const FRAMES_MAX: u32 = 3 * (2 * 79 + 8 + 20);

/// Everything that a seed says.
struct Case {
    seed: u64,
    profile: Profile,
    network: Network<Actor>,
    mischief: Vec<Option<Mischief>>,
    published: Vec<(MessageId, NodeId, Duration)>,
    /// Who was there when the first message was published, and how often it had started.
    starts: Vec<u32>,
    seen: BTreeSet<(NodeId, u32, MessageId)>,
    deliveries: usize,
    convictions: usize,
}

fn config(profile: Profile, seed: u64) -> Config {
    // In every other network messages have several generations.
    let (generation_fragments, fragment_bytes_max) =
        if seed.is_multiple_of(2) { (128, 16 << 10) } else { (16, 2 << 10) };
    let adaptive =
        AdaptiveConfig { generation_fragments, fragment_bytes_max, ..AdaptiveConfig::default() };
    let mut config = Config { profile, adaptive, job_threshold_bytes: 30_000, ..Config::default() };
    config.limits.open_messages_max = OPEN_MESSAGES_MAX;
    config
}

fn model(rng: &mut impl Rng) -> LinkModel {
    let share = rng.random_range(0.0..0.05);
    LinkModel {
        loss: rng
            .random_bool(0.6)
            .then(|| Loss { share, congestion_control: rng.random_bool(0.5) }),
        slow_start: rng.random_bool(0.5).then(SlowStart::default),
        jitter: *[0.0, 0.1, 1.0].choose(rng).unwrap_or(&0.0),
        queue_bytes: rng.random_bool(0.8).then_some(64 << 10),
        ..LinkModel::default()
    }
}

impl Case {
    fn new(profile: Profile, seed: u64) -> Self {
        let rng = &mut ChaCha12Rng::seed_from_u64(seed);
        let nodes = rng.random_range(5..14);
        let mbps = rng.random_range(5.0..100.0);
        let latency_ms = rng.random_range(0.1..80.0);
        let spec = TopologySpec::Uniform { nodes, mbps, latency_ms, dials: 3 };
        let topology = Arc::new(spec.build(seed).expect("a network"));
        // The first node is honest and publishes.
        let hostile = |node: usize, rng: &mut ChaCha12Rng| {
            (node > 0 && rng.random_bool(0.25)).then(|| Mischief::random(profile, rng))
        };
        let mischief: Vec<Option<Mischief>> = (0..nodes).map(|node| hostile(node, rng)).collect();
        let make = {
            let mischief = mischief.clone();
            let config = config(profile, seed);
            let false_fragments = FalseFragments::default();
            let mut begin = None;
            move |name: NodeId, starts: u32, now: Instant| {
                let begin = *begin.get_or_insert(now);
                let node = Coded::new(&config, name, starts, seed, begin, now);
                let rogue = mischief[name as usize]
                    .map(|mischief| Rogue::new(mischief, profile, seed ^ u64::from(name)));
                Actor::new(node.expect("a sound config"), rogue, Rc::clone(&false_fragments))
            }
        };
        let network = Network::new(topology, model(rng), seed, Box::new(make));
        let mut new = Self {
            seed,
            profile,
            network,
            mischief,
            published: Vec::new(),
            starts: Vec::new(),
            seen: BTreeSet::new(),
            deliveries: 0,
            convictions: 0,
        };
        new.plan(rng);
        new
    }

    fn plan(&mut self, rng: &mut ChaCha12Rng) {
        let nodes = self.mischief.len();
        self.network.start_all(Duration::from_millis(700));
        for place in 0..rng.random_range(1..4) {
            let mut payload = vec![0; rng.random_range(1..80_000)];
            rng.fill_bytes(&mut payload);
            let payload = Bytes::from(payload);
            let honest: Vec<usize> = (0..nodes).filter(|&n| self.mischief[n].is_none()).collect();
            let node =
                if place == 0 { 0 } else { *honest.choose(rng).unwrap_or(&0) as NodeId as usize };
            let at = WARM_UP + Duration::from_millis(rng.random_range(0..1500));
            self.published.push((message_id(&payload), node as NodeId, at));
            self.network.at(at, Action::Publish(node as NodeId, payload));
        }
        let publishers: BTreeSet<NodeId> =
            self.published.iter().map(|&(_, node, _)| node).collect();
        let moment = |rng: &mut ChaCha12Rng, from: u64, to: u64| {
            WARM_UP + Duration::from_millis(rng.random_range(from..to))
        };
        for node in (0..nodes as NodeId).filter(|node| !publishers.contains(node)) {
            if rng.random_bool(0.15) {
                self.network.at(moment(rng, 0, 1000), Action::Crash(node));
                if rng.random_bool(0.7) {
                    self.network.at(moment(rng, 1000, 2000), Action::Start(node));
                }
            }
        }
        if rng.random_bool(0.3) {
            let sides = (0..nodes).map(|_| rng.random_bool(0.5)).collect();
            self.network.at(moment(rng, 0, 1000), Action::Split(sides));
            self.network.at(moment(rng, 1000, 2000), Action::Heal);
        }
        for _ in 0..rng.random_range(0..4) {
            let a = rng.random_range(0..nodes as NodeId);
            let b = rng.random_range(0..nodes as NodeId);
            self.network.at(moment(rng, 0, 1000), Action::Cut(a, b));
            self.network.at(moment(rng, 1000, 2500), Action::Connect(a, b));
        }
    }

    fn run(&mut self) {
        while self.network.next_at().is_some_and(|at| at <= LIMIT) {
            if self.starts.is_empty() && self.network.next_at() >= Some(WARM_UP) {
                let nodes = 0..self.mischief.len() as NodeId;
                self.starts = nodes.map(|node| self.network.starts(node)).collect();
            }
            self.network.step();
            self.check();
        }
        self.check_delivered();
    }

    /// What must hold after every event.
    fn check(&mut self) {
        for delivery in &self.network.deliveries()[self.deliveries..] {
            let starts = self.network.starts(delivery.node);
            let new = self.seen.insert((delivery.node, starts, delivery.message));
            assert!(new, "{} delivers a message twice{}", delivery.node, self.replay());
            let known = self.published.iter().any(|&(message, ..)| message == delivery.message);
            assert!(known, "{} delivers what nobody published{}", delivery.node, self.replay());
        }
        self.deliveries = self.network.deliveries().len();
        for conviction in &self.network.convictions()[self.convictions..] {
            let by_honest = self.mischief[conviction.by as usize].is_none();
            let of_honest = self.mischief[conviction.of as usize].is_none();
            let Some(judge) = self.network.protocol(conviction.by).map(Actor::node) else {
                continue;
            };
            let innocent = by_honest && of_honest;
            assert!(!innocent, "{conviction:?}: {:?}{}", judge.faults(), self.replay());
        }
        self.convictions = self.network.convictions().len();
        for node in 0..self.mischief.len() as NodeId {
            let Some(actor) = self.network.protocol(node) else { continue };
            let deceived_by =
                actor.deceived_by().filter(|_| self.mischief[node as usize].is_none());
            assert_eq!(deceived_by, None, "{node} takes what is false{}", self.replay());
            let frames = actor.frames_to_one();
            assert!(frames <= FRAMES_MAX, "{node} sends {frames} frames{}", self.replay());
            let open = actor.node().view().open_messages().count();
            assert!(open <= OPEN_MESSAGES_MAX, "{node} has {open} open messages{}", self.replay());
        }
    }

    /// What must hold in the end: who is honest, was there all the time and hangs together with a
    /// publisher through honest nodes has its message. Without means against pollution, which the
    /// documented protocol has not, only where nobody pollutes.
    fn check_delivered(&self) {
        if self.profile == Profile::Documented
            && self.mischief.iter().flatten().any(|mischief| mischief.pollutes())
        {
            return;
        }
        let nodes = self.mischief.len() as NodeId;
        let honest: Vec<bool> = (0..nodes)
            .map(|node| {
                self.mischief[node as usize].is_none() && self.network.protocol(node).is_some()
            })
            .collect();
        let connections: Vec<(NodeId, NodeId)> = self.network.connections().collect();
        for &(message, publisher, _) in &self.published {
            let reached = reachable(publisher, &connections, &honest);
            for node in 0..nodes {
                let starts = self.network.starts(node);
                let counts = reached[node as usize] && starts == self.starts[node as usize];
                let has = self.seen.contains(&(node, starts, message));
                assert!(has || !counts, "{node} lacks {message} of {publisher}{}", self.replay());
            }
        }
    }

    fn replay(&self) -> String {
        let (seed, profile) = (self.seed, self.profile.name());
        let all = self.mischief.iter().enumerate();
        let hostile: Vec<_> = all.filter_map(|(node, does)| Some((node, (*does)?))).collect();
        format!(
            " (hostile: {hostile:?}); replay with SIM_SEED={seed} cargo test -p sim --test hostile \
             {profile}"
        )
    }
}

/// Returns the number in an environment variable.
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn run_all(profile: Profile) {
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIM_SEEDS").unwrap_or(SEEDS),
    };
    let (mut deliveries, mut convictions) = (0, 0);
    for seed in seeds.clone() {
        let mut case = Case::new(profile, seed);
        case.run();
        deliveries += case.deliveries;
        convictions += case.convictions;
    }
    assert!(deliveries > 0);
    assert!(convictions > 0 || seeds.count() < 50, "mischief that convicts is made and found");
}

#[test]
fn nothing_that_must_never_be_happens_in_small_hostile_networks_of_profile_documented() {
    run_all(Profile::Documented);
}

#[test]
fn nothing_that_must_never_be_happens_in_small_hostile_networks_of_profile_adaptive() {
    run_all(Profile::Adaptive);
}
