use std::time::{Duration, Instant};

use api::tracer::{Message, Peer, Snapshot};
use jiff::tz::TimeZone;
use ratatui::{Terminal, backend::TestBackend};

use super::{
    state::{Event, Failure, Key, Order, Plan, State},
    view::{self, Labels},
};

fn labels() -> Labels {
    Labels {
        source: "http://localhost:8081".to_owned(),
        window: "10s".to_owned(),
        topic: "demo".to_owned(),
        size_bytes: 102_400,
        zone: TimeZone::UTC,
    }
}

fn plan(count: u64) -> Plan {
    let tick = Duration::from_millis(500);
    Plan { tick, rows_max: 12, count, interval: tick }
}

fn message(topic: &str, delay_sec: f64, peers: usize) -> (String, Message) {
    let message = Message {
        bytes_moved: 409_600,
        delay_sec,
        delivered: "2026-01-01T12:00:01.25Z".to_owned(),
        peers_seen: (0..peers).map(|peer| (peer.to_string(), Peer {})).collect(),
        published: "2026-01-01T12:00:01Z".to_owned(),
        topic: topic.to_owned(),
        duplicates: 0,
    };
    (topic.to_owned(), message)
}

fn snapshot() -> Snapshot {
    Snapshot {
        active_nodes: 3,
        unhealthy_nodes: 1,
        algorithm: "optimum".to_owned(),
        average_delay_seconds: 0.1,
        p75: 0.15,
        p95: 0.25,
        published_messages: 21,
        delivered_messages: 20,
        duplicate_messages: 2,
        total_bytes_moved: 1_000,
        ideal_byte_complexity: 800,
        bloat_factor: 1.25,
        last_updated: "2026-01-01T12:00:02Z".to_owned(),
        window_seconds: 10,
        messages: [message("quick", 0.01, 4), message("slow", 0.25, 4), message("open", 0.0, 2)]
            .into(),
    }
}

fn drawn(state: &State, now: Instant, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("in memory");
    terminal.draw(|frame| view::draw(frame, &labels(), state, now)).expect("in memory");
    let buffer = terminal.backend().buffer();
    let line = |row| (0..width).map(|column| buffer[(column, row)].symbol()).collect::<String>();
    (0..height).map(|row| line(row).trim_end().to_owned()).collect()
}

fn with_picture(count: u64, now: Instant) -> State {
    let mut state = State::new(plan(count), now);
    state.handle(now, Event::Picture(Ok(snapshot())));
    state
}

#[test]
fn everything_of_a_picture_is_on_a_screen_of_80_by_24() {
    let now = Instant::now();
    let lines = drawn(&with_picture(60, now), now, 80, 24);
    let text = lines.join("\n");
    for part in [
        "mump2p tracer",
        "http://localhost:8081  window 10s  algorithm optimum  updated 12:00:02",
        "Active vs Unhealthy",
        "3 active, 1 unhealthy",
        "moved 1000 bytes",
        "ideal 800 bytes",
        "bloat 1.25",
        "Messages in 10 s",
        "Published",
        "Delivered",
        "Dupes",
        "Slowest of 3 messages: P95 250.0 ms, P75 150.0 ms, Avg 100.0 ms",
        "publishing: 0 of 60 messages, 102400 bytes each on demo",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(lines[23].starts_with("live") && lines[23].ends_with("q quit  r reset"), "{text}");
    let row = |name: &str| lines.iter().position(|line| line.contains(name));
    let heading = row("Topic").expect("a heading");
    assert_eq!([row("│slow"), row("│quick"), row("│open")], [1, 2, 3].map(|by| Some(heading + by)));
    let cells: Vec<_> = lines[heading + 1].trim_matches('│').split_whitespace().collect();
    assert_eq!(cells, ["slow", "250.0", "4", "409600", "12:00:01.250/12:00:01.000"]);
    let cells: Vec<_> = lines[heading + 3].trim_matches('│').split_whitespace().collect();
    assert_eq!(cells[..3], ["open", "…", "2"], "nodes lack it");
}

#[test]
fn trouble_is_told_with_its_wait_while_the_last_picture_stays() {
    let now = Instant::now();
    let mut state = with_picture(0, now);
    let failure = Failure { reason: "HTTP 503: no node".to_owned(), is_final: false };
    state.handle(now, Event::Picture(Err(failure)));
    let lines = drawn(&state, now + Duration::from_millis(100), 80, 24);
    assert!(lines[23].starts_with("again in 2 s: HTTP 503: no node"), "{}", lines[23]);
    assert!(lines.join("\n").contains("3 active, 1 unhealthy"));
    assert_eq!(lines[22], "publishing nothing (--count 0)");
}

#[test]
fn a_publish_that_is_refused_is_told() {
    let now = Instant::now();
    let mut state = with_picture(2, now);
    state.handle_timeout(now);
    assert_eq!(state.poll_order(), Some(Order::Subscribe));
    let failure = Failure { reason: "HTTP 401: no token".to_owned(), is_final: true };
    state.handle(now, Event::Subscribed(Err(failure)));
    let line = &drawn(&state, now, 80, 24)[22];
    assert_eq!(line, "publishing stopped at 0 of 2 messages: HTTP 401: no token");
}

#[test]
fn what_a_key_did_is_told() {
    let now = Instant::now();
    let mut state = with_picture(0, now);
    state.handle(now, Event::Key(Key::Reset));
    state.handle(now, Event::Reset(Ok(())));
    assert!(drawn(&state, now, 80, 24)[23].starts_with("reset: what passed before is forgotten"));
}

#[test]
fn any_size_of_terminal_and_any_figures_are_drawn() {
    let now = Instant::now();
    let mut extreme = snapshot();
    (extreme.active_nodes, extreme.unhealthy_nodes) = (u64::MAX, u64::MAX);
    (extreme.published_messages, extreme.delivered_messages) = (u64::MAX, 0);
    (extreme.p95, extreme.bloat_factor, extreme.average_delay_seconds) = (1e308, -1.0, 1e300);
    extreme.messages.extend([message("東京 \u{1b}[2J é", 1e308, 0)]);
    for picture in [extreme, Snapshot::default()] {
        let mut state = State::new(plan(1), now);
        assert_eq!(
            drawn(&state, now, 80, 24)[23].split("  ").next(),
            Some("waiting for the first picture")
        );
        state.handle(now, Event::Picture(Ok(picture)));
        for (width, height) in [(0, 0), (1, 1), (5, 3), (20, 10), (80, 5), (300, 100)] {
            assert_eq!(drawn(&state, now, width, height).len(), usize::from(height));
        }
    }
}
