//! Memory and Redis decide alike.

use std::sync::Arc;

use access::{Client, Limits, OnFailure, QuotaError, Quotas, Store};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};

use crate::redis_server::redis_or_skip;

/// Limits from nothing to the highest, and messages.
fn scenario() -> impl Strategy<Value = (Limits, Vec<u64>)> {
    let most = (1 << 53) - 1;
    let few = || prop_oneof![0..8_u64, Just(most)];
    let bytes = prop_oneof![0..3000_u64, Just(most)];
    (few(), few(), bytes, prop::collection::vec(prop_oneof![0..900_u64, Just(1 << 40)], 1..12))
        .prop_map(move |(publishes_per_hour, publishes_per_second, daily_bytes, messages)| {
            // In one second there is no telling which it is in.
            let publishes_per_second = if publishes_per_second == 0 { 0 } else { most };
            let message_bytes_max = most;
            let limits =
                Limits { publishes_per_hour, publishes_per_second, message_bytes_max, daily_bytes };
            (limits, messages)
        })
}

/// What was decided, without the time that is left.
fn decision(answer: Result<(), QuotaError>) -> (&'static str, u64) {
    match answer {
        Ok(()) => ("admitted", 0),
        Err(QuotaError::Daily { used, .. }) => ("daily", used),
        Err(error) => (error.kind(), 0),
    }
}

#[tokio::test]
async fn memory_and_redis_decide_alike() {
    let server = redis_or_skip!();
    let shared = Quotas::new(Arc::new(server.store(OnFailure::Closed)));
    let memory = Quotas::new(Arc::new(Store::in_memory()));
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    for case in 0..200 {
        let (limits, messages) = scenario().new_tree(&mut runner).expect("a case").current();
        let client = Client { id: format!("c{case}"), limits, expires_unix_seconds: 0 };
        for bytes in &messages {
            let [by_memory, by_redis] =
                [&memory, &shared].map(|quotas| quotas.admit(&client, *bytes));
            let (by_memory, by_redis) = (by_memory.await, by_redis.await);
            assert_eq!(decision(by_memory), decision(by_redis), "{limits:?} {messages:?}");
        }
    }
}
