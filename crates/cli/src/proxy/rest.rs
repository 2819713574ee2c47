//! The REST API of a proxy.

use std::time::Duration;

use serde_json::json;
use thiserror::Error;

use crate::client::{OPEN_LIMIT, root_cause};

/// How long a connection may take to stand.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long the answer to a message may take: the proxy gives it to a node first.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Bytes of an answer that are shown.
const BODY_BYTES_MAX: usize = 500;

/// The REST API of a proxy.
#[derive(Clone, Debug)]
pub struct Rest {
    base: String,
    client: reqwest::Client,
}

/// Why the REST API did not do what was asked.
#[derive(Debug, Error)]
pub enum RestError {
    /// No address at all.
    #[error(
        "{base:?} is no base URL: {reason}; http://HOST:PORT is expected, such as http://localhost:8081"
    )]
    Base {
        /// What was given.
        base: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there.
    #[error(
        "{url}: {reason}; check that a proxy runs there and that the port is that of its REST API"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// What the system says.
        reason: String,
    },
    /// The proxy refuses.
    #[error("{url}: {status}: {body}")]
    Refused {
        /// Where.
        url: String,
        /// Code and text.
        status: String,
        /// What it says.
        body: String,
    },
}

impl Rest {
    /// Speaks to the proxy at `base`, such as `http://localhost:8081`.
    ///
    /// # Errors
    ///
    /// Returns [`RestError::Base`] if that is no URL of HTTP.
    pub fn new(base: &str) -> Result<Self, RestError> {
        let wrong = |reason: String| RestError::Base { base: base.to_owned(), reason };
        let url = reqwest::Url::parse(base).map_err(|error| wrong(error.to_string()))?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(wrong(format!("the scheme is {}", url.scheme())));
        }
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_LIMIT);
        if is_here(base) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| wrong(root_cause(&error)))?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client })
    }

    /// Subscribes a topic for a client; a threshold of 0 is the proxy's default.
    ///
    /// # Errors
    ///
    /// Returns [`RestError`] if nobody answers or the proxy refuses.
    pub async fn subscribe(
        &self,
        client_id: &str,
        topic: &str,
        threshold: f64,
    ) -> Result<(), RestError> {
        let body = json!({"client_id": client_id, "topic": topic, "threshold": threshold});
        self.post("/api/v1/subscribe", &body, OPEN_LIMIT).await
    }

    /// Publishes a text.
    ///
    /// # Errors
    ///
    /// Returns [`RestError`] if nobody answers or the proxy refuses.
    pub async fn publish(
        &self,
        client_id: &str,
        topic: &str,
        message: &str,
    ) -> Result<(), RestError> {
        let body = json!({"client_id": client_id, "topic": topic, "message": message});
        self.post("/api/v1/publish", &body, ANSWER_LIMIT).await
    }

    async fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
        limit: Duration,
    ) -> Result<(), RestError> {
        let url = format!("{}{path}", self.base);
        let request = self.client.post(&url).header("content-type", "application/json");
        let request = request.timeout(limit);
        let mut answer = request.body(body.to_string()).send().await.map_err(|error| {
            let reason = root_cause(&error);
            RestError::Unreachable { url: url.clone(), reason }
        })?;
        let status = answer.status();
        if status == reqwest::StatusCode::OK {
            return Ok(());
        }
        let mut body = Vec::new();
        while body.len() < BODY_BYTES_MAX
            && let Ok(Some(chunk)) = answer.chunk().await
        {
            body.extend_from_slice(&chunk[..chunk.len().min(BODY_BYTES_MAX - body.len())]);
        }
        // A character that the end cuts in two is not shown.
        let body = body.utf8_chunks().map(|chunk| chunk.valid()).collect();
        Err(RestError::Refused { url, status: status.to_string(), body })
    }
}

/// Tells whether a URL names this machine: no proxy of the environment stands before that.
pub fn is_here(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_without_an_end_is_read_only_as_far_as_it_is_shown() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let _asked = stream.read(&mut [0; 4096]).await;
            let _said = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            // Until the client closes the connection.
            while stream.write_all("aé".repeat(1000).as_bytes()).await.is_ok() {}
        });
        let refused = Rest::new(&base).expect("a base").publish("me", "t", "m").await;
        let error = refused.expect_err("refused").to_string();
        assert!(
            error.ends_with(&format!(": 400 Bad Request: {}", "aé".repeat(166) + "a")),
            "{error}"
        );
    }

    #[test]
    fn a_base_is_a_url_of_http() {
        for base in ["http://localhost:8081", "https://proxy.example/", "http://[::1]:1"] {
            Rest::new(base).expect(base);
        }
        for (base, reason) in
            [("localhost:8081", "the scheme is localhost"), ("", "relative"), ("ftp://a", "ftp")]
        {
            let error = Rest::new(base).expect_err(base).to_string();
            assert!(error.contains(reason) && error.contains("http://HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn only_this_machine_is_here() {
        for (url, expected) in [
            ("http://localhost:1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:1", true),
            ("http://proxy.example", false),
            ("http://localhost.example", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_here(url), expected, "{url}");
        }
    }
}
