//! Sessions as the proxy gives them (the contract, section 4.2).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, http::Service};

/// What a session is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Wish {
    pub(crate) client_id: String,
    pub(crate) topics: Vec<String>,
    /// `publish` or `subscribe`.
    pub(crate) capabilities: Vec<String>,
    pub(crate) expose_amount: u32,
}

/// Nodes that a client may talk to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Session {
    #[serde(rename = "session_id")]
    pub(crate) id: String,
    /// The best first.
    pub(crate) nodes: Vec<SessionNode>,
    /// RFC 3339. What is no time is over.
    pub(crate) expires_at: String,
    /// RFC 3339. What is no time is over.
    pub(crate) refresh_after: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SessionNode {
    pub(crate) id: String,
    /// `host:port`.
    pub(crate) address: String,
    pub(crate) transport: String,
    pub(crate) region: String,
    pub(crate) ticket: String,
    pub(crate) score: f64,
}

impl Wish {
    /// Asks the proxy.
    ///
    /// # Errors
    ///
    /// Returns an error if it gives no session with nodes.
    pub(crate) async fn ask(&self, service: &Service) -> Result<Session, Error> {
        let answer = service.post("/api/v1/session", self).await?;
        if answer.status != 200 {
            answer.ok(&format!("proxy returned status {}", answer.status))?;
        }
        let session: Session = serde_json::from_str(&answer.body)
            .map_err(|error| Error::Failed(format!("the answer is no session: {error}")))?;
        if let Some(error) = session.error.as_deref().filter(|error| !error.is_empty()) {
            return Err(Error::Failed(format!("session error: {error}")));
        }
        if session.nodes.is_empty() {
            return Err(Error::Failed("the session names no node; try again".to_owned()));
        }
        Ok(session)
    }
}

impl Session {
    /// Tells whether it holds and need not be renewed.
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        let is_ahead = |time: &str| time.parse::<Timestamp>().is_ok_and(|time| now < time);
        is_ahead(&self.expires_at) && is_ahead(&self.refresh_after)
    }
}

impl SessionNode {
    /// Returns where it is, for people.
    pub(crate) fn region(&self) -> &str {
        if self.region.is_empty() { "unknown" } else { &self.region }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn session(nodes: usize) -> Session {
        let node =
            |number| SessionNode { address: format!("n:{number}"), ..SessionNode::default() };
        Session {
            nodes: (0..nodes).map(node).collect(),
            expires_at: "2026-01-02T04:00:00Z".to_owned(),
            refresh_after: "2026-01-02T03:45:00Z".to_owned(),
            ..Session::default()
        }
    }

    #[test]
    fn a_session_is_renewed_when_it_says_so_or_says_nothing() {
        let at = |text: &str| text.parse().expect("a time");
        assert!(session(1).is_fresh(at("2026-01-02T03:44:59Z")));
        assert!(!session(1).is_fresh(at("2026-01-02T03:45:00Z")));
        let broken = Session { expires_at: "soon".to_owned(), ..session(1) };
        assert!(!broken.is_fresh(at("2026-01-02T03:00:00Z")));
    }

    #[test]
    fn a_session_is_read_whatever_is_missing_in_it() {
        let session: Session =
            serde_json::from_str(r#"{"nodes":[{"address":"a:1","score":1}],"other":2}"#)
                .expect("one");
        assert_eq!(
            (session.nodes[0].address.as_str(), session.nodes[0].region()),
            ("a:1", "unknown")
        );
    }
}
