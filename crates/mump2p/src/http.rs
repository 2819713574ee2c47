//! Requests to a proxy's REST API, and what they share with those to others.

use std::time::Duration;

use cli::{client::root_cause, proxy::is_here};
use reqwest::{
    Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url, header,
    redirect::Policy,
};
use serde::Serialize;
use serde_json::Value;

use crate::{Context, Error};

/// How long a request may take whose answer is made at once.
pub(crate) const SHORT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one may take that carries a message. The proxy answers after 30 s at the latest; the
/// rest is for the way there.
pub(crate) const LONG_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest answer that is read, in bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 8 << 20;

/// How many redirects are followed, one after the other.
const REDIRECTS_MAX: usize = 10;

/// What to look at when a proxy does not answer.
pub(crate) const CHECK_PROXY: &str = "that a proxy runs there (make up starts a local stack), and the address (--service-url, MUMP2P_SERVICE_URL)";

/// The REST API of a proxy.
#[derive(Clone, Debug)]
pub struct Service {
    base: String,
    token: Option<String>,
    client: Client,
}

/// What a proxy answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Service {
    /// The proxy of a context.
    ///
    /// # Errors
    ///
    /// Returns an error if TLS cannot be set up.
    pub fn new(context: &Context) -> Result<Self, Error> {
        Self::at(&context.service_url, context)
    }

    /// A proxy elsewhere, shown the same token.
    ///
    /// # Errors
    ///
    /// Returns an error if `base` is no address of one.
    pub fn at(base: &str, context: &Context) -> Result<Self, Error> {
        let base = base_url(base, "the address of the proxy", "http://localhost:8081")?;
        let client = client(&base, LONG_TIMEOUT)?;
        Ok(Self { base, token: context.token.clone(), client })
    }

    /// Returns the base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Asks for a page; `path` begins with a slash and may have a query.
    ///
    /// # Errors
    ///
    /// Returns an error if nobody answers.
    pub async fn get(&self, path: &str) -> Result<Answer, Error> {
        let request = self.request(Method::GET, path).timeout(SHORT_TIMEOUT);
        self.answer(path, request).await
    }

    /// Posts JSON.
    ///
    /// # Errors
    ///
    /// Returns an error if nobody answers.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer, Error> {
        let request = self.request(Method::POST, path).json(body);
        self.answer(path, request.timeout(SHORT_TIMEOUT)).await
    }

    /// Begins a request with the token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn answer(
        &self,
        path: &str,
        request: RequestBuilder,
    ) -> Result<Answer, Error> {
        let url = format!("{}{path}", self.base);
        let answer =
            request.send().await.map_err(|error| unreachable(&url, &error, CHECK_PROXY))?;
        let status = answer.status().as_u16();
        if let Some(place) = redirect(&answer) {
            // Without what was asked for it is an address to give.
            let place = place.strip_suffix(path).unwrap_or(&place);
            return Err(Error::Failed(format!(
                "{url} is elsewhere (status {status}): give that address, {place} \
                 (--service-url, MUMP2P_SERVICE_URL)"
            )));
        }
        let body = body(answer, ANSWER_BYTES_MAX).await?;
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

impl Answer {
    /// Returns the JSON of a good answer.
    ///
    /// # Errors
    ///
    /// Returns an error for any other.
    pub fn json(&self, what: &str) -> Result<Value, Error> {
        self.ok(what)?;
        serde_json::from_str(&self.body).map_err(|error| {
            Error::Failed(format!("{what}: the answer is no JSON ({error}): {}", self.short()))
        })
    }

    /// Returns an error unless the status is 200, as clients of the original have it.
    ///
    /// # Errors
    ///
    /// See above.
    pub fn ok(&self, what: &str) -> Result<(), Error> {
        match self.status {
            200 => Ok(()),
            401 => Err(Error::Login(format!(
                "{what}: {}\n  log in: mump2p login (mump2p whoami says who is logged in)",
                self.short()
            ))),
            _ => Err(Error::Failed(format!("{what}: {}", self.short()))),
        }
    }

    /// Like [`Self::ok`]; where the answer is not JSON, which a proxy's is, it says who was asked, and
    /// what to check.
    ///
    /// # Errors
    ///
    /// See above.
    pub(crate) fn ok_of(&self, base: &str, what: &str) -> Result<(), Error> {
        let is_json = serde_json::from_str::<Value>(&self.body).is_ok();
        self.ok(what).map_err(|error| {
            if is_json {
                return error;
            }
            Error::Failed(format!(
                "{error} (status {} of {base})\n  check: {CHECK_PROXY}",
                self.status
            ))
        })
    }

    /// The body, cut where it is no answer for people.
    pub(crate) fn short(&self) -> String {
        let text = self.body.trim();
        let mut short: String = text.chars().take(500).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        if short.is_empty() { format!("status {}", self.status) } else { short }
    }
}

/// Makes a client. It goes through the system's HTTP proxy unless the server is on this machine, and
/// follows a redirect only if the request stays what it is: 301, 302 and 303 make a GET without a
/// body of a POST, and its message is gone.
pub(crate) fn client(base: &str, timeout: Duration) -> Result<Client, Error> {
    let keeping = Policy::custom(|attempt| match attempt.status() {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
            if attempt.previous().len() < REDIRECTS_MAX =>
        {
            attempt.follow()
        }
        _ => attempt.stop(),
    });
    built(base, Client::builder().timeout(timeout).redirect(keeping))
}

/// Makes one that follows no redirect.
pub(crate) fn straight_client(base: &str, timeout: Duration) -> Result<Client, Error> {
    built(base, Client::builder().timeout(timeout).redirect(Policy::none()))
}

fn built(base: &str, builder: ClientBuilder) -> Result<Client, Error> {
    let builder = builder.connect_timeout(SHORT_TIMEOUT);
    let builder = if is_here(base) { builder.no_proxy() } else { builder };
    builder
        .build()
        .map_err(|error| Error::Failed(format!("TLS cannot be set up: {}", root_cause(&error))))
}

/// Checks the base of URLs; returns it without a slash at its end.
///
/// # Errors
///
/// Returns an error that says what would be right.
pub(crate) fn base_url(base: &str, what: &str, sample: &str) -> Result<String, Error> {
    let base = base.trim().trim_end_matches('/');
    let wrong = |problem: &str| {
        Err(Error::Usage(format!("{what} is {base:?}: {problem}; right is, for example, {sample}")))
    };
    match Url::parse(base) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            wrong("it does not begin with http:// or https://")
        }
        Ok(url) if url.host_str().is_none_or(str::is_empty) => wrong("it names no host"),
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            wrong("it has a query or a fragment")
        }
        Ok(_) => Ok(base.to_owned()),
        Err(error) if base.contains("://") => wrong(&error.to_string()),
        Err(_) => wrong("it does not begin with http:// or https://"),
    }
}

/// Returns where an answer sends to, if that is all that it does.
pub(crate) fn redirect(answer: &Response) -> Option<String> {
    let place = answer.headers().get(header::LOCATION).filter(|_| answer.status().is_redirection());
    Some(String::from_utf8_lossy(place?.as_bytes()).into_owned())
}

/// Reads a body, up to a length.
pub(crate) async fn body(mut answer: Response, bytes_max: usize) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| {
        Error::Failed(format!("the answer broke off: {}", root_cause(&error)))
    };
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(Error::Failed(format!("the answer is longer than {bytes_max} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Returns the error of a request without an answer.
pub(crate) fn unreachable(url: &str, error: &reqwest::Error, check: &str) -> Error {
    let cause = if error.is_timeout() { "no answer in time".to_owned() } else { root_cause(error) };
    Error::Unreachable { address: url.to_owned(), cause, check: check.to_owned() }
}

/// Writes a value into a query.
pub(crate) fn query_value(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_proxy_is_an_http_url_and_loses_its_last_slash() {
        for (given, base) in [
            ("http://localhost:8081/", "http://localhost:8081"),
            (" https://proxy.example/base ", "https://proxy.example/base"),
            ("http://[::1]:8081", "http://[::1]:8081"),
        ] {
            assert_eq!(base_url(given, "it", "sample").expect("sound"), base);
        }
        for wrong in
            ["", "localhost:8081", "ftp://host", "http://", "proxy", "http://a:b", "http://h?q=1"]
        {
            let error = base_url(wrong, "--service-url", "http://localhost:8081").expect_err(wrong);
            assert!(error.exit_code() == 2 && error.to_string().contains("for example"), "{error}");
        }
    }

    #[test]
    fn a_client_id_is_encoded_in_a_query() {
        assert_eq!(query_value("auth0|u 1+é"), "auth0%7Cu%201%2B%C3%A9");
    }

    #[test]
    fn only_status_200_is_good_and_401_asks_for_a_login() {
        let answer = |status, body: &str| Answer { status, body: body.to_owned() };
        assert!(answer(200, "{}").json("it").is_ok());
        assert_eq!(answer(201, "x").ok("it").expect_err("no 200").to_string(), "it: x");
        assert_eq!(answer(401, "x").ok("it").expect_err("no token").exit_code(), 4);
        assert_eq!(answer(503, " ").short(), "status 503");
        assert!(answer(500, &"é".repeat(9000)).short().len() < 1100);
        assert!(answer(200, "<html>").json("it").is_err());
        let other =
            answer(404, "Cannot POST").ok_of("http://h:1", "it").expect_err("another server");
        let other = other.to_string();
        assert!(
            other.starts_with("it: Cannot POST (status 404 of http://h:1)\n  check: "),
            "{other}"
        );
        let own = answer(400, r#"{"error":"e"}"#).ok_of("http://h:1", "it").expect_err("refused");
        assert_eq!(own.to_string(), r#"it: {"error":"e"}"#);
    }
}
