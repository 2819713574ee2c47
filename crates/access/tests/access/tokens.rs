//! Tokens of a real issuer.

use std::{sync::Arc, time::Duration};

use access::{AuthConfig, AuthError, Client, Refusal as _, Verifier};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use servers::issuer::{AUDIENCE, Key, Server, claims, unix_seconds, with};
use service::jwks::Pace;

/// Times that let a test see the next fetch at once.
const AT_ONCE: Pace =
    Pace { age_max: Duration::from_secs(300), pause: Duration::ZERO, wait: Duration::from_secs(5) };

async fn show(verifier: &Verifier, token: &str) -> Result<Client, AuthError> {
    verifier.client(Some(&format!("Bearer {token}"))).await
}

async fn refused(verifier: &Verifier, token: &str) -> AuthError {
    show(verifier, token).await.expect_err("refused")
}

async fn one_key() -> (Key, Server, Verifier) {
    let key = Key::new("k1");
    let server = Server::start(&[&key]).await;
    let verifier = Verifier::new(&config(&server)).await.expect("a URL");
    (key, server, verifier)
}

fn config(server: &Server) -> AuthConfig {
    AuthConfig {
        jwks: server.url().to_owned(),
        issuer: servers::issuer::ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
    }
}

#[tokio::test]
async fn a_token_lets_its_client_in_with_its_limits() {
    let (key, server, verifier) = one_key().await;
    let mut claims = with("aud", json!(["other", AUDIENCE]));
    claims["max_publish_per_sec"] = json!("600");
    claims["client_id"] = json!("own");
    let client = show(&verifier, &key.token(&claims)).await.expect("valid");
    assert_eq!((client.id.as_str(), client.limits.publishes_per_second), ("own", 600));
    assert_eq!(client.limits.publishes_per_hour, 100);
    assert_eq!(Some(client.expires_unix_seconds), claims["exp"].as_u64());
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn a_token_that_is_wrong_is_refused_and_told_why() {
    let (key, _server, verifier) = one_key().await;
    let now = unix_seconds();
    let without = |claim: &str| {
        let mut claims = claims();
        claims.as_object_mut().expect("an object").remove(claim);
        claims
    };
    for (claims, code, says) in [
        (with("exp", json!(now - 31)), 401, "token is expired"),
        (with("nbf", json!(now + 60)), 401, "not valid yet"),
        (with("iss", json!("https://other.example/")), 401, "invalid issuer"),
        (with("aud", json!("other")), 401, "invalid audience"),
        (with("aud", json!([])), 401, "invalid audience"),
        (without("aud"), 401, "invalid audience"),
        (without("iss"), 401, "invalid issuer"),
        (without("exp"), 401, "exp is missing"),
        (with("exp", json!("tomorrow")), 401, "exp is missing or malformed"),
        (without("sub"), 401, "invalid token claims format"),
        (with("max_publish_per_sec", json!({})), 401, "max_publish_per_sec is {}"),
        (json!(["no", "object"]), 401, "parsing token"),
        (with("is_active", json!("no")), 403, "your account is inactive, please contact support"),
        (without("is_active"), 403, "inactive"),
    ] {
        let error = refused(&verifier, &key.token(&claims)).await;
        assert!(error.to_string().contains(says), "{error} does not say {says}");
        assert_eq!((error.code(), error.retry_after_seconds()), (code, None), "{error}");
    }
    for header in [None, Some(""), Some("Basic dTpw"), Some("Bearer ")] {
        let error = verifier.client(header).await.expect_err("no token");
        assert_eq!((error.code(), error.kind()), (401, "no_token"));
    }
}

#[tokio::test]
async fn clocks_may_differ_a_little() {
    let (key, _server, verifier) = one_key().await;
    let now = unix_seconds();
    for claims in [with("exp", json!(now - 10)), with("nbf", json!(now + 10))] {
        show(&verifier, &key.token(&claims)).await.expect("within the leeway");
    }
}

/// A token with this head and no real signature.
fn unsigned(head: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(head), part(&claims()))
}

#[tokio::test]
async fn a_token_is_signed_by_rsa_with_the_key_it_names_or_not_believed() {
    let (key, server, verifier) = one_key().await;
    let stranger = Key::new("k1");
    let error = refused(&verifier, &stranger.token(&claims())).await;
    assert!(error.to_string().contains("signature"), "{error}");

    let valid = key.token(&claims());
    let (signed, _) = valid.rsplit_once('.').expect("three parts");
    let other_claims = URL_SAFE_NO_PAD.encode(with("client_id", json!("admin")).to_string());
    let mut parts: Vec<_> = valid.split('.').collect();
    parts[1] = &other_claims;
    let modulus = key.jwk()["n"].as_str().expect("text").to_owned();
    let hmac = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
    let by_hmac = encode(&hmac, &claims(), &EncodingKey::from_secret(modulus.as_bytes()));
    for token in [
        format!("{signed}."),
        format!("{signed}.AAAA"),
        parts.join("."),
        unsigned(&json!({ "alg": "none" }), ""),
        unsigned(&json!({ "alg": "None", "kid": "k1" }), ""),
        unsigned(&json!({ "alg": "ES256", "kid": "k1" }), "AAAA"),
        unsigned(&json!({ "alg": "PS256", "kid": "k1" }), "AAAA"),
        by_hmac.expect("made"),
        // The key says RS256.
        key.token_by(Algorithm::RS512, &claims()),
        "x".repeat(1 << 20),
        "..".to_owned(),
    ] {
        let error = refused(&verifier, &token).await;
        assert_eq!((error.code(), error.kind()), (401, "invalid_token"), "{error}");
        assert!(error.to_string().starts_with("jwt invalid: "), "{error}");
    }
    assert!(server.asked() <= 1);
    show(&verifier, &valid).await.expect("valid after all that");
}

#[tokio::test]
async fn a_key_that_names_no_algorithm_takes_each_of_rsa() {
    let key = Key::new("k1");
    let mut jwk = key.jwk();
    jwk.as_object_mut().expect("an object").remove("alg");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), json!({ "keys": [jwk] }).to_string()).expect("written");
    let jwks = file.path().to_string_lossy().into_owned();
    let issuer = servers::issuer::ISSUER.to_owned();
    let config = AuthConfig { jwks, issuer, audience: AUDIENCE.to_owned() };
    let verifier = Verifier::new(&config).await.expect("a file");
    for algorithm in [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512] {
        show(&verifier, &key.token_by(algorithm, &claims())).await.expect("valid");
    }
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched_and_one_that_is_gone_is_not_believed() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let server = Server::start(&[&old]).await;
    let verifier = Verifier::with_pace(&config(&server), AT_ONCE).await.expect("a URL");
    show(&verifier, &old.token(&claims())).await.expect("valid");
    server.serve(Some(&[&old, &new]));
    show(&verifier, &new.token(&claims())).await.expect("valid");
    show(&verifier, &old.token(&claims())).await.expect("still valid");
    assert_eq!(server.asked(), 2);
    server.serve(Some(&[&new]));
    // Whatever leads to a fetch shows that it is gone.
    refused(&verifier, &Key::new("unknown").token(&claims())).await;
    refused(&verifier, &old.token(&claims())).await;
    show(&verifier, &new.token(&claims())).await.expect("valid");
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_one_fetch_and_known_ones_pass() {
    let (key, server, verifier) = one_key().await;
    let verifier = Arc::new(verifier);
    show(&verifier, &key.token(&claims())).await.expect("valid");
    let valid = key.token(&claims());
    let tasks: Vec<_> = (0..1000)
        .map(|number| {
            let head = json!({ "alg": "RS256", "kid": format!("unknown {number}") });
            let (token, is_known) = if number % 10 == 0 {
                (valid.clone(), true)
            } else {
                (unsigned(&head, "AAAA"), false)
            };
            let verifier = Arc::clone(&verifier);
            tokio::spawn(async move { show(&verifier, &token).await.is_ok() == is_known })
        })
        .collect();
    for task in tasks {
        assert!(task.await.expect("no panic"));
    }
    // The first of all, and none for the flood: it is too early after that.
    assert_eq!((server.asked(), verifier.fetches().attempts), (1, 1));
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_are_not_the_clients_fault() {
    let (key, server) = (Key::new("k1"), Server::start(&[]).await);
    server.serve(None);
    let verifier = Verifier::with_pace(&config(&server), AT_ONCE).await.expect("a URL");
    let error = refused(&verifier, &key.token(&claims())).await;
    assert_eq!((error.code(), error.retry_after_seconds()), (503, Some(10)));
    assert!(error.to_string().contains("status 500"), "{error}");
    assert_eq!(verifier.fetches().failures, 1);
    server.serve(Some(&[&key]));
    show(&verifier, &key.token(&claims())).await.expect("valid without a restart");
    server.serve(None);
    refused(&verifier, &Key::new("k2").token(&claims())).await;
    show(&verifier, &key.token(&claims())).await.expect("a known key holds while they are away");
}
