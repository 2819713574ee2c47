//! `GET /events`: what the page is told as things happen (server-sent events).
//!
//! Nothing waits for a reader. One that has taken what it was given is given what changed since, as
//! it is then; what happened in between is in that. So a slow reader costs no memory.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::State,
    http::StatusCode,
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, stream};
use serde::Serialize;
use service::http::answer;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Face,
    told::{self, Hello, MESSAGES_MAX, Readers},
};
use crate::{observe::Watched, picture::Picture, problems::Problems};

/// Pages at once.
const READERS_MAX: usize = 16;

/// A page is told no oftener.
const INTERVAL: Duration = Duration::from_millis(100);

/// A page that takes longer to take what it was given is late.
const LATE: Duration = Duration::from_secs(1);

/// What pages are told from.
#[derive(Debug)]
pub(super) struct Feed {
    hello: Hello,
    watched: Arc<Watched>,
    problems: Arc<Problems>,
    places: Arc<Semaphore>,
    late: AtomicU64,
    refused: AtomicU64,
    stop: CancellationToken,
}

impl Feed {
    pub(super) fn new(
        hello: Hello,
        watched: Arc<Watched>,
        problems: Arc<Problems>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            hello,
            watched,
            problems,
            places: Arc::new(Semaphore::new(READERS_MAX)),
            late: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            stop,
        }
    }

    fn readers(&self) -> Readers {
        Readers {
            open: READERS_MAX - self.places.available_permits(),
            late: self.late.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Returns what changed since a version of the picture, the oldest message first, and at last
    /// how everything is; and the version of that.
    fn since(&self, version: Option<u64>) -> (VecDeque<Event>, u64) {
        let problems = self.problems.newest();
        self.watched.look(|picture: &Picture| {
            let is_new = |known: u64| version.is_none_or(|version| known > version);
            let shown = picture.stories().take(MESSAGES_MAX);
            let stories: Vec<_> = shown.filter(|story| is_new(story.version)).collect();
            let messages =
                stories.into_iter().rev().map(|story| event("message", &told::message(story)));
            let state = told::state(picture, self.readers(), problems);
            let events = messages.chain([event("state", &state)]).flatten().collect();
            (events, picture.version())
        })
    }
}

/// None if it cannot be written, which plain values always can.
fn event(name: &str, data: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(data).ok()
}

pub(super) async fn stream(State(face): State<Face>) -> Response {
    let feed = face.feed;
    let Ok(place) = Arc::clone(&feed.places).try_acquire_owned() else {
        feed.refused.fetch_add(1, Ordering::Relaxed);
        let why = format!("{READERS_MAX} pages are open, which is as many as may be");
        return answer::failure(StatusCode::SERVICE_UNAVAILABLE, why);
    };
    Sse::new(Reader::new(feed, place).events()).keep_alive(KeepAlive::default()).into_response()
}

/// One page.
struct Reader {
    feed: Arc<Feed>,
    changes: watch::Receiver<u64>,
    problems: watch::Receiver<u64>,
    /// What it was given and has not taken.
    given: VecDeque<Event>,
    given_at: Instant,
    /// The version that it knows.
    version: Option<u64>,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    fn new(feed: Arc<Feed>, place: OwnedSemaphorePermit) -> Self {
        let (changes, problems) = (feed.watched.changes(), feed.problems.changes());
        let given = event("hello", &feed.hello).into_iter().collect();
        Self {
            feed,
            changes,
            problems,
            given,
            given_at: Instant::now(),
            version: None,
            _place: place,
        }
    }

    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut reader| async move {
            loop {
                if let Some(event) = reader.given.pop_front() {
                    return Some((Ok(event), reader));
                }
                reader.refill().await?;
            }
        })
    }

    /// Waits until something changed; none at the end.
    async fn refill(&mut self) -> Option<()> {
        if self.version.is_some() {
            if self.given_at.elapsed() > LATE && self.changes.has_changed().unwrap_or(false) {
                self.feed.late.fetch_add(1, Ordering::Relaxed);
            }
            tokio::select! {
                () = self.feed.stop.cancelled() => return None,
                () = tokio::time::sleep_until(self.given_at + INTERVAL) => {}
            }
            tokio::select! {
                () = self.feed.stop.cancelled() => return None,
                changed = self.changes.changed() => changed.ok()?,
                changed = self.problems.changed() => changed.ok()?,
            }
        }
        self.changes.mark_unchanged();
        self.problems.mark_unchanged();
        let (given, version) = self.feed.since(self.version);
        (self.given, self.version, self.given_at) = (given, Some(version), Instant::now());
        Some(())
    }
}
