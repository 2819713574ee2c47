//! What the dashboard knows and does next: no terminal, no network, no clock of its own.
//!
//! Whoever drives it waits for an event or [`State::poll_timeout`], makes one call with the time,
//! and then carries out what [`State::poll_order`] gives until it gives nothing. Each order is
//! answered by one event.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use api::tracer::Snapshot;

use super::{back_off::BackOff, feed::Feed, picture::Picture};

/// How long after one reset the next is taken: a key that is held down repeats.
pub(super) const RESET_GUARD: Duration = Duration::from_secs(2);

/// How long a note is shown.
const NOTE_SHOWN: Duration = Duration::from_secs(3);

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// A key was pressed.
    Key(Key),
    /// The picture was answered.
    Picture(Result<Snapshot, Failure>),
    /// The reset was answered.
    Reset(Result<(), Failure>),
    /// The subscription was answered.
    Subscribed(Result<(), Failure>),
    /// A publish was answered.
    Published(Result<(), Failure>),
}

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// `q` or Ctrl-C.
    Quit,
    /// `r`.
    Reset,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Ask for the picture.
    Fetch,
    /// Let the proxy forget what passed.
    Reset,
    /// Subscribe the topic.
    Subscribe,
    /// Publish a message on it.
    Publish,
}

/// Why a request was not answered as hoped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// For people, in a line.
    pub(super) reason: String,
    /// The same request would be answered the same.
    pub(super) is_final: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Between two pictures.
    pub(super) tick: Duration,
    /// Messages that are shown.
    pub(super) rows_max: usize,
    /// Messages that are published.
    pub(super) count: u64,
    /// Between two of them.
    pub(super) interval: Duration,
}

/// The dashboard.
#[derive(Debug)]
pub(super) struct State {
    plan: Plan,
    picture: Option<Picture>,
    /// None while one is on its way.
    fetch_due: Option<Instant>,
    back_off: BackOff,
    fetch_failure: Option<String>,
    feed: Feed,
    /// A reset before this is not taken.
    reset_from: Instant,
    is_resetting: bool,
    /// What is said until then.
    note: Option<(String, Instant)>,
    orders: VecDeque<Order>,
    is_over: bool,
}

impl State {
    /// Begins; the first picture is due.
    pub(super) fn new(plan: Plan, now: Instant) -> Self {
        Self {
            plan,
            picture: None,
            fetch_due: Some(now),
            back_off: BackOff::default(),
            fetch_failure: None,
            feed: Feed::new(plan.count, plan.interval, now),
            reset_from: now,
            is_resetting: false,
            note: None,
            orders: VecDeque::new(),
            is_over: false,
        }
    }

    /// Something happened.
    pub(super) fn handle(&mut self, now: Instant, event: Event) {
        match event {
            Event::Key(Key::Quit) => self.is_over = true,
            Event::Key(Key::Reset) => self.reset_key(now),
            Event::Picture(answer) => self.fetched(now, answer),
            Event::Reset(answer) => self.reset(now, answer),
            Event::Subscribed(answer) => self.feed.after_subscribe(now, answer),
            Event::Published(answer) => self.feed.after_publish(now, answer),
        }
    }

    /// Time passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.fetch_due.is_some_and(|due| due <= now) {
            self.fetch_due = None;
            self.orders.push_back(Order::Fetch);
        }
        self.orders.extend(self.feed.handle_timeout(now));
        self.note.take_if(|(_, until)| *until <= now);
    }

    /// Returns when time is to be told next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let note = self.note.as_ref().map(|(_, until)| *until);
        [self.fetch_due, self.feed.poll_timeout(), note].into_iter().flatten().min()
    }

    /// Returns the next thing to do.
    pub(super) fn poll_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// Whether there is nothing more to do.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The newest picture; none before the first.
    pub(super) fn picture(&self) -> Option<&Picture> {
        self.picture.as_ref()
    }

    /// Why the picture is old, and how long until it is asked for again; none where it is not.
    pub(super) fn trouble(&self, now: Instant) -> Option<(&str, Duration)> {
        let wait = self.fetch_due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now));
        self.fetch_failure.as_deref().map(|reason| (reason, wait))
    }

    /// What is said for a moment.
    pub(super) fn note(&self) -> Option<&str> {
        self.note.as_ref().map(|(text, _)| text.as_str())
    }

    /// The messages that are published.
    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    fn fetched(&mut self, now: Instant, answer: Result<Snapshot, Failure>) {
        let wait = match answer {
            Ok(snapshot) => {
                self.picture = Some(Picture::new(&snapshot, self.plan.rows_max));
                self.fetch_failure = None;
                self.back_off.succeeded();
                self.plan.tick
            }
            Err(failure) => {
                self.fetch_failure = Some(failure.reason);
                self.back_off.failed()
            }
        };
        self.fetch_due = Some(now + wait);
    }

    fn reset_key(&mut self, now: Instant) {
        if self.is_resetting {
            return;
        }
        if now < self.reset_from {
            let seconds = self.reset_from.saturating_duration_since(now).as_secs_f64().ceil();
            self.say(now, format!("just reset; again in {seconds} s"));
            return;
        }
        self.is_resetting = true;
        self.orders.push_back(Order::Reset);
    }

    fn reset(&mut self, now: Instant, answer: Result<(), Failure>) {
        self.is_resetting = false;
        self.reset_from = now + RESET_GUARD;
        match answer {
            Ok(()) => {
                self.say(now, "reset: what passed before is forgotten".to_owned());
                // What is shown is no longer so. A picture on its way is followed by a newer one.
                self.fetch_due = self.fetch_due.map(|_| now);
            }
            Err(failure) => self.say(now, format!("reset failed: {}", failure.reason)),
        }
    }

    fn say(&mut self, now: Instant, text: String) {
        self.note = Some((text, now + NOTE_SHOWN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        tick: Duration::from_millis(500),
        rows_max: 12,
        count: 0,
        interval: Duration::from_millis(500),
    };

    fn failure(reason: &str) -> Failure {
        Failure { reason: reason.to_owned(), is_final: false }
    }

    /// Lets time pass until something is due, and returns that time and what it is.
    fn next(state: &mut State) -> (Instant, Vec<Order>) {
        let due = state.poll_timeout().expect("something is due");
        state.handle_timeout(due);
        (due, std::iter::from_fn(|| state.poll_order()).collect())
    }

    fn press(state: &mut State, now: Instant, key: Key) -> Vec<Order> {
        state.handle(now, Event::Key(key));
        std::iter::from_fn(|| state.poll_order()).collect()
    }

    #[test]
    fn one_picture_at_a_time_is_asked_for_a_tick_after_the_last_came() {
        let start = Instant::now();
        let mut state = State::new(PLAN, start);
        assert_eq!(next(&mut state), (start, vec![Order::Fetch]));
        assert_eq!(state.poll_timeout(), None, "one is on its way");
        let came = start + Duration::from_secs(3);
        state.handle(came, Event::Picture(Ok(Snapshot { active_nodes: 4, ..Snapshot::default() })));
        assert_eq!(state.picture().map(|picture| picture.active_nodes), Some(4));
        assert_eq!(next(&mut state), (came + PLAN.tick, vec![Order::Fetch]));
    }

    #[test]
    fn failures_make_it_wait_from_2_s_to_30_s_while_the_last_picture_stays() {
        let start = Instant::now();
        let mut state = State::new(PLAN, start);
        let (mut now, _) = next(&mut state);
        state.handle(now, Event::Picture(Ok(Snapshot { active_nodes: 4, ..Snapshot::default() })));
        (now, _) = next(&mut state);
        for seconds in [2, 4, 8, 16, 30, 30] {
            state.handle(now, Event::Picture(Err(failure("HTTP 503"))));
            let wait = Duration::from_secs(seconds);
            assert_eq!(state.trouble(now), Some(("HTTP 503", wait)));
            let (due, orders) = next(&mut state);
            assert_eq!((due, orders), (now + wait, vec![Order::Fetch]));
            now = due;
        }
        assert_eq!(state.picture().map(|picture| picture.active_nodes), Some(4));
        state.handle(now, Event::Picture(Ok(Snapshot::default())));
        assert_eq!(state.trouble(now), None);
        assert_eq!(next(&mut state).0, now + PLAN.tick);
    }

    #[test]
    fn a_reset_is_taken_once_in_2_s_and_a_picture_follows_at_once() {
        let start = Instant::now();
        let mut state = State::new(PLAN, start);
        next(&mut state);
        state.handle(start, Event::Picture(Ok(Snapshot::default())));
        assert_eq!(press(&mut state, start, Key::Reset), [Order::Reset]);
        assert_eq!(press(&mut state, start, Key::Reset), [], "one is on its way");
        state.handle(start, Event::Reset(Ok(())));
        assert!(state.note().is_some_and(|note| note.starts_with("reset")));
        assert_eq!(next(&mut state), (start, vec![Order::Fetch]));
        let early = start + (RESET_GUARD / 2);
        assert_eq!(press(&mut state, early, Key::Reset), []);
        assert_eq!(state.note(), Some("just reset; again in 1 s"));
        assert_eq!(press(&mut state, start + RESET_GUARD, Key::Reset), [Order::Reset]);
        state.handle(start + RESET_GUARD, Event::Reset(Err(failure("HTTP 401"))));
        assert_eq!(state.note(), Some("reset failed: HTTP 401"));
    }

    #[test]
    fn a_note_passes() {
        let start = Instant::now();
        let mut state = State::new(PLAN, start);
        next(&mut state);
        state.handle(start, Event::Reset(Ok(())));
        assert!(state.note().is_some());
        assert_eq!(next(&mut state), (start + NOTE_SHOWN, vec![]));
        assert_eq!(state.note(), None);
    }

    #[test]
    fn messages_are_published_beside_the_pictures() {
        let start = Instant::now();
        let mut state = State::new(Plan { count: 2, ..PLAN }, start);
        assert_eq!(next(&mut state), (start, vec![Order::Fetch, Order::Subscribe]));
        state.handle(start, Event::Subscribed(Ok(())));
        assert_eq!(next(&mut state), (start, vec![Order::Publish]));
        state.handle(start, Event::Published(Ok(())));
        assert_eq!(next(&mut state), (start + PLAN.interval, vec![Order::Publish]));
        assert_eq!(state.feed().published, 1);
    }

    #[test]
    fn q_ends_it() {
        let start = Instant::now();
        let mut state = State::new(PLAN, start);
        assert!(!state.is_over());
        assert_eq!(press(&mut state, start, Key::Quit), []);
        assert!(state.is_over());
    }
}
