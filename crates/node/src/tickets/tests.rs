//! Tickets signed with keys made here.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::{Value, json};

use super::*;

/// A key that signs, and its public half as a JWK.
struct Signer {
    id: &'static str,
    pair: KeyPair,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        Self { id, pair: KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("made") }
    }

    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key_raw());
        json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": self.id, "x": x })
    }

    fn ticket(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.to_owned()), ..Header::new(Algorithm::EdDSA) };
        let key = EncodingKey::from_ed_der(self.pair.serialized_der());
        encode(&header, claims, &key).expect("signed")
    }
}

fn set(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

fn in_an_hour() -> Value {
    json!({ "exp": unix_seconds() + 3600, "aud": "whoever" })
}

fn file(content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), content).expect("written");
    file
}

async fn of(file: &tempfile::NamedTempFile) -> Tickets {
    Tickets::new(&file.path().to_string_lossy()).await.expect("sound keys")
}

#[tokio::test]
async fn a_ticket_is_valid_until_it_ends() {
    let signer = Signer::new("a");
    let tickets = of(&file(&set(&[&signer]))).await;
    let ticket = signer.ticket(&in_an_hour());
    let until = tickets.check(&ticket).await.expect("valid");
    assert!(until >= unix_seconds() + 3590);
    let mut accepted = Accepted::default();
    accepted.admit(&tickets, &ticket).await.expect("valid");
    assert_eq!(accepted.ticket, ticket);
    accepted.admit(&tickets, &ticket).await.expect("valid from memory");
    accepted.admit(&tickets, "").await.expect_err("another ticket");
}

#[tokio::test]
async fn what_is_wrong_with_a_ticket_is_said() {
    let (signer, stranger) = (Signer::new("a"), Signer::new("a"));
    let other = Signer::new("b");
    let tickets = of(&file(&set(&[&signer]))).await;
    let now = unix_seconds();
    for (ticket, says) in [
        (String::new(), "jwt_token is empty"),
        ("x".repeat(20_000), "longer than"),
        ("nonsense".to_owned(), "parsing token"),
        (signer.ticket(&json!({ "exp": now - 3600 })), "token is expired"),
        (signer.ticket(&json!({ "exp": now + 99, "nbf": now + 90 })), "not valid yet"),
        (signer.ticket(&json!({})), "exp is missing"),
        (stranger.ticket(&in_an_hour()), "signature does not fit"),
        (other.ticket(&in_an_hour()), "no key is known"),
    ] {
        let error = tickets.check(&ticket).await.expect_err(says);
        assert!(error.contains(says), "{error} does not say {says}");
    }
}

#[tokio::test]
async fn a_key_is_used_for_its_own_algorithm_only() {
    let signer = Signer::new("a");
    let tickets = of(&file(&set(&[&signer]))).await;
    // The classic forgery: the public key as the secret of a keyed hash.
    let secret = EncodingKey::from_secret(signer.pair.public_key_raw());
    let header = Header { kid: Some("a".to_owned()), ..Header::new(Algorithm::HS256) };
    let forged = encode(&header, &in_an_hour(), &secret).expect("made");
    tickets.check(&forged).await.expect_err("forged");
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_refused_at_the_start() {
    let secret = json!({ "keys": [{ "kty": "oct", "k": "AAAA", "alg": "HS256" }] }).to_string();
    for content in ["", "{}", r#"{"keys":[]}"#, &secret] {
        let file = file(content);
        Tickets::new(&file.path().to_string_lossy()).await.expect_err(content);
    }
    Tickets::new("/does/not/exist").await.expect_err("absent");
}

#[tokio::test]
async fn a_file_that_changes_is_read_again_and_one_that_breaks_is_not_believed() {
    let (old, new) = (Signer::new("old"), Signer::new("new one"));
    let file = file(&set(&[&old]));
    let tickets = of(&file).await;
    std::fs::write(file.path(), set(&[&old, &new])).expect("written");
    tickets.check(&new.ticket(&in_an_hour())).await.expect("valid");
    std::fs::write(file.path(), "broken").expect("written");
    tickets.check(&new.ticket(&in_an_hour())).await.expect("still valid");
}

/// Serves `keys` and counts how often it is asked.
async fn served(keys: String) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let page = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let keys = keys.clone();
        async move { keys }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let routes = axum::Router::new().route("/keys", axum::routing::get(page));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (format!("http://{address}/keys"), asked)
}

#[tokio::test]
async fn keys_of_a_url_are_fetched_once_for_many_tickets_known_or_not() {
    let (signer, other) = (Signer::new("a"), Signer::new("b"));
    let (url, asked) = served(set(&[&signer])).await;
    let tickets = Tickets::new(&url).await.expect("a URL");
    let (known, unknown) = (signer.ticket(&in_an_hour()), other.ticket(&in_an_hour()));
    let (a, b, c) =
        tokio::join!(tickets.check(&known), tickets.check(&known), tickets.check(&unknown));
    a.expect("valid");
    b.expect("valid");
    c.expect_err("unknown");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_url_that_does_not_answer_is_named_in_the_refusal() {
    let (url, _) = served(String::new()).await;
    let tickets = Tickets::new(&format!("{url}/absent")).await.expect("a URL");
    let ticket = Signer::new("a").ticket(&in_an_hour());
    let error = tickets.check(&ticket).await.expect_err("no keys");
    assert!(error.contains("cannot be fetched") && error.contains("404"), "{error}");
}
