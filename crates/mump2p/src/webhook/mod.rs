//! Messages passed on to a webhook.

mod go_time;
pub(crate) mod template;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use cli::client::root_cause;
use reqwest::{Client, header};
use tokio::{sync::mpsc, task::JoinHandle};

use self::template::{Event, Schema};
use crate::{Error, http, output, signals};

/// Bytes of payloads that wait at most, beside the one being sent.
const WAITING_BYTES_MAX: usize = 128 << 20;

/// How long what waits may still take at the end: the program is ended soon after.
const FINISH_MAX: Duration = signals::END_LIMIT.saturating_sub(Duration::from_secs(2));

/// Where messages are passed on to, and how.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) url: String,
    /// None passes payloads on as they are.
    pub(crate) schema: Option<String>,
    /// Messages that may wait.
    pub(crate) queue: usize,
    pub(crate) timeout: Duration,
}

/// A webhook and what waits for it.
#[derive(Debug)]
pub(crate) struct Webhook {
    queue: mpsc::Sender<Event>,
    counts: Arc<Counts>,
    worker: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    waiting_bytes: AtomicUsize,
    passed_on: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl Webhook {
    /// Checks the settings and begins to wait for messages.
    ///
    /// # Errors
    ///
    /// Returns an error if the address is none, or the schema makes no JSON.
    pub(crate) fn start(settings: Settings) -> Result<Self, Error> {
        let sample = "https://example.org/hook";
        if !settings.url.starts_with("http://") && !settings.url.starts_with("https://") {
            let text =
                format!("--webhook is {:?}: it must begin with http:// or https://", settings.url);
            return Err(Error::Usage(text));
        }
        reqwest::Url::parse(&settings.url).map_err(|error| {
            Error::Usage(format!(
                "--webhook is {:?}: {error}; right is, for example, {sample}",
                settings.url
            ))
        })?;
        let schema = settings.schema.as_deref().map(Schema::parse).transpose();
        let schema = schema.map_err(|error| Error::Usage(format!("--webhook-schema: {error}")))?;
        let client = http::straight_client(&settings.url, settings.timeout)?;
        let (queue, events) = mpsc::channel(settings.queue);
        let counts = Arc::new(Counts::default());
        let worker = Worker { url: settings.url, schema, client, counts: Arc::clone(&counts) };
        Ok(Self { queue, counts, worker: tokio::spawn(worker.run(events)) })
    }

    /// Hands a message over, if there is room for it. Receiving never waits for a webhook.
    pub(crate) fn offer(&mut self, event: Event) {
        let bytes = event.payload.len();
        let waiting = self.counts.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let has_room = waiting == 0 || waiting + bytes <= WAITING_BYTES_MAX;
        if !has_room || self.queue.try_send(event).is_err() {
            self.counts.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            output::note("⚠️ Webhook queue full, message dropped");
        }
    }

    /// Waits until what waits is passed on, but not long, and says what became of all messages.
    pub(crate) async fn finish(self) {
        let Self { queue, counts, mut worker } = self;
        drop(queue);
        let ended = async {
            tokio::select! {
                _ = &mut worker => true,
                () = tokio::time::sleep(FINISH_MAX) => false,
            }
        };
        let is_whole = ended.await;
        worker.abort();
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let cut = if is_whole { "" } else { "; what still waited is given up" };
        output::note(&format!(
            "Webhook: {} passed on, {} failed, {} dropped{cut}",
            read(&counts.passed_on),
            read(&counts.failed),
            read(&counts.dropped)
        ));
    }
}

struct Worker {
    url: String,
    schema: Option<Schema>,
    client: Client,
    counts: Arc<Counts>,
}

impl Worker {
    async fn run(self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            let bytes = event.payload.len();
            let counter = match self.pass_on(event).await {
                Ok(()) => &self.counts.passed_on,
                Err(problem) => {
                    output::note(&problem);
                    &self.counts.failed
                }
            };
            counter.fetch_add(1, Ordering::Relaxed);
            self.counts.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    async fn pass_on(&self, event: Event) -> Result<(), String> {
        let request = self.client.post(&self.url);
        let request = match &self.schema {
            None => request.body(event.payload),
            Some(schema) => {
                let json = schema.render(&event)?;
                request.header(header::CONTENT_TYPE, "application/json").body(Bytes::from(json))
            }
        };
        let answer = request.send().await;
        let answer = answer.map_err(|error| format!("Webhook {}: {}", self.url, why(&error)))?;
        let status = answer.status().as_u16();
        if let Some(place) = http::redirect(&answer) {
            return Err(format!(
                "Webhook responded with status code: {status} (a redirect to {place}, which is not \
                 followed: give that address)"
            ));
        }
        if status >= 300 {
            return Err(format!("Webhook responded with status code: {status}"));
        }
        Ok(())
    }
}

fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        "no answer in time (--webhook-timeout)".to_owned()
    } else {
        root_cause(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, schema: Option<&str>) -> Settings {
        let schema = schema.map(str::to_owned);
        Settings { url: url.to_owned(), schema, queue: 1, timeout: Duration::from_secs(3) }
    }

    #[tokio::test]
    async fn what_is_no_webhook_is_refused_before_anything_is_received() {
        for (url, schema) in [
            ("ftp://host", None),
            ("host/hook", None),
            ("http://", None),
            ("http://host", Some("{{.Message")),
            ("http://host", Some("no JSON {{.Message}}")),
        ] {
            let error = Webhook::start(settings(url, schema)).expect_err(url);
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_counts_and_nothing_waits_for_it() {
        // A webhook that takes connections and never answers.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", silent.local_addr().expect("bound"));
        let mut webhook = Webhook::start(settings(&url, None)).expect("sound");
        for _ in 0..5 {
            webhook.offer(template::tests::event("m"));
        }
        // One waits in the queue; before the worker ran none was taken out.
        assert_eq!(webhook.counts.dropped.load(Ordering::Relaxed), 4);
        assert_eq!(webhook.counts.waiting_bytes.load(Ordering::Relaxed), 1);
        webhook.worker.abort();
    }
}
