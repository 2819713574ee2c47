//! A Redis that speaks TLS.

use std::{process::Command, time::Duration};

use access::{Claim, OnFailure, RedisConfig, Store, StoreError};

use crate::redis_server::{RedisServer, redis_or_skip};

const TTL: Duration = Duration::from_secs(60);

/// Where the second process finds its Redis.
const URL: &str = "ACCESS_TEST_REDIS_URL";

#[tokio::test]
async fn a_redis_with_tls_is_spoken_to_where_its_certificate_is_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (certificate, key) = (path("certificate"), path("key"));
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.key_pair.serialize_pem()).expect("written");
    let server = redis_or_skip!(RedisServer::start_with_tls(&certificate, &key));

    let store = server.store(OnFailure::Closed);
    assert_eq!(store.claim(&[1; 32], TTL).await, Err(StoreError::Away), "it is not trusted here");

    // What is trusted is said by a variable, so that needs a process of its own.
    let own = std::env::current_exe().expect("a program has a path");
    let second = Command::new(own)
        .args(["--exact", "tls::it_answers_who_trusts_it", "--ignored"])
        .env("SSL_CERT_FILE", &certificate)
        .env(URL, server.config(OnFailure::Closed).url)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&second.stdout);
    assert!(second.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "the second process of the test above"]
async fn it_answers_who_trusts_it() {
    let url = std::env::var(URL).expect("set by the test above");
    let store = Store::shared(&RedisConfig { url, on_failure: OnFailure::Closed }, "c");
    let store = store.expect("a URL");
    assert_eq!(store.claim(&[2; 32], TTL).await, Ok(Claim::First));
    assert_eq!(store.counts().redis_answered, 1);
}
