//! Two proxies with one Redis.

use std::{sync::Arc, time::Duration};

use access::{
    Change, Claim, Client, Limits, OnFailure, QuotaError, Quotas, Refusal as _, Store, StoreError,
    Subscription, TOPICS_PER_CLIENT_MAX,
};
use redis::AsyncTypedCommands as _;

use crate::redis_server::{redis_or_skip, until_it_is_back};

const TTL: Duration = Duration::from_secs(120);

const ID: [u8; 32] = [7; 32];

const LIMITS: Limits = Limits {
    publishes_per_hour: 50,
    publishes_per_second: 1000,
    message_bytes_max: 1000,
    daily_bytes: 1_000_000,
};

fn client(limits: Limits) -> Client {
    Client { id: "auth0|u:1 {x}".to_owned(), limits, expires_unix_seconds: 0 }
}

fn wanted(topic: &str) -> Subscription {
    Subscription { topic: topic.to_owned(), threshold: 0.7 }
}

#[tokio::test]
async fn of_many_claims_at_two_proxies_one_is_the_first() {
    let server = redis_or_skip!();
    let stores = [(); 2].map(|()| Arc::new(server.store(OnFailure::Closed)));
    let claims: Vec<_> = (0..50)
        .map(|number| {
            let store = Arc::clone(&stores[number % 2]);
            tokio::spawn(async move { store.claim(&ID, TTL).await.expect("Redis is there") })
        })
        .collect();
    let mut first = 0;
    for claim in claims {
        first += u32::from(claim.await.expect("no panic") == Claim::First);
    }
    assert_eq!(first, 1);
}

#[tokio::test]
async fn a_claim_is_released_by_its_proxy_alone_and_then_free_for_all() {
    let server = redis_or_skip!();
    let [one, two] = [(); 2].map(|()| server.store(OnFailure::Closed));
    assert_eq!(one.claim(&ID, TTL).await, Ok(Claim::First));
    assert_eq!(two.claim(&ID, TTL).await, Ok(Claim::Taken));
    two.release(&ID).await;
    assert_eq!(two.claim(&ID, TTL).await, Ok(Claim::Taken), "it was not theirs");
    one.release(&ID).await;
    assert_eq!(two.claim(&ID, TTL).await, Ok(Claim::First));
    assert_eq!(one.claim(&ID, TTL).await, Ok(Claim::Taken));
}

#[tokio::test]
async fn a_subscription_at_one_proxy_is_known_and_news_at_the_other() {
    let server = redis_or_skip!();
    let [one, two] = [(); 2].map(|()| server.store(OnFailure::Closed));
    let mut news = two.changes();
    assert_eq!(news.recv().await, Ok(Change::Any), "it listens from now on");
    for topic in ["b", "a", "b"] {
        one.subscribe("u|1", &wanted(topic), TTL).await.expect("room");
    }
    assert_eq!(two.subscriptions("u|1").await, Ok(vec![wanted("a"), wanted("b")]));
    two.unsubscribe("u|1", "b").await.expect("Redis is there");
    assert_eq!(one.subscriptions("u|1").await, Ok(vec![wanted("a")]));
    assert_eq!(one.subscriptions("u|2").await, Ok(vec![]));
    for _ in 0..3 {
        assert_eq!(news.recv().await, Ok(Change::Of("u|1".into())), "once for each change");
    }
    assert!(news.is_empty(), "what was known before is no news");
    drop((one, two));
    let another = server.store(OnFailure::Closed);
    assert_eq!(another.keep("u|1", TTL).await, Ok(true), "proxies come and go");
    assert_eq!(another.subscriptions("u|1").await, Ok(vec![wanted("a")]));
}

#[tokio::test]
async fn a_client_has_only_so_many_topics() {
    let server = redis_or_skip!();
    let store = server.store(OnFailure::Closed);
    for topic in 0..TOPICS_PER_CLIENT_MAX {
        store.subscribe("c", &wanted(&topic.to_string()), TTL).await.expect("room");
    }
    let one_more = store.subscribe("c", &wanted("one more"), TTL).await;
    assert_eq!(one_more, Err(StoreError::TopicsFull));
    store.subscribe("c", &wanted("7"), TTL).await.expect("known");
}

#[tokio::test]
async fn quotas_hold_across_proxies_whoever_is_asked() {
    let server = redis_or_skip!();
    let quotas = [(); 2].map(|()| Quotas::new(Arc::new(server.store(OnFailure::Closed))));
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let quotas = quotas[number % 2].clone();
            tokio::spawn(async move { quotas.admit(&client(LIMITS), 10).await })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        match task.await.expect("no panic") {
            Ok(()) => admitted += 1,
            Err(QuotaError::PerHour { limit: 50, .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(admitted, LIMITS.publishes_per_hour);
    let [_, other] = quotas;
    let wider = client(Limits { publishes_per_hour: 100, daily_bytes: 509, ..LIMITS });
    let error = other.admit(&wider, 10).await.expect_err("ten times fifty are used");
    let text = error.to_string();
    assert!(text.starts_with("daily quota exceeded (510/509 bytes), resets in "), "{text}");
    assert!(error.retry_after_seconds() <= Some(86_400));
}

#[tokio::test]
async fn every_key_ends_by_itself() {
    let server = redis_or_skip!();
    let store = Arc::new(server.store(OnFailure::Closed));
    let quotas = Quotas::new(Arc::clone(&store));
    // No bytes are no increment, and still a key.
    quotas.admit(&client(LIMITS), 0).await.expect("within");
    store.claim(&ID, TTL).await.expect("Redis is there");
    store.subscribe("c", &wanted("t"), TTL).await.expect("room");
    let mut connection = server.connection().await;
    let mut keys: Vec<String> = connection.keys("*").await.expect("there");
    keys.sort();
    let id = "07".repeat(32);
    assert_eq!(
        keys,
        [
            &format!("optimum:c:published:{id}"),
            "optimum:c:quota:day:auth0|u:1 {x}",
            "optimum:c:quota:hour:auth0|u:1 {x}",
            "optimum:c:quota:second:auth0|u:1 {x}",
            "optimum:c:subscriptions:c",
        ]
    );
    let longest_ms = [120_000, 86_400_000, 3_600_000, 1000, 120_000];
    for (key, longest_ms) in keys.iter().zip(longest_ms) {
        let ends: i64 =
            redis::cmd("PTTL").arg(key).query_async(&mut connection).await.expect("there");
        // -2: the second is over already.
        assert!(
            ends == -2 && longest_ms == 1000 || (0..=longest_ms).contains(&ends),
            "{key}: {ends}"
        );
    }
}

#[tokio::test]
async fn while_redis_is_away_open_goes_on_by_memory_and_comes_back_by_itself() {
    let mut server = redis_or_skip!();
    let store = Arc::new(server.store(OnFailure::Open));
    let quotas = Quotas::new(Arc::clone(&store));
    store.subscribe("c", &wanted("before"), TTL).await.expect("room");
    assert_eq!(store.claim(&ID, TTL).await, Ok(Claim::First));
    assert_eq!(store.counts().redis_is_there, Some(true));

    server.0.kill();
    assert_eq!(store.claim(&ID, TTL).await, Ok(Claim::Taken), "its own claims are known");
    assert_eq!(store.claim(&[8; 32], TTL).await, Ok(Claim::First));
    assert_eq!(store.claim(&[8; 32], TTL).await, Ok(Claim::Taken));
    store.subscribe("c", &wanted("meanwhile"), TTL).await.expect("room");
    let known = vec![wanted("before"), wanted("meanwhile")];
    assert_eq!(store.subscriptions("c").await, Ok(known.clone()));
    let few = client(Limits { publishes_per_hour: 1, ..LIMITS });
    quotas.admit(&few, 1).await.expect("the first");
    quotas.admit(&few, 1).await.expect_err("limits hold at each proxy by itself");
    let counts = store.counts();
    assert_eq!((counts.redis_is_there, counts.refused), (Some(false), 0));
    assert!(counts.redis_failed >= 1 && counts.went_by_memory >= 5, "{counts:?}");

    server.0.start_again().await;
    until_it_is_back(&store).await;
    assert_eq!(store.keep("c", TTL).await, Ok(false), "it came back empty");
    for topic in &known {
        store.subscribe("c", topic, TTL).await.expect("room");
    }
    let other = server.store(OnFailure::Closed);
    assert_eq!(other.subscriptions("c").await, Ok(known));
}

#[tokio::test]
async fn while_redis_is_away_closed_refuses_what_needs_it() {
    let mut server = redis_or_skip!();
    let store = Arc::new(server.store(OnFailure::Closed));
    let quotas = Quotas::new(Arc::clone(&store));
    server.0.kill();
    let error = quotas.admit(&client(LIMITS), 1).await.expect_err("nobody can tell");
    assert_eq!((error.code(), error.retry_after_seconds()), (503, Some(1)));
    assert_eq!(store.claim(&ID, TTL).await, Err(StoreError::Away));
    assert_eq!(store.subscribe("c", &wanted("t"), TTL).await, Err(StoreError::Away));
    assert_eq!(store.subscriptions("c").await, Err(StoreError::Away));
    assert_eq!(store.keep("c", TTL).await, Err(StoreError::Away));
    assert_eq!((store.counts().refused, store.counts().went_by_memory), (5, 0));
    server.0.start_again().await;
    until_it_is_back(&store).await;
    assert_eq!(store.claim(&ID, TTL).await, Ok(Claim::First), "what was refused was not claimed");
    quotas.admit(&client(LIMITS), 1).await.expect("within");
}

#[tokio::test]
async fn a_proxy_starts_before_its_redis() {
    let mut server = redis_or_skip!();
    server.0.kill();
    let store = server.store(OnFailure::Open);
    assert_eq!(store.claim(&ID, TTL).await, Ok(Claim::First));
    let mut news = store.changes();
    server.0.start_again().await;
    until_it_is_back(&store).await;
    assert_eq!(news.recv().await, Ok(Change::Any));
    let other = server.store(OnFailure::Open);
    other.subscribe("c", &wanted("t"), TTL).await.expect("room");
    assert_eq!(news.recv().await, Ok(Change::Of("c".into())));
}

#[tokio::test]
async fn a_redis_that_does_not_answer_holds_nobody_up_and_a_claim_in_doubt_is_made_again() {
    let server = redis_or_skip!();
    let store = server.store(OnFailure::Closed);
    assert_eq!(store.subscriptions("c").await, Ok(vec![]));
    server.0.signal("STOP");
    // It may be written there, and the answer does not come.
    assert_eq!(store.claim(&ID, TTL).await, Err(StoreError::Away));
    server.0.signal("CONT");
    until_it_is_back(&store).await;
    assert_eq!(store.claim(&ID, TTL).await, Ok(Claim::First));
    assert_eq!(store.claim(&ID, TTL).await, Ok(Claim::Taken));
    let other = server.store(OnFailure::Closed);
    assert_eq!(other.claim(&ID, TTL).await, Ok(Claim::Taken));

    server.0.signal("STOP");
    store.release(&ID).await;
    server.0.signal("CONT");
    until_it_is_back(&store).await;
    // Whether it was released or not: it is claimed once.
    assert_eq!(store.claim(&ID, TTL).await, Ok(Claim::First));
    assert_eq!(other.claim(&ID, TTL).await, Ok(Claim::Taken));
}

#[tokio::test]
async fn without_redis_there_is_no_news_and_nothing_is_counted_of_it() {
    let store = Store::in_memory();
    let mut news = store.changes();
    assert_eq!(store.claim(&ID, TTL).await, Ok(Claim::First));
    store.release(&ID).await;
    assert_eq!(store.claim(&ID, TTL).await, Ok(Claim::First));
    store.subscribe("c", &wanted("t"), TTL).await.expect("room");
    assert_eq!(store.subscriptions("c").await, Ok(vec![wanted("t")]));
    assert!(news.try_recv().is_err());
    assert_eq!(store.counts(), access::Counts::default());
}
