//! The coded protocol in the network: what is simulated is what would happen.

use std::{sync::Arc, time::Duration};

use gossip::{Config, Profile};
use sim::{
    coded::Coded,
    network::{LinkModel, Loss, Sharing},
    run::{Labels, RunOutcome, Setup, pick_publishers, run},
    topology::{MBIT, TopologySpec},
};

const LABELS: Labels<'_> = Labels { scenario: "test", protocol: "documented", tuned: false };

/// A message of `bytes` in a network of 50 Mbit/s and 20 ms.
fn setup(nodes: usize, bytes: u64, scale: u32, seed: u64) -> Setup {
    let spec = TopologySpec::Uniform { nodes, mbps: 50.0, latency_ms: 20.0, dials: 6 };
    let topology = Arc::new(spec.build(seed).expect("a network"));
    let publishers = pick_publishers(&topology, 1, 50 * MBIT, seed);
    Setup { scale, ..Setup::new(topology, seed, &publishers, bytes) }
}

fn run_coded(setup: &Setup) -> RunOutcome {
    let config = Config {
        profile: Profile::Documented,
        payload_scale: setup.scale,
        message_bytes_max: 10 << 20,
        ..Config::default()
    };
    let seed = setup.seed;
    let mut begin = None;
    run(
        setup,
        Box::new(move |name, starts, now| {
            let begin = *begin.get_or_insert(now);
            Coded::new(&config, name, starts, seed, begin, now).expect("a sound config")
        }),
    )
}

#[test]
fn a_scaled_run_happens_as_one_that_is_not_scaled() {
    // Below and above the size that is hashed and decoded as a job; whole pieces, and several.
    for (seed, bytes) in [(1, 64 << 10), (2, 512 << 10), (3, 1 << 20)] {
        let whole = run_coded(&setup(20, bytes, 1, seed));
        let scaled = run_coded(&setup(20, bytes, 16, seed));
        assert_eq!(whole.trace_hash, scaled.trace_hash, "{bytes} bytes");
        let (whole, scaled) = (whole.record(LABELS), scaled.record(LABELS));
        assert!(whole.p99_ms.is_some());
        assert_eq!(whole, scaled, "{bytes} bytes");
    }
}

#[test]
fn equal_seeds_give_equal_runs_and_others_do_not() {
    let hash = |seed| {
        let mut setup = setup(30, 256 << 10, 16, 1);
        setup.seed = seed;
        setup.model.loss = Some(Loss { share: 0.01, congestion_control: true });
        run_coded(&setup).trace_hash
    };
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn every_byte_received_is_counted_as_one_kind() {
    let setup = setup(30, 256 << 10, 16, 4);
    let outcome = run_coded(&setup);
    for (name, node) in outcome.nodes.iter().enumerate() {
        let payload = node.received.useful
            + node.received.duplicate
            + node.received.dependent
            + node.received.late;
        let told = payload + node.received.header + node.received.coefficients;
        let data = node.usage.data_received;
        // Flags, generation ids and acknowledgements are the rest.
        assert!(told <= data && data - told <= data / 100, "node {name}: {told} of {data}");
        let publishes = outcome.publishers().contains(&(name as u32));
        assert_eq!(node.received.useful, if publishes { 0 } else { 256 << 10 });
    }
}

#[test]
fn no_run_beats_its_bound() {
    for seed in 0..3 {
        for model in [LinkModel::plain(), LinkModel::default()] {
            let setup = Setup { model, ..setup(40, 256 << 10, 16, seed) };
            let record = run_coded(&setup).record(LABELS);
            assert!(record.p99_ms.is_some_and(|p99| p99 > record.bound_ms), "{record:?}");
        }
    }
}

#[test]
fn faults_are_counted_and_who_is_honest_and_connected_has_the_message() {
    let mut faulty = setup(60, 128 << 10, 16, 5);
    faulty.drop_share(0.3);
    assert_eq!(faulty.droppers.len(), 18);
    faulty.churn(0.2, Duration::from_secs(1), Duration::from_secs(2));
    let outcome = run_coded(&faulty);
    let record = outcome.record(LABELS);
    assert!((record.delivered - 1.0).abs() < 1e-9, "{record:?}");
    assert_eq!((record.convicted, record.honest_convicted), (0, 0));
    for &node in &faulty.droppers {
        assert_eq!(outcome.nodes[node as usize].usage.data_sent, 0);
        assert!(!outcome.nodes[node as usize].counts);
    }
}

#[test]
fn both_halves_of_a_split_network_have_the_message_after_it_is_healed() {
    let mut split = setup(40, 128 << 10, 16, 6);
    split.split(Duration::ZERO, Duration::from_secs(2));
    let record = run_coded(&split).record(LABELS);
    assert!((record.delivered - 1.0).abs() < 1e-9, "{record:?}");
    assert!(record.p99_ms.is_some_and(|p99| p99 > 2000.0), "{record:?}");
    assert!(record.p50_ms.is_some());
}

#[test]
fn links_shared_fairly_and_in_turns_give_like_times() {
    for seed in 0..2 {
        let mut p99 = Vec::new();
        for sharing in [Sharing::Frames, Sharing::Fluid] {
            let model = LinkModel { sharing, ..LinkModel::plain() };
            let setup = Setup { model, ..setup(30, 1 << 20, 16, seed) };
            p99.extend(run_coded(&setup).record(LABELS).p99_ms);
        }
        let [frames, fluid] = p99[..] else { panic!("not all delivered: {p99:?}") };
        assert!((frames / fluid - 1.0).abs() < 0.25, "{frames} and {fluid} ms");
    }
}
