//! Who issues tokens in a test: RSA keys made here, and an HTTP server of their public halves.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use axum::{Router, http::StatusCode, routing::get};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};

/// Who signs (`iss`).
pub const ISSUER: &str = "https://issuer.example/";
/// Whom tokens are for (`aud`).
pub const AUDIENCE: &str = "optimum-login";

/// A key that signs.
#[derive(Debug)]
pub struct Key {
    /// Its name (`kid`).
    pub id: &'static str,
    /// The private half.
    pub signing: EncodingKey,
}

impl Key {
    /// Makes one.
    pub fn new(id: &'static str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("made");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("written");
        let pem = pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref()));
        Self { id, signing: EncodingKey::from_rsa_pem(pem.as_bytes()).expect("an RSA key") }
    }

    /// The public half, as Auth0 writes it.
    pub fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.signing, Algorithm::RS256).expect("an RSA key");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    /// Signs claims.
    pub fn token(&self, claims: &Value) -> String {
        self.token_by(Algorithm::RS256, claims)
    }

    /// Signs claims by another algorithm of RSA.
    pub fn token_by(&self, algorithm: Algorithm, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.to_owned()), ..Header::new(algorithm) };
        encode(&header, claims, &self.signing).expect("signed")
    }
}

/// Claims that let a client in.
pub fn claims() -> Value {
    let exp = unix_seconds() + 3600;
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "auth0|u1", "exp": exp, "is_active": true })
}

/// The same with one claim changed.
pub fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[claim] = value;
    claims
}

/// Returns the time.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// An HTTP server of keys.
#[derive(Debug)]
pub struct Server {
    url: String,
    keys: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// Starts one that serves these keys.
    pub async fn start(keys: &[&Key]) -> Self {
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

    /// Returns where the keys are.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Serves these from now on; none is an error of the server.
    pub fn serve(&self, keys: Option<&[&Key]>) {
        *self.keys.lock().expect("sound") = keys.map(jwks);
    }

    /// Returns how often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

pub(crate) fn jwks(keys: &[&Key]) -> String {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }).to_string()
}
