//! Rules one by one, then a sender with many peers behind one uplink, in virtual time.

use super::{flow::STALL_MIN, limit::NODE_SPARE_BYTES, *};

const FRAME: u64 = FRAME_BYTES;

#[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
fn start() -> Instant {
    Instant::now()
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn windows(now: Instant, peers: u32) -> Windows<u32> {
    let mut windows = Windows::new(WindowConfig::default());
    for peer in 0..peers {
        windows.connect(now, peer);
    }
    windows
}

fn acknowledge(windows: &mut Windows<u32>, now: Instant, peer: u32, bytes: u64) {
    let epoch = windows.epoch(peer).expect("connected");
    let acknowledgement = Acknowledgement { epoch, bytes, waited: Duration::ZERO };
    windows.on_acknowledged(now, peer, &acknowledgement).expect("no more than was sent");
}

/// Sends what is let go at once; returns how many frames.
fn fill(windows: &mut Windows<u32>, now: Instant, peer: u32) -> u64 {
    let mut frames = 0;
    while windows.admit(now, peer) {
        windows.on_sent(now, peer, FRAME);
        frames += 1;
        assert!(frames < 1_000, "no limit");
    }
    frames
}

#[test]
fn a_new_peer_gets_two_frames_and_no_more_until_it_acknowledges() {
    let now = start();
    let mut windows = windows(now, 1);
    assert_eq!(fill(&mut windows, now, 0), 2);
    assert_eq!(windows.poll_ready(), None);
    acknowledge(&mut windows, now + ms(5), 0, FRAME);
    assert_eq!(windows.poll_ready(), Some(0));
    assert_eq!(windows.poll_ready(), None);
}

#[test]
fn the_limit_of_the_node_overrides_the_floors_and_room_goes_to_who_came_first() {
    let now = start();
    let mut windows = windows(now, 16);
    let sent: u64 = (0..16).map(|peer| fill(&mut windows, now, peer)).sum();
    assert_eq!(sent, NODE_SPARE_BYTES / FRAME);
    acknowledge(&mut windows, now + ms(3), 0, 2 * FRAME);
    let mut offered = Vec::new();
    while let Some(peer) = windows.poll_ready() {
        offered.push(peer);
    }
    assert_eq!(offered[..3], [0, 1, 2]);
    // Room that is offered is kept: a peer that did not wait does not take it.
    assert!(!windows.admit(now + ms(3), 9));
    for peer in offered {
        assert!(windows.admit(now + ms(3), peer));
        windows.on_sent(now + ms(3), peer, FRAME);
    }
}

#[test]
fn room_that_is_offered_and_declined_or_not_used_goes_to_the_next() {
    let now = start();
    let mut windows = windows(now, 8);
    for peer in 0..8 {
        fill(&mut windows, now, peer);
    }
    acknowledge(&mut windows, now + ms(3), 0, FRAME);
    let offered: Vec<u32> = std::iter::from_fn(|| windows.poll_ready()).collect();
    assert_eq!(offered, [0, 1, 2]);
    windows.decline(0);
    assert_eq!([windows.poll_ready(), windows.poll_ready()], [Some(3), None]);
    let at = windows.poll_timeout().expect("an offer ends");
    assert_eq!(at, now + ms(3) + OFFER_TTL);
    windows.handle_timeout(at);
    let offered: Vec<u32> = std::iter::from_fn(|| windows.poll_ready()).collect();
    assert_eq!(offered, [4, 5, 6], "1, 2 and 3 did not use it");
}

#[test]
fn more_acknowledged_than_sent_is_an_error_with_both_numbers() {
    let now = start();
    let mut windows = windows(now, 1);
    windows.on_sent(now, 0, 100);
    let epoch = windows.epoch(0).expect("connected");
    let claim = Acknowledgement { epoch, bytes: 101, waited: Duration::ZERO };
    let error = windows.on_acknowledged(now, 0, &claim).expect_err("101 of 100");
    assert_eq!(error, AcknowledgementError { acknowledged: 101, sent: 100 });
}

#[test]
fn an_acknowledgement_of_an_earlier_stream_or_of_an_unknown_peer_is_ignored() {
    let now = start();
    let mut windows = windows(now, 1);
    fill(&mut windows, now, 0);
    let old = windows.epoch(0).expect("connected");
    windows.reset(now, 0);
    assert_ne!(windows.epoch(0), Some(old));
    assert_eq!(windows.in_flight(0), 0);
    assert_eq!(fill(&mut windows, now, 0), 2);
    let late = Acknowledgement { epoch: old, bytes: 100 * FRAME, waited: Duration::ZERO };
    assert_eq!(windows.on_acknowledged(now, 0, &late), Ok(()));
    assert_eq!(windows.in_flight(0), 2 * FRAME);
    assert_eq!(windows.on_acknowledged(now, 7, &late), Ok(()));
}

#[test]
fn a_cumulative_acknowledgement_that_goes_back_changes_nothing() {
    let now = start();
    let mut windows = windows(now, 1);
    fill(&mut windows, now, 0);
    acknowledge(&mut windows, now + ms(1), 0, 2 * FRAME);
    acknowledge(&mut windows, now + ms(2), 0, FRAME);
    assert_eq!(windows.in_flight(0), 0);
}

#[test]
fn the_round_trip_time_excludes_the_wait_of_the_acknowledgement() {
    let now = start();
    let mut windows = windows(now, 1);
    windows.on_sent(now, 0, FRAME);
    let epoch = windows.epoch(0).expect("connected");
    let claim = Acknowledgement { epoch, bytes: FRAME, waited: ms(10) };
    windows.on_acknowledged(now + ms(17), 0, &claim).expect("sent");
    let rtt = windows.rtt(0).expect("a sample");
    assert!(rtt.abs_diff(ms(7)) < Duration::from_micros(1), "{rtt:?}");
}

#[test]
fn a_wait_longer_than_the_flight_does_not_make_time_run_backwards() {
    let now = start();
    let mut windows = windows(now, 1);
    windows.on_sent(now, 0, FRAME);
    let epoch = windows.epoch(0).expect("connected");
    let claim = Acknowledgement { epoch, bytes: FRAME, waited: Duration::from_secs(4_000) };
    windows.on_acknowledged(now + ms(1), 0, &claim).expect("sent");
    assert!(windows.rtt(0).is_some_and(|rtt| rtt <= ms(1)));
    assert_eq!(windows.window(0), FLOOR_BYTES.max(windows.window(0)));
}

#[test]
fn a_peer_that_does_not_acknowledge_stalls_and_gives_its_permits_back() {
    let now = start();
    let mut windows = windows(now, 3);
    let sent: Vec<u64> = (0..3).map(|peer| fill(&mut windows, now, peer)).collect();
    assert_eq!(sent, [2, 0, 0]);
    assert_eq!(windows.handle_timeout(now + ms(199)), 0);
    let at = windows.poll_timeout().expect("a stall to come");
    assert_eq!(at, now + STALL_MIN);
    assert_eq!(windows.handle_timeout(at), 1);
    assert!(windows.is_stalled(0));
    assert_eq!([windows.poll_ready(), windows.poll_ready()], [Some(1), Some(2)]);
    assert!(!windows.admit(at, 0), "nothing new before it acknowledges");
    for peer in [1, 2] {
        assert!(windows.admit(at, peer));
        windows.on_sent(at, peer, FRAME);
        acknowledge(&mut windows, at + ms(5), peer, FRAME);
    }
    assert_eq!(windows.poll_timeout(), None);
    // It reads again: what it had counts again, and it is served when it has room.
    acknowledge(&mut windows, at + ms(6), 0, 2 * FRAME);
    assert!(!windows.is_stalled(0));
    assert!(std::iter::from_fn(|| windows.poll_ready()).any(|peer| peer == 0));
}

#[test]
fn a_peer_that_leaves_gives_its_permits_back() {
    let now = start();
    let mut windows = windows(now, 3);
    for peer in 0..3 {
        fill(&mut windows, now, peer);
    }
    assert_eq!(windows.poll_ready(), None);
    windows.disconnect(0);
    assert_eq!(windows.poll_ready(), Some(1));
    assert!(!windows.admit(now, 0));
}

#[test]
fn samples_without_backlog_never_lower_the_goodput() {
    let mut link = Uplink::new(1, 6_250_000, ms(25));
    link.run_for(Duration::from_secs(3));
    link.demand = Demand::Nothing;
    link.run_for(ms(200));
    let goodput = |link: &Uplink| link.windows.flows[&0].goodput.best().expect("samples");
    let before = goodput(&link);
    assert!(before > 0.9 * MBIT_50 as f64, "{before}");
    link.demand = Demand::Every { time: ms(100), frames: 1 };
    link.run_for(Duration::from_secs(8));
    assert!(goodput(&link) >= before);
}

#[test]
fn small_frames_share_records() {
    let now = start();
    let mut windows = windows(now, 1);
    while windows.admit(now, 0) {
        windows.on_sent(now, 0, 100);
    }
    let records = windows.flows[&0].records.len();
    assert!(records as u64 <= 2 * FLOOR_BYTES / RECORD_BYTES, "{records}");
}

#[test]
fn receipts_leave_at_once_for_two_frames_or_a_large_one_else_after_ten_milliseconds() {
    let now = start();
    let mut receipts = Receipts::new();
    receipts.on_frame(now, 5);
    assert_eq!((receipts.due(), receipts.take(now)), (None, None), "no stream yet");
    receipts.on_epoch(7);
    receipts.on_frame(now, 100);
    assert_eq!(receipts.due(), Some(now + ms(10)));
    receipts.on_frame(now + ms(4), 100);
    assert_eq!(receipts.due(), Some(now));
    let taken = receipts.take(now + ms(6));
    let waited = ms(2);
    assert_eq!(taken, Some(Acknowledgement { epoch: 7, bytes: 200, waited }), "of the newest");
    assert_eq!((receipts.due(), receipts.take(now + ms(6))), (None, None));
    receipts.on_frame(now + ms(8), FRAME);
    assert_eq!(receipts.due(), Some(now + ms(8)));
    let taken = receipts.take(now + ms(8));
    assert_eq!(taken.map(|taken| taken.bytes), Some(FRAME + 200));
}

/// What the sender has to send.
#[derive(Clone, Copy)]
enum Demand {
    /// Always more, to every peer.
    Everything,
    Nothing,
    /// To every peer, again and again.
    Every {
        time: Duration,
        frames: u64,
    },
}

#[derive(Clone, Copy)]
enum Event {
    /// A frame arrives at a peer.
    Frame { peer: u32, chosen: Instant },
    /// A peer's acknowledgement may be due.
    Due { peer: u32 },
    /// An acknowledgement arrives at the sender.
    Acknowledgement { peer: u32, acknowledgement: Acknowledgement },
    /// More to send.
    Demand,
}

/// A sender, one first-in-first-out uplink, peers behind it.
struct Uplink {
    now: Instant,
    windows: Windows<u32>,
    receipts: Vec<Receipts>,
    bytes_per_second: u64,
    latency: Duration,
    free_at: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    next_event: u64,
    ready: VecDeque<u32>,
    queued: Vec<u64>,
    demand: Demand,
    reads: Vec<bool>,
    delays: Vec<Duration>,
    received: Vec<u64>,
}

impl Uplink {
    fn new(peers: u32, bytes_per_second: u64, latency: Duration) -> Self {
        let now = start();
        let count = peers as usize;
        let mut link = Self {
            now,
            windows: windows(now, peers),
            receipts: (0..peers).map(|_| Receipts::new()).collect(),
            bytes_per_second,
            latency,
            free_at: now,
            events: BTreeMap::new(),
            next_event: 0,
            ready: VecDeque::new(),
            queued: vec![0; count],
            demand: Demand::Everything,
            reads: vec![true; count],
            delays: Vec::new(),
            received: vec![0; count],
        };
        for peer in 0..peers {
            let epoch = link.windows.epoch(peer).expect("connected");
            link.receipts[peer as usize].on_epoch(epoch);
        }
        link.push(now, Event::Demand);
        link
    }

    fn push(&mut self, at: Instant, event: Event) {
        self.next_event += 1;
        self.events.insert((at, self.next_event), event);
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.push(self.now, Event::Demand);
        loop {
            let timeout = self.windows.poll_timeout();
            let event = self.events.keys().next().map(|&(at, _)| at);
            let Some(next) = timeout.into_iter().chain(event).min().filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if timeout == Some(next) {
                self.windows.handle_timeout(self.now);
            } else if let Some((_, event)) = self.events.pop_first() {
                self.happen(event);
            }
            self.serve();
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Frame { peer, chosen } => {
                self.delays.push(self.now - chosen);
                let at = peer as usize;
                self.received[at] += FRAME;
                self.receipts[at].on_frame(self.now, FRAME);
                if let Some(due) = self.receipts[at].due() {
                    self.push(due.max(self.now), Event::Due { peer });
                }
            }
            Event::Due { peer } => {
                let receipts = &mut self.receipts[peer as usize];
                if receipts.due().is_some_and(|due| due <= self.now)
                    && let Some(acknowledgement) = receipts.take(self.now)
                {
                    let at = self.now + self.latency;
                    self.push(at, Event::Acknowledgement { peer, acknowledgement });
                }
            }
            Event::Acknowledgement { peer, acknowledgement } => {
                self.windows
                    .on_acknowledged(self.now, peer, &acknowledgement)
                    .expect("no more than was sent");
            }
            Event::Demand => {
                for peer in 0..self.queued.len() {
                    match self.demand {
                        Demand::Everything => self.queued[peer] = u64::MAX,
                        Demand::Nothing => self.queued[peer] = 0,
                        Demand::Every { frames, .. } => self.queued[peer] += frames,
                    }
                    self.ready.push_back(peer as u32);
                }
                if let Demand::Every { time, .. } = self.demand {
                    self.push(self.now + time, Event::Demand);
                }
            }
        }
    }

    /// One frame each, in turn, as a driver does.
    fn serve(&mut self) {
        loop {
            while let Some(peer) = self.windows.poll_ready() {
                if self.queued[peer as usize] == 0 {
                    self.windows.decline(peer);
                } else if !self.ready.contains(&peer) {
                    self.ready.push_back(peer);
                }
            }
            let Some(peer) = self.ready.pop_front() else { return };
            let at = peer as usize;
            if self.queued[at] == 0 || !self.windows.admit(self.now, peer) {
                continue;
            }
            self.queued[at] -= 1;
            self.windows.on_sent(self.now, peer, FRAME);
            self.ready.push_back(peer);
            if self.reads[at] {
                let time = Duration::from_secs_f64(FRAME as f64 / self.bytes_per_second as f64);
                self.free_at = self.free_at.max(self.now) + time;
                let chosen = self.now;
                self.push(self.free_at + self.latency, Event::Frame { peer, chosen });
            }
        }
    }

    /// Forgets what was measured, runs, and returns the share of the uplink used and the delay of
    /// the 99th of 100 frames.
    fn measure(&mut self, time: Duration) -> (f64, Duration) {
        self.delays.clear();
        self.received.fill(0);
        self.run_for(time);
        let bytes: u64 = self.received.iter().sum();
        let used = bytes as f64 / time.as_secs_f64() / self.bytes_per_second as f64;
        self.delays.sort();
        (used, self.delays[self.delays.len() * 99 / 100])
    }
}

const MBIT_50: u64 = 6_250_000;

#[test]
fn an_uplink_is_filled_and_its_queue_stays_short_for_one_peer_and_for_sixteen() {
    for (peers, latency_ms) in [(1, 0), (2, 0), (8, 0), (16, 0), (1, 25), (16, 25), (1, 50)] {
        let mut link = Uplink::new(peers, MBIT_50, ms(latency_ms));
        link.run_for(Duration::from_secs(3));
        let (used, delay) = link.measure(Duration::from_secs(15));
        println!("{peers} peers, {latency_ms} ms: {used:.3}, p99 {delay:?}");
        assert!(used > 0.9, "{peers} peers, {latency_ms} ms: {used:.3} of the uplink used");
        assert!(delay < ms(2 * latency_ms + 25), "{peers} {latency_ms} {delay:?}");
    }
}

#[test]
fn sixteen_peers_share_the_uplink_evenly() {
    let mut link = Uplink::new(16, MBIT_50, ms(5));
    link.run_for(Duration::from_secs(2));
    link.measure(Duration::from_secs(10));
    let (least, most) = (link.received.iter().min(), link.received.iter().max());
    println!("{:?}", link.received);
    assert!(most.unwrap() * 2 < least.unwrap() * 3, "{:?}", link.received);
}

#[test]
fn an_idle_node_that_sends_to_all_at_once_does_not_flood_its_uplink() {
    let mut link = Uplink::new(16, MBIT_50, ms(25));
    link.run_for(Duration::from_secs(3));
    link.demand = Demand::Nothing;
    link.run_for(Duration::from_secs(2));
    link.demand = Demand::Every { time: ms(1_500), frames: 16 };
    let (_, delay) = link.measure(Duration::from_secs(15));
    println!("p99 {delay:?}");
    assert!(delay < ms(100), "{delay:?}");
}

#[test]
fn a_peer_that_does_not_read_costs_the_others_a_moment_and_no_more() {
    let mut link = Uplink::new(4, MBIT_50, ms(5));
    link.run_for(Duration::from_secs(2));
    link.reads[0] = false;
    let (used, _) = link.measure(Duration::from_secs(10));
    println!("{used:.3}");
    assert!(link.windows.is_stalled(0));
    assert!(used > 0.9, "{used:.3} of the uplink used");
}

#[test]
fn the_start_doubles_until_the_uplink_is_full() {
    let mut link = Uplink::new(1, 125_000_000, ms(25));
    let (used, _) = link.measure(Duration::from_secs(2));
    println!("{used:.3}");
    assert!(used > 0.5, "{used:.3} of 1 Gbit/s at 50 ms in the first two seconds");
}

#[test]
fn a_faster_uplink_is_found_and_a_slower_one_is_respected() {
    let mut link = Uplink::new(4, MBIT_50, ms(10));
    link.run_for(Duration::from_secs(5));
    link.bytes_per_second *= 4;
    link.run_for(Duration::from_secs(3));
    let (used, _) = link.measure(Duration::from_secs(5));
    assert!(used > 0.9, "{used:.3} of the faster uplink used");
    link.bytes_per_second /= 10;
    link.run_for(Duration::from_secs(3));
    let (used, delay) = link.measure(Duration::from_secs(10));
    println!("{used:.3} {delay:?}");
    assert!(used > 0.9 && delay < ms(100), "{used:.3} of the slower uplink used, {delay:?}");
}

#[test]
fn a_fast_network_is_not_held_up_by_acknowledgements_that_wait() {
    for (peers, latency) in [(1, 100), (4, 100), (16, 100), (16, 1_000)] {
        let mut link = Uplink::new(peers, 125_000_000, Duration::from_micros(latency));
        link.run_for(ms(500));
        let (used, delay) = link.measure(Duration::from_secs(2));
        println!("{peers} peers, {latency} us: {used:.3}, p99 {delay:?}");
        assert!(used > 0.9 && delay < ms(10), "{peers} peers: {used:.3} used, {delay:?}");
    }
}
