use bytes::Bytes;
use proptest::prelude::*;

use super::{SequenceCheck::*, *};

const START: u64 = 1_800_000_000_000_000_000;

#[expect(clippy::disallowed_methods, reason = "an instant to count from; none is compared to it")]
fn start() -> Instant {
    Instant::now()
}

fn publisher(n: u16) -> PublisherId {
    PublisherId::new(Bytes::copy_from_slice(&n.to_be_bytes())).unwrap()
}

fn hash(n: u64) -> HeaderHash {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    HeaderHash(bytes)
}

/// Records number `sequence` of publisher 1 with the hash that belongs to it.
fn record(replay: &mut ReplayWindow, now: Instant, sequence: u64) -> SequenceCheck {
    replay.record(now, &publisher(1), sequence, hash(sequence))
}

#[test]
fn the_same_header_from_another_peer_is_known() {
    let now = start();
    let mut replay = ReplayWindow::new(10);
    assert_eq!(replay.check(now, &publisher(1), START, hash(START)), New);
    assert_eq!(record(&mut replay, now, START), New);
    assert_eq!(replay.check(now, &publisher(1), START, hash(START)), Known);
    assert_eq!(record(&mut replay, now, START), Known);
}

#[test]
fn checking_records_nothing() {
    let now = start();
    let replay = ReplayWindow::new(10);
    assert_eq!(replay.check(now, &publisher(1), START, hash(1)), New);
    assert_eq!(replay.check(now, &publisher(1), START, hash(2)), New);
    assert_eq!(replay.len(), 0);
}

#[test]
fn numbers_out_of_order_are_new_within_the_window_and_replayed_below() {
    let now = start();
    let mut replay = ReplayWindow::new(10);
    record(&mut replay, now, START);
    assert_eq!(record(&mut replay, now, START - 1), New);
    assert_eq!(record(&mut replay, now, START - (WINDOW - 1)), New);
    assert_eq!(record(&mut replay, now, START - WINDOW), Replayed);
    assert_eq!(record(&mut replay, now, START + 5), New);
    assert_eq!(record(&mut replay, now, START + 3), New);
    assert_eq!(record(&mut replay, now, START + 6 - WINDOW), New);
    assert_eq!(record(&mut replay, now, START + 5 - WINDOW), Replayed);
}

#[test]
fn a_jump_upwards_leaves_everything_before_it_behind() {
    let now = start();
    let mut replay = ReplayWindow::new(10);
    record(&mut replay, now, START);
    assert_eq!(record(&mut replay, now, u64::MAX), New);
    assert_eq!(record(&mut replay, now, START), Replayed);
    assert_eq!(record(&mut replay, now, u64::MAX), Known);
}

#[test]
fn numbers_from_zero_need_no_full_window_below_them() {
    let now = start();
    let mut replay = ReplayWindow::new(10);
    assert_eq!(record(&mut replay, now, 3), New);
    assert_eq!(record(&mut replay, now, 0), New);
}

#[test]
fn a_header_forgotten_after_many_others_counts_as_replayed() {
    let now = start();
    let mut replay = ReplayWindow::new(10);
    for n in 0..=TIED_HEADERS_MAX as u64 {
        record(&mut replay, now, START + n);
    }
    assert_eq!(record(&mut replay, now, START), Replayed);
    assert_eq!(record(&mut replay, now, START + 1), Known);
    let other = replay.record(now, &publisher(1), START, hash(9));
    assert_eq!(other, Replayed, "which header used it is forgotten, so nothing is proved");
}

#[test]
fn two_headers_under_one_number_bar_the_publisher_for_ten_minutes() {
    let now = start();
    let mut replay = ReplayWindow::new(10);
    record(&mut replay, now, START);
    let check = replay.check(now, &publisher(1), START, hash(9));
    assert_eq!(check, Equivocation);
    assert_eq!(record(&mut replay, now, START + 1), New, "a check alone bars nobody");

    assert_eq!(replay.record(now, &publisher(1), START, hash(9)), Equivocation);
    assert_eq!(replay.barred(), 1);
    let almost = now + BAR.saturating_sub(Duration::from_nanos(1));
    replay.expire(almost);
    assert_eq!(record(&mut replay, almost, START + 2), Barred);
    assert_eq!(replay.record(almost, &publisher(2), START, hash(1)), New);

    assert_eq!(replay.check(now + BAR, &publisher(1), START + 2, hash(1)), New);
    replay.expire(now + BAR);
    assert_eq!(replay.barred(), 0);
}

#[test]
fn an_idle_publisher_is_forgotten_and_a_header_from_any_peer_keeps_it() {
    let now = start();
    let mut replay = ReplayWindow::new(10);
    record(&mut replay, now, START);
    assert_eq!(record(&mut replay, now + IDLE / 2, START), Known);
    assert_eq!(record(&mut replay, now + IDLE, START - WINDOW), Replayed);

    let forgotten = now + IDLE / 2 + IDLE;
    let check = replay.check(forgotten, &publisher(1), START - WINDOW, hash(1));
    assert_eq!(check, New, "even before it is swept");
    replay.expire(forgotten);
    assert_eq!(replay.len(), 0);
    assert_eq!(replay.evicted(), 0, "leaving in time is no eviction");
}

#[test]
fn at_the_bound_the_longest_idle_publisher_goes_and_is_counted() {
    let now = start();
    let mut replay = ReplayWindow::new(2);
    let at = |n: u64| now + Duration::from_secs(n);
    replay.record(at(0), &publisher(1), START, hash(1));
    replay.record(at(1), &publisher(2), START, hash(2));
    replay.record(at(2), &publisher(1), START, hash(1));
    replay.record(at(3), &publisher(3), START, hash(3));
    assert_eq!(replay.check(at(3), &publisher(1), START, hash(1)), Known);
    assert_eq!(replay.check(at(3), &publisher(2), START, hash(2)), New);
    assert_eq!((replay.len(), replay.evicted()), (2, 1));
}

#[test]
fn at_the_bound_of_barred_replay_the_longest_barred_is_free_and_counted() {
    let now = start();
    let mut replay = ReplayWindow::new(2);
    for n in 1..=3 {
        replay.record(now, &publisher(n), START, hash(1));
        replay.record(now, &publisher(n), START, hash(2));
    }
    assert_eq!((replay.barred(), replay.evicted()), (2, 1));
    assert_eq!(replay.check(now, &publisher(1), START, hash(3)), New);
    assert_eq!(replay.check(now, &publisher(3), START, hash(3)), Barred);
}

#[test]
fn memory_is_bounded_for_the_most_scattered_numbers() {
    let now = start();
    let mut replay = ReplayWindow::new(10);
    for n in 0..4 * WINDOW / 7 {
        record(&mut replay, now, START + n * 7);
    }
    let window = &replay.windows[&publisher(1)];
    assert!(window.used.blocks.len() as u64 <= WINDOW / BLOCK_BITS + 1);
    assert_eq!(window.tied.len(), TIED_HEADERS_MAX);
}

proptest! {
    /// Against a model that keeps every number in a plain set.
    #[test]
    fn a_number_is_new_exactly_if_it_is_in_the_window_and_unused(
        steps in prop::collection::vec(-3000i64..3000, 1..300),
    ) {
        let now = start();
        let mut replay = ReplayWindow::new(10);
        let mut used = BTreeSet::new();
        let mut sequence = START;
        for step in steps {
            sequence = sequence.saturating_add_signed(step * 40);
            let bottom = used.last().map_or(0, |top| top - (WINDOW - 1));
            let new = sequence >= bottom && !used.contains(&sequence);
            prop_assert_eq!(record(&mut replay, now, sequence) == New, new);
            if new {
                used.insert(sequence);
            }
        }
    }
}
