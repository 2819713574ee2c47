//! What the dashboard asks of a proxy.

use std::{sync::Arc, time::Duration};

use api::{go_duration, tracer::Snapshot};
use serde_json::json;

use super::state::{Event, Failure, Order};
use crate::{
    Context, Error,
    http::{self, Answer, Service},
    plain_text::plain,
};

/// Who subscribes and publishes where nobody said who is here and the proxy asks for no token.
const CLIENT_ID: &str = "mump2p-tracer";

/// Characters of an answer that are shown.
const REASON_CHARS_MAX: usize = 160;

/// Too many requests: the next one may be taken.
const TOO_MANY_REQUESTS: u16 = 429;

/// The proxy, and what is asked of it.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    service: Service,
    picture_path: Arc<str>,
    client_id: Arc<str>,
    topic: Arc<str>,
    size_bytes: u64,
}

impl Requests {
    pub(super) fn new(
        context: &Context,
        window: Duration,
        topic: &str,
        size_bytes: u64,
    ) -> Result<Self, Error> {
        let window = http::query_value(&go_duration::written(window));
        Ok(Self {
            service: Service::new(context)?,
            picture_path: format!("/api/v1/tracer/stream?window={window}").into(),
            client_id: context.client_id.as_deref().unwrap_or(CLIENT_ID).into(),
            topic: topic.into(),
            size_bytes,
        })
    }

    /// Returns the base URL of the proxy.
    pub(super) fn source(&self) -> &str {
        self.service.base()
    }

    /// Asks for the first picture. Where waiting will not help, that is an error: no proxy there, no
    /// login, another server.
    pub(super) async fn first(&self) -> Result<Result<Snapshot, Failure>, Error> {
        let answer = self.service.get(&self.picture_path).await?;
        match snapshot(&answer) {
            Err(failure) if failure.is_final => {
                answer.ok("the tracer's picture")?;
                Err(Error::Failed(format!("{}: {}", self.source(), failure.reason)))
            }
            picture => Ok(picture),
        }
    }

    /// Carries out an order.
    pub(super) async fn perform(self, order: Order) -> Event {
        match order {
            Order::Fetch => Event::Picture(
                self.get(&self.picture_path).await.and_then(|answer| snapshot(&answer)),
            ),
            Order::Reset => Event::Reset(
                self.get("/api/v1/tracer/reset").await.and_then(|answer| done(&answer)),
            ),
            Order::Subscribe => {
                let body = json!({"client_id": &*self.client_id, "topic": &*self.topic});
                Event::Subscribed(self.post("/api/v1/subscribe", &body).await)
            }
            Order::Publish => {
                let body = json!({
                    "client_id": &*self.client_id,
                    "message_length": self.size_bytes,
                    "topic": &*self.topic,
                });
                Event::Published(self.post("/api/v1/publish", &body).await)
            }
        }
    }

    async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.service.get(path).await.map_err(|error| passing(&error))
    }

    async fn post(&self, path: &str, body: &serde_json::Value) -> Result<(), Failure> {
        let answer = self.service.post(path, body).await.map_err(|error| passing(&error))?;
        done(&answer)
    }
}

fn snapshot(answer: &Answer) -> Result<Snapshot, Failure> {
    done(answer)?;
    serde_json::from_str(&answer.body).map_err(|error| {
        let reason = format!("the answer is no picture of a tracer: {error}");
        Failure { reason: plain(&reason, REASON_CHARS_MAX), is_final: true }
    })
}

fn done(answer: &Answer) -> Result<(), Failure> {
    match answer.status {
        200 => Ok(()),
        status => Err(Failure {
            reason: plain(&format!("HTTP {status}: {}", answer.short()), REASON_CHARS_MAX),
            is_final: (400..500).contains(&status) && status != TOO_MANY_REQUESTS,
        }),
    }
}

/// Who does not answer now may answer later.
fn passing(error: &Error) -> Failure {
    let reason = if let Error::Unreachable { address, cause, .. } = error {
        format!("no answer from {}: {cause}", address.split('?').next().unwrap_or(address))
    } else {
        error.to_string()
    };
    Failure { reason: plain(&reason, REASON_CHARS_MAX), is_final: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.to_owned() }
    }

    #[test]
    fn what_the_proxy_will_refuse_again_is_told_from_what_passes() {
        for (status, is_final) in
            [(400, true), (401, true), (413, true), (429, false), (503, false)]
        {
            let failure = done(&answer(status, "\u{1b}[2Jno")).expect_err("not 200");
            assert_eq!(failure.is_final, is_final, "{status}");
            assert_eq!(failure.reason, format!("HTTP {status}: \u{fffd}[2Jno"));
        }
        assert_eq!(done(&answer(200, "")), Ok(()));
    }

    #[test]
    fn another_servers_answer_is_no_picture() {
        assert!(snapshot(&answer(200, "{}")).is_ok());
        let failure = snapshot(&answer(200, "<html>")).expect_err("no JSON");
        assert!(failure.is_final && failure.reason.contains("no picture"), "{failure:?}");
    }
}
