//! Who lets people log in: the device flow (RFC 8628) and renewing, in JSON as Auth0 speaks them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};

use crate::issuer::{Key, claims, jwks};

/// What is typed in a browser.
pub const USER_CODE: &str = "WDJB-MJHT";
/// What a program asks again and again with.
const DEVICE_CODE: &str = "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What is said to a program that waits for its code to be confirmed (RFC 8628, section 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Nobody confirmed it yet.
    Pending,
    /// The same, and to ask less often.
    SlowDown,
    /// It was not confirmed in time.
    Expired,
    /// Somebody refused.
    Denied,
    /// Here are the tokens.
    Confirmed,
}

impl Poll {
    /// Status and error as Auth0 has them; none when tokens are given.
    fn refusal(self) -> Option<(StatusCode, &'static str)> {
        match self {
            Self::Pending => Some((StatusCode::FORBIDDEN, "authorization_pending")),
            Self::SlowDown => Some((StatusCode::TOO_MANY_REQUESTS, "slow_down")),
            Self::Expired => Some((StatusCode::FORBIDDEN, "expired_token")),
            Self::Denied => Some((StatusCode::FORBIDDEN, "access_denied")),
            Self::Confirmed => None,
        }
    }
}

/// An HTTP server that lets one person log in.
#[derive(Debug)]
pub struct LoginServer {
    url: String,
    shared: Shared,
}

#[derive(Debug)]
struct Inner {
    key: Key,
    claims: Value,
    code_seconds: u64,
    polls: VecDeque<Poll>,
    /// The only one that renews; a new one each time.
    refresh_token: String,
    renewed: u64,
    asked: Vec<Value>,
}

type Shared = Arc<Mutex<Inner>>;
type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

impl LoginServer {
    /// Starts one that signs with a key of its own and confirms every code at once.
    pub async fn start() -> Self {
        let shared = Arc::new(Mutex::new(Inner {
            key: Key::new("login"),
            claims: claims(),
            code_seconds: 600,
            polls: VecDeque::new(),
            refresh_token: "refresh-0".to_owned(),
            renewed: 0,
            asked: Vec::new(),
        }));
        let routes = Router::new()
            .route("/oauth/device/code", post(code))
            .route("/oauth/token", post(token))
            .route("/.well-known/jwks.json", get(keys))
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url: format!("http://{address}"), shared }
    }

    /// Returns where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns where its keys are.
    pub fn jwks_url(&self) -> String {
        format!("{}/.well-known/jwks.json", self.url)
    }

    /// Answers who waits with these, one after the other and the last one again and again, for codes
    /// that hold so many seconds.
    pub fn will_say(&self, polls: &[Poll], code_seconds: u64) {
        let mut inner = self.shared.lock().expect("sound");
        (inner.polls, inner.code_seconds) = (polls.iter().copied().collect(), code_seconds);
    }

    /// Returns the refresh token that renews.
    pub fn refresh_token(&self) -> String {
        self.shared.lock().expect("sound").refresh_token.clone()
    }

    /// Signs claims.
    pub fn token(&self, claims: &Value) -> String {
        self.shared.lock().expect("sound").key.token(claims)
    }

    /// Returns the bodies of all requests so far.
    pub fn asked(&self) -> Vec<Value> {
        self.shared.lock().expect("sound").asked.clone()
    }
}

async fn keys(State(shared): State<Shared>) -> String {
    jwks(&[&shared.lock().expect("sound").key])
}

async fn code(State(shared): State<Shared>, Json(body): Json<Value>) -> Answer {
    let mut inner = shared.lock().expect("sound");
    let is_whole = ["client_id", "scope", "audience"].iter().all(|key| body[key].is_string());
    inner.asked.push(body);
    if !is_whole {
        return refused(StatusCode::BAD_REQUEST, "invalid_request");
    }
    let page = "https://issuer.example/activate";
    Ok(Json(json!({
        "device_code": DEVICE_CODE,
        "user_code": USER_CODE,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={USER_CODE}"),
        "expires_in": inner.code_seconds,
        "interval": 1,
    })))
}

async fn token(State(shared): State<Shared>, Json(body): Json<Value>) -> Answer {
    let mut inner = shared.lock().expect("sound");
    inner.asked.push(body.clone());
    match body["grant_type"].as_str() {
        Some(DEVICE_GRANT) if body["device_code"] == DEVICE_CODE => {
            let last = inner.polls.len() <= 1;
            let said = if last { inner.polls.front().copied() } else { inner.polls.pop_front() };
            match said.and_then(Poll::refusal) {
                Some((status, error)) => refused(status, error),
                None => Ok(inner.tokens()),
            }
        }
        Some("refresh_token") if body["refresh_token"] == *inner.refresh_token => {
            inner.renewed += 1;
            inner.refresh_token = format!("refresh-{}", inner.renewed);
            Ok(inner.tokens())
        }
        Some(_) => refused(StatusCode::FORBIDDEN, "invalid_grant"),
        None => refused(StatusCode::BAD_REQUEST, "invalid_request"),
    }
}

fn refused(status: StatusCode, error: &str) -> Answer {
    Err((status, Json(json!({ "error": error, "error_description": format!("it is {error}") }))))
}

impl Inner {
    fn tokens(&self) -> Json<Value> {
        Json(json!({
            "access_token": self.key.token(&self.claims),
            "refresh_token": self.refresh_token,
            "token_type": "Bearer",
            "expires_in": 3600,
        }))
    }
}
