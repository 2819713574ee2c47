//! Buffers that are used again: what is kept, where they lie, and when they come back.

use std::collections::BTreeSet;

use crate::common::{holding, payload};
use rlnc::{Pool, PoolStats, Shape};

/// The beginning of a buffer, in bytes.
fn at(buffer: &[u8]) -> usize {
    buffer.as_ptr().addr()
}

#[test]
fn a_pool_without_room_keeps_nothing() {
    let pool = Pool::new(0);
    for _ in 0..3 {
        drop(pool.take(100));
    }
    let expected = PoolStats { allocated: 3, dropped: 3, ..PoolStats::default() };
    assert_eq!(pool.stats(), expected);
}

#[test]
fn what_waits_stays_within_the_bound_and_the_rest_is_counted() {
    let pool = Pool::new(10_000);
    let buffers: Vec<_> = (0..5).map(|_| pool.take(3_000)).collect();
    assert_eq!(pool.stats().idle_bytes, 0, "buffers in use do not count");
    drop(buffers);
    let stats = pool.stats();
    assert_eq!((stats.allocated, stats.reused, stats.dropped), (5, 0, 2));
    assert!((9_000..=10_000).contains(&stats.idle_bytes), "{stats:?}");
    let taken: Vec<_> = (0..4).map(|_| pool.take(3_000)).collect();
    let stats = pool.stats();
    assert_eq!((stats.allocated, stats.reused, stats.idle_bytes), (6, 3, 0));
    drop(taken);
}

/// Empty buffers take room too, so a bound on bytes alone would keep more and more of them.
#[test]
fn the_number_of_buffers_that_wait_is_bounded_too() {
    let pool = Pool::new(usize::MAX);
    let buffers: Vec<_> = (0..1_030).map(|_| pool.take(0)).collect();
    drop(buffers);
    let stats = pool.stats();
    assert_eq!((stats.allocated, stats.dropped), (1_030, 6));
}

#[test]
fn a_buffer_more_than_an_eighth_longer_than_needed_waits_for_a_better_use() {
    let pool = Pool::new(1 << 20);
    drop(pool.take(40_000));
    let short = pool.take(30_000);
    assert_eq!((pool.stats().allocated, pool.stats().reused), (2, 0));
    let long = pool.take(38_000);
    assert_eq!((pool.stats().allocated, pool.stats().reused), (2, 1));
    assert_eq!((short.len(), long.len()), (30_000, 38_000));
}

#[test]
fn the_shortest_buffer_that_is_long_enough_is_used() {
    let pool = Pool::new(1 << 20);
    let lengths = [7_000, 5_000, 6_000];
    let buffers = lengths.map(|bytes| pool.take(bytes));
    let places = [at(&buffers[0]) / 4_096, at(&buffers[1]) / 4_096, at(&buffers[2]) / 4_096];
    drop(buffers);
    // The same room may begin 2 KiB further on.
    let again = pool.take(5_500);
    assert!(at(&again) / 4_096 - places[2] <= 1, "{places:?}");
    assert_eq!(pool.stats().reused, 1);
}

#[test]
fn a_buffer_has_the_length_asked_for_and_begins_at_a_multiple_of_64() {
    let pool = Pool::new(1 << 20);
    for bytes in [0, 1, 63, 64, 65, 4_095, 4_096, 4_097, 100_000, 10, 99_999] {
        for _ in 0..2 {
            let mut buffer = pool.take(bytes);
            assert_eq!((buffer.len(), at(&buffer) % 64), (bytes, 0));
            buffer.fill(0xFF);
            assert_eq!(buffer.as_ref(), vec![0xFF; bytes]);
        }
    }
}

/// The system places large buffers alike, at the same place of a page; the pool does not.
#[test]
#[cfg_attr(miri, ignore = "an interpreter places buffers by chance")]
fn long_buffers_begin_at_different_places_of_a_page() {
    let pool = Pool::new(1 << 30);
    for _ in 0..2 {
        let buffers: Vec<_> = (0..32).map(|_| pool.take(1 << 20)).collect();
        let places: Vec<usize> = buffers.iter().map(|buffer| at(buffer)).collect();
        assert!(places.iter().all(|place| place % 64 == 0));
        let alike = places.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) % 4_096 == 0);
        assert_eq!(alike.count(), 0, "{places:?}");
        let distinct: BTreeSet<usize> = places.iter().map(|place| place % 4_096).collect();
        assert!(distinct.len() >= 16, "{places:?}");
    }
    assert_eq!(pool.stats().reused, 32);
}

#[test]
fn a_decoded_message_gives_its_buffer_back_when_its_last_bytes_go() {
    let payload = payload(300, 1);
    let shape = Shape::for_payload(300, 6).unwrap();
    let decoder = holding(shape, &payload, 6);
    let pool = Pool::new(1 << 20);
    let taken = |reused| PoolStats { allocated: 1, reused, ..PoolStats::default() };

    let message = decoder.decode(300, &pool).unwrap().verify(|_| true).unwrap();
    let place = at(message.as_ref());
    let bytes = message.into_bytes();
    assert_eq!(at(&bytes), place, "no copy");
    let part = bytes.slice(100..110);
    drop(bytes);
    assert_eq!(pool.stats(), taken(0), "a slice still holds it");
    assert_eq!(part, payload[100..110]);
    std::thread::spawn(move || drop(part)).join().unwrap();
    assert!(pool.stats().idle_bytes >= 300);

    let message = decoder.decode(300, &pool).unwrap().verify(|_| true).unwrap();
    assert_eq!(pool.stats(), taken(1));
    drop(message);
    assert!(pool.stats().idle_bytes >= 300);

    let unchecked = decoder.decode(300, &pool).unwrap();
    assert_eq!(pool.stats(), taken(2));
    assert!(unchecked.verify(|_| false).is_err());
    assert!(pool.stats().idle_bytes >= 300, "what fails its check goes back too");

    let _unchecked = decoder.decode(300, &pool).unwrap();
    assert_eq!(pool.stats(), taken(3));
}

#[test]
fn a_buffer_that_was_used_before_decodes_to_the_same_bytes() {
    let payload = payload(3_001, 2);
    let shape = Shape::new(7, 500).unwrap();
    let decoder = holding(shape, &payload, 7);
    let pool = Pool::new(1 << 20);
    for _ in 0..3 {
        pool.take(3_500).fill(0xFF);
        let message = decoder.decode(u64::MAX, &pool).unwrap().verify(|_| true).unwrap();
        assert_eq!(message.as_ref().len(), 3_500);
        assert_eq!(message.as_ref()[..3_001], payload);
        assert!(message.as_ref()[3_001..].iter().all(|&byte| byte == 0));
    }
    assert_eq!(pool.stats().allocated, 1);
}

#[test]
fn a_pool_that_is_gone_takes_no_buffer_with_it() {
    let pool = Pool::new(1 << 20);
    let mut buffer = pool.clone().take(10);
    drop(pool);
    buffer.fill(7);
    assert_eq!(*buffer, [7; 10]);
}

#[test]
fn debug_output_does_not_contain_the_bytes() {
    let pool = Pool::new(0);
    assert_eq!(format!("{:?}", pool.take(12)), "Buffer(12 bytes)");
    assert!(format!("{pool:?}").starts_with("Pool(PoolStats { allocated: 1,"));
}
