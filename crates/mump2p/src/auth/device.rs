//! The issuer of tokens: the device flow (RFC 8628) as Auth0 speaks it, and renewing.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::file::AuthFile;
use crate::{Error, arguments::Global, http};

/// What is asked for.
const SCOPE: &str = "openid email offline_access";
/// RFC 8628, section 3.4.
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// RFC 8628, section 3.2: the pause where the issuer names none.
const INTERVAL_DEFAULT_SECONDS: u64 = 5;
/// RFC 8628, section 3.5: how much longer after `slow_down`.
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// The longest pause.
const INTERVAL_MAX: Duration = Duration::from_secs(60);
/// The longest time that a code may be confirmed in.
const CODE_SECONDS_MAX: u64 = 3600;
/// How long a token holds where the issuer does not say.
const TOKEN_SECONDS_DEFAULT: i64 = 3600;

/// Where tokens come from.
#[derive(Debug)]
pub(crate) struct Issuer {
    base: String,
    client_id: String,
    audience: String,
    client: reqwest::Client,
}

/// A code that somebody confirms in a browser.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DeviceCode {
    #[serde(rename = "device_code")]
    device: String,
    /// What is typed there.
    pub(crate) user_code: String,
    /// Where.
    pub(crate) verification_uri: String,
    /// The same with the code in it.
    pub(crate) verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<i64>,
}

/// What the issuer says to a code that is waited for.
#[derive(Debug, PartialEq, Eq)]
enum Poll {
    /// Nobody confirmed it yet; ask again after this pause.
    Again(Duration),
    /// It cannot be confirmed any more.
    Refused(String),
}

impl Issuer {
    /// The issuer that flags, variables or the build name.
    ///
    /// # Errors
    ///
    /// Returns an error if one of the three things is not known.
    pub(crate) fn new(global: &Global) -> Result<Self, Error> {
        let setting = |given: &Option<String>, built: Option<&str>, name: &str| {
            let given = given.as_deref().filter(|value| !value.is_empty());
            given.or(built.filter(|value| !value.is_empty())).map(str::to_owned).ok_or_else(|| {
                Error::Login(format!(
                    "no issuer of tokens is configured: set MUMP2P_{} (or --{}); a proxy that \
                     checks no tokens needs no login: --disable-auth --client-id ID",
                    name.to_uppercase().replace('-', "_"),
                    name
                ))
            })
        };
        let auth = &global.issuer;
        let domain = setting(&auth.domain, option_env!("MUMP2P_BUILD_AUTH_DOMAIN"), "auth-domain")?;
        let built = option_env!("MUMP2P_BUILD_AUTH_CLIENT_ID");
        let client_id = setting(&auth.client_id, built, "auth-client-id")?;
        let built = option_env!("MUMP2P_BUILD_AUTH_AUDIENCE");
        let audience = setting(&auth.audience, built, "auth-audience")?;
        let base = if domain.contains("://") { domain } else { format!("https://{domain}") };
        let base = http::base_url(&base, "--auth-domain", "example.eu.auth0.com")?;
        let client = http::client(&base, http::SHORT_TIMEOUT)?;
        Ok(Self { base, client_id, audience, client })
    }

    /// Asks for a code.
    ///
    /// # Errors
    ///
    /// Returns an error if there is none.
    pub(crate) async fn begin(&self) -> Result<DeviceCode, Error> {
        let body =
            json!({ "client_id": self.client_id, "scope": SCOPE, "audience": self.audience });
        let (status, answer) = self.post("/oauth/device/code", &body).await?;
        if status != 200 {
            return Err(Error::Failed(format!(
                "the issuer gives no code: {}",
                told(status, &answer)
            )));
        }
        serde_json::from_value(answer)
            .map_err(|error| Error::Failed(format!("the issuer's answer is no code: {error}")))
    }

    /// Waits until somebody confirmed the code.
    ///
    /// # Errors
    ///
    /// Returns an error if nobody does in time, or somebody refuses.
    pub(crate) async fn confirmed(&self, code: &DeviceCode) -> Result<AuthFile, Error> {
        let body = json!({
            "grant_type": DEVICE_GRANT, "device_code": code.device, "client_id": self.client_id,
        });
        let seconds = code.interval.unwrap_or(INTERVAL_DEFAULT_SECONDS).max(1);
        let mut pause = Duration::from_secs(seconds).min(INTERVAL_MAX);
        let lifetime = Duration::from_secs(code.expires_in.min(CODE_SECONDS_MAX));
        let end = tokio::time::Instant::now() + lifetime;
        while tokio::time::Instant::now() + pause < end {
            tokio::time::sleep(pause).await;
            let (status, answer) = self.post("/oauth/token", &body).await?;
            if status == 200 {
                return login(answer, None);
            }
            match poll(status, &answer, pause) {
                Poll::Again(longer) => pause = longer,
                Poll::Refused(why) => return Err(Error::Login(why)),
            }
        }
        Err(Error::Login("nobody confirmed the code in time: run mump2p login again".to_owned()))
    }

    /// Gets a new token.
    ///
    /// # Errors
    ///
    /// Returns an error if the issuer gives none.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<AuthFile, Error> {
        let body = json!({
            "grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self.client_id,
        });
        let (status, answer) = self.post("/oauth/token", &body).await?;
        if status != 200 {
            return Err(Error::Login(format!(
                "the issuer renews nothing: {}\n  log in again: mump2p login",
                told(status, &answer)
            )));
        }
        login(answer, Some(refresh_token))
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(u16, Value), Error> {
        let check = "the domain of the issuer (--auth-domain, MUMP2P_AUTH_DOMAIN) and the network";
        let url = format!("{}{path}", self.base);
        let sent = self.client.post(&url).json(body).send().await;
        let answer = sent.map_err(|error| http::unreachable(&url, &error, check))?;
        let status = answer.status().as_u16();
        let bytes = http::body(answer, http::ANSWER_BYTES_MAX).await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::String(text))))
    }
}

fn login(answer: Value, old_refresh_token: Option<&str>) -> Result<AuthFile, Error> {
    let tokens: Tokens = serde_json::from_value(answer)
        .map_err(|error| Error::Failed(format!("the issuer's answer has no token: {error}")))?;
    let seconds = tokens.expires_in.unwrap_or(TOKEN_SECONDS_DEFAULT).clamp(0, i64::from(u32::MAX));
    let expires_at = Timestamp::now() + SignedDuration::from_secs(seconds);
    // Not every issuer gives a new one each time.
    let refresh_token = tokens.refresh_token.or_else(|| old_refresh_token.map(str::to_owned));
    // A second is enough for a file that people read.
    let expires_at = Timestamp::from_second(expires_at.as_second()).unwrap_or(expires_at);
    Ok(AuthFile { token: tokens.access_token, refresh_token, expires_at })
}

/// Reads what the issuer says (RFC 8628, section 3.5).
fn poll(status: u16, answer: &Value, pause: Duration) -> Poll {
    match answer["error"].as_str() {
        Some("authorization_pending") => Poll::Again(pause),
        Some("slow_down") => Poll::Again((pause + SLOW_DOWN).min(INTERVAL_MAX)),
        Some("expired_token") => {
            Poll::Refused("nobody confirmed the code in time: run mump2p login again".to_owned())
        }
        Some("access_denied") => Poll::Refused("the login was refused in the browser".to_owned()),
        _ if status == 429 || status >= 500 => Poll::Again((pause + SLOW_DOWN).min(INTERVAL_MAX)),
        _ => Poll::Refused(format!("the issuer gives no token: {}", told(status, answer))),
    }
}

/// Returns what an issuer says is wrong.
fn told(status: u16, answer: &Value) -> String {
    let text = answer["error_description"].as_str().or(answer["error"].as_str());
    let text = text.map_or_else(|| answer.to_string(), str::to_owned);
    let short: String = text.chars().take(300).collect();
    format!("{short} (status {status})")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    #[test]
    fn a_code_is_asked_for_again_until_it_is_refused() {
        let error = |error: &str| json!({ "error": error });
        assert_eq!(poll(403, &error("authorization_pending"), PAUSE), Poll::Again(PAUSE));
        assert_eq!(poll(429, &error("slow_down"), PAUSE), Poll::Again(Duration::from_secs(10)));
        assert_eq!(poll(429, &error("slow_down"), INTERVAL_MAX), Poll::Again(INTERVAL_MAX));
        assert_eq!(poll(503, &json!("away"), PAUSE), Poll::Again(Duration::from_secs(10)));
        for (status, answer) in [
            (403, error("access_denied")),
            (403, error("expired_token")),
            (401, error("invalid_client")),
            (404, json!("not here")),
        ] {
            assert!(matches!(poll(status, &answer, PAUSE), Poll::Refused(_)), "{answer}");
        }
    }

    #[test]
    fn a_renewed_login_keeps_its_refresh_token_unless_there_is_a_new_one() {
        let old = login(json!({"access_token": "t", "expires_in": 60}), Some("r")).expect("tokens");
        assert_eq!(old.refresh_token.as_deref(), Some("r"));
        let new = json!({"access_token": "t", "refresh_token": "n"});
        assert_eq!(login(new, Some("r")).expect("tokens").refresh_token.as_deref(), Some("n"));
        assert!(login(json!({}), None).is_err());
    }

    #[test]
    fn what_an_issuer_says_is_told_shortly() {
        let long = json!({ "error": "e", "error_description": "x".repeat(9999) });
        assert!(told(400, &long).len() < 400);
        assert_eq!(told(400, &json!({"error": "invalid_grant"})), "invalid_grant (status 400)");
    }
}
