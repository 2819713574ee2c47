//! Publishing through a sidecar, to the last message.
//!
//! A program that ends its connection right after its last message takes data with it that is still
//! on the way, and one that never reads stops a node that waits for its readers. So a publisher
//! reads beside its work, and ends when the node told of its last message.

use std::{io, time::Duration};

use crate::{
    client::{Commands, ConnectError, Sidecar, publish_request, published_id, status_text},
    output,
    responses::Responses,
};
use api::{
    Notice, StreamOptions,
    sidecar::{Response, ResponseType},
};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a node may tell of none of our messages before nobody waits for the last one: nodes of
/// another make may never tell.
const SILENCE_LIMIT: Duration = Duration::from_secs(5);

/// How long to wait for the reason of a closed stream.
const REASON_LIMIT: Duration = Duration::from_secs(1);

/// An open stream that publishes.
#[derive(Debug)]
pub struct Publisher {
    address: String,
    requests: mpsc::Sender<api::sidecar::Request>,
    told: watch::Sender<Told>,
}

/// What the node told.
#[derive(Debug, Default)]
struct Told {
    /// The message sent last, 64 hexadecimal digits, until the node tells of it.
    awaited: Option<String>,
    /// The node opened the stream, so it is one.
    opened: bool,
    answers: u64,
    refused: u64,
    end: Option<End>,
}

/// How the stream ended.
#[derive(Clone, Debug)]
enum End {
    Closed,
    Failed(String),
}

/// Messages that are published one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// Where.
    pub topic: &'a str,
    /// How many.
    pub count: u64,
    /// The pause between two.
    pub pause: Duration,
    /// Whether the pauses are those of a Poisson process with `pause` as their mean.
    pub poisson: bool,
}

/// Why not everything was published.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The stream ended before.
    #[error("{address}: {reason}")]
    Ended {
        /// Which node.
        address: String,
        /// What is known of it.
        reason: String,
    },
    /// The node refused messages.
    #[error("{address} did not publish {count} messages")]
    Refused {
        /// Which node.
        address: String,
        /// How many.
        count: u64,
    },
    /// What was published could not be written down.
    #[error("{0}")]
    Unwritable(#[from] io::Error),
}

impl Publisher {
    /// Connects to `address`, `host:port`.
    ///
    /// # Errors
    ///
    /// Returns [`ConnectError`] if nobody answers there or the node refuses.
    pub async fn open(address: &str) -> Result<Self, ConnectError> {
        let options = StreamOptions {
            traces: false,
            payloads: false,
            losses: true,
            ..StreamOptions::default()
        };
        let mut sidecar = Sidecar::connect(address).await?;
        let Commands { requests, responses } = sidecar.listen_with(&options).await?;
        let told = watch::Sender::default();
        tokio::spawn(read(address.to_owned(), responses, told.clone()));
        Ok(Self { address: address.to_owned(), requests, told })
    }

    /// Publishes a series, until its end or until it is to stop; `payload` makes a message by its
    /// number, from 1, and `published` is given each with the time that the connection took to take
    /// it. Returns when the node told of the last one.
    ///
    /// # Errors
    ///
    /// Returns [`PublishError`] for the first thing that went wrong, and for messages that the node
    /// refused.
    pub async fn publish_all(
        self,
        series: Series<'_>,
        stop: &CancellationToken,
        payload: impl Fn(u64) -> Vec<u8>,
        mut published: impl FnMut(&[u8], Duration) -> io::Result<()>,
    ) -> Result<(), PublishError> {
        for number in 1..=series.count {
            let payload = payload(number);
            let taken = stop.run_until_cancelled(self.publish(series.topic, payload.clone())).await;
            let Some(taken) = taken else { break };
            published(&payload, taken?)?;
            if number < series.count {
                let pause = tokio::time::sleep(series.pause());
                stop.run_until_cancelled(pause).await;
            }
            if stop.is_cancelled() {
                break;
            }
        }
        self.finish().await
    }

    async fn publish(&self, topic: &str, payload: Vec<u8>) -> Result<Duration, PublishError> {
        let id = hex::encode(Sha256::digest(&payload));
        self.told.send_modify(|told| told.awaited = Some(id));
        let begin = Instant::now();
        match self.requests.send(publish_request(topic, payload)).await {
            Ok(()) => Ok(begin.elapsed()),
            Err(_) => Err(self.ended().await),
        }
    }

    /// Returns why the stream takes nothing any more.
    async fn ended(&self) -> PublishError {
        let mut told = self.told.subscribe();
        let told = timeout(REASON_LIMIT, told.wait_for(|told| told.end.is_some())).await;
        let failed = told.ok().and_then(Result::ok).and_then(|told| match told.end.clone() {
            Some(End::Failed(reason)) => Some(reason),
            Some(End::Closed) | None => None,
        });
        let reason = failed.unwrap_or_else(|| "the node closed the stream".to_owned());
        PublishError::Ended { address: self.address.clone(), reason }
    }

    /// Says that no more messages come, and waits until the node told of the last one.
    async fn finish(self) -> Result<(), PublishError> {
        let Self { address, requests, told } = self;
        drop(requests);
        let mut news = told.subscribe();
        let mut answers = 0;
        loop {
            let is_new = |told: &Told| {
                told.awaited.is_none() || told.end.is_some() || told.answers > answers
            };
            let Ok(Ok(told)) = timeout(SILENCE_LIMIT, news.wait_for(is_new)).await else {
                if !told.borrow().opened {
                    let reason = "no answer; check that a node runs there and that the port is that \
                                  of its gRPC API; what was sent may be lost";
                    return Err(PublishError::Ended { address, reason: reason.to_owned() });
                }
                output::log(format!(
                    "{address} has not told whether it published the last message"
                ));
                break;
            };
            match &told.end {
                _ if told.awaited.is_none() => break,
                Some(End::Failed(reason)) => {
                    let reason = format!("{reason}; the last messages may be lost");
                    return Err(PublishError::Ended { address, reason });
                }
                Some(End::Closed) => {
                    let reason = "the node closed the stream and had not told whether it published \
                                  the last message, which may be lost";
                    return Err(PublishError::Ended { address, reason: reason.to_owned() });
                }
                None => answers = told.answers,
            }
        }
        let count = told.borrow().refused;
        if count > 0 { Err(PublishError::Refused { address, count }) } else { Ok(()) }
    }
}

impl Series<'_> {
    /// Returns the next pause.
    fn pause(&self) -> Duration {
        if !self.poisson {
            return self.pause;
        }
        exponential(self.pause, rand::random::<f64>())
    }
}

/// Returns the value of an exponential distribution at the quantile `share`, 0 to below 1.
fn exponential(mean: Duration, share: f64) -> Duration {
    let seconds = -mean.as_secs_f64() * (1.0 - share).ln();
    Duration::try_from_secs_f64(seconds.abs()).unwrap_or(Duration::MAX)
}

/// Reads to the end of the stream.
async fn read(address: String, mut responses: Responses, told: watch::Sender<Told>) {
    let end = match responses.opened().await {
        Ok(_) => {
            told.send_modify(|told| told.opened = true);
            read_on(&address, &mut responses, &told).await
        }
        Err(status) => End::Failed(status_text(&status)),
    };
    told.send_modify(|told| told.end = Some(end));
}

async fn read_on(address: &str, responses: &mut Responses, told: &watch::Sender<Told>) -> End {
    loop {
        match responses.message().await {
            Ok(Some(response)) => take(address, &response, told),
            Ok(None) => return End::Closed,
            Err(status) => return End::Failed(status_text(&status)),
        }
    }
}

fn take(address: &str, response: &Response, told: &watch::Sender<Told>) {
    let refused = refused(response);
    let id = match &refused {
        Some((id, _)) => Some(id.clone().into()),
        None => published_id(response),
    };
    let Some(id) = id else { return };
    if let Some((_, error)) = &refused {
        output::log(format!("{address} did not publish a message: {error}"));
    }
    told.send_modify(|told| {
        told.answers += 1;
        told.refused += u64::from(refused.is_some());
        if told.awaited.as_ref().is_some_and(|awaited| awaited.as_bytes() == id) {
            told.awaited = None;
        }
    });
}

/// Returns id and reason of a message that the node says it did not publish.
fn refused(response: &Response) -> Option<(String, String)> {
    if response.command() != ResponseType::Unknown {
        return None;
    }
    match Notice::from_json(&response.data).ok()? {
        Notice::Refused { error, message_id, reason: _ } => Some((message_id, error)),
        Notice::Lost { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_of_a_poisson_process_have_the_mean_that_was_asked_for() {
        let mean = Duration::from_millis(50);
        let count = 10_000;
        let shares = (0..count).map(|n| (f64::from(n) + 0.5) / f64::from(count));
        let sum: Duration = shares.map(|share| exponential(mean, share)).sum();
        let average = sum / count as u32;
        assert!((49..=51).contains(&average.as_millis()), "{average:?}");
        assert_eq!(exponential(mean, 0.0), Duration::ZERO);
        assert_eq!(exponential(Duration::MAX, 0.99), Duration::MAX);
    }

    #[tokio::test]
    async fn a_stream_that_ends_before_the_last_message_is_told_of_is_a_failure() {
        for (awaited, end, expected) in [
            (None, End::Closed, None),
            (Some("01"), End::Closed, Some("n: the node closed the stream and had not told")),
            (Some("01"), End::Failed("reset".to_owned()), Some("n: reset; the last messages may")),
        ] {
            let awaited = awaited.map(str::to_owned);
            let told = Told { awaited, end: Some(end), ..Told::default() };
            let (address, requests) = ("n".to_owned(), mpsc::channel(1).0);
            let publisher = Publisher { address, requests, told: watch::Sender::new(told) };
            let finished = publisher.finish().await.map_err(|error| error.to_string());
            let begins = finished
                .as_ref()
                .err()
                .map(|error| expected.is_some_and(|expected| error.starts_with(expected)));
            assert_eq!(begins, expected.map(|_| true), "{finished:?}");
        }
    }

    #[test]
    fn only_the_last_message_sent_is_waited_for_and_a_refusal_tells_of_it_too() {
        let told = watch::Sender::<Told>::default();
        told.send_modify(|told| told.awaited = Some("02".to_owned()));
        let refusal = |message_id: &str| {
            let [error, reason] = ["too long", "too_large"].map(str::to_owned);
            let message_id = message_id.to_owned();
            let notice = Notice::Refused { error, message_id, reason };
            Response { data: notice.to_json(), ..Response::default() }
        };
        take("n", &refusal("01"), &told);
        assert!(told.borrow().awaited.is_some());
        take("n", &refusal("02"), &told);
        let told = told.borrow();
        assert_eq!((told.awaited.clone(), told.answers, told.refused), (None, 2, 2));
    }
}
