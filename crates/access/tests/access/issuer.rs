//! Who issues tokens in a test: RSA keys made here, and an HTTP server of their public halves.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use access::AuthConfig;
use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use axum::{Router, http::StatusCode, routing::get};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://issuer.example/";
pub(crate) const AUDIENCE: &str = "optimum-login";

/// A key that signs.
pub(crate) struct Key {
    pub(crate) id: &'static str,
    pub(crate) signing: EncodingKey,
}

impl Key {
    pub(crate) fn new(id: &'static str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("made");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("written");
        let pem = pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref()));
        Self { id, signing: EncodingKey::from_rsa_pem(pem.as_bytes()).expect("an RSA key") }
    }

    /// The public half, as Auth0 writes it.
    pub(crate) fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.signing, Algorithm::RS256).expect("an RSA key");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_by(Algorithm::RS256, claims)
    }

    pub(crate) fn token_by(&self, algorithm: Algorithm, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.to_owned()), ..Header::new(algorithm) };
        encode(&header, claims, &self.signing).expect("signed")
    }
}

/// Claims that let a client in.
pub(crate) fn claims() -> Value {
    let exp = unix_seconds() + 3600;
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "auth0|u1", "exp": exp, "is_active": true })
}

pub(crate) fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[claim] = value;
    claims
}

pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// An HTTP server of keys.
pub(crate) struct Server {
    url: String,
    keys: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(keys: &[&Key]) -> Self {
        let page = Arc::new(Mutex::new(Some(jwks(keys))));
        let asked = Arc::new(AtomicUsize::new(0));
        let (served, counted) = (Arc::clone(&page), Arc::clone(&asked));
        let answer = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let page = served.lock().expect("sound").clone();
            async move { page.ok_or(StatusCode::INTERNAL_SERVER_ERROR) }
        };
        let routes = Router::new().route("/.well-known/jwks.json", get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url: format!("http://{address}/.well-known/jwks.json"), keys: page, asked }
    }

    pub(crate) fn config(&self) -> AuthConfig {
        AuthConfig {
            jwks: self.url.clone(),
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
        }
    }

    /// Serves these from now on; none is an error of the server.
    pub(crate) fn serve(&self, keys: Option<&[&Key]>) {
        *self.keys.lock().expect("sound") = keys.map(jwks);
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn jwks(keys: &[&Key]) -> String {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }).to_string()
}
