//! Which sequence numbers of a publisher were used.
//!
//! Without it, a header signed once could be sent again for ever. Publishers count up from the
//! time of their start, so no clocks need to agree: the first number seen sets the top of a
//! sliding window, numbers above move it, and numbers below it are too old.
//!
//! Peers bring the messages of one publisher out of order and each of them more than once. A
//! number is therefore tied to the hash of its header: the same header again is normal, another
//! one under the same number is evidence against the publisher that anyone can check.
//!
//! Only headers whose signature was verified may be recorded. Otherwise anybody could use up the
//! numbers of a publisher, or have it barred.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use crate::{HeaderHash, PublisherId};

/// How many sequence numbers of a publisher are told apart; older ones are refused.
pub(crate) const WINDOW: u64 = 1 << 16;

/// How many of the newest headers of a publisher are tied to their numbers. A header that comes
/// again after that many others counts as replayed: by then every peer has had it.
pub(crate) const TIED_HEADERS_MAX: usize = 128;

/// How long a publisher is remembered after its last header.
pub(crate) const IDLE: Duration = Duration::from_mins(2);

/// How long a publisher is barred that signed two headers under one number.
pub(crate) const BAR: Duration = Duration::from_mins(10);

/// What a header's sequence number says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SequenceCheck {
    /// The number was not used before.
    New,
    /// The number was used by this very header: another peer brings it too.
    Known,
    /// The number was used, and which header used it is forgotten, or it is below the window.
    Replayed,
    /// The number was used by another header. Recording this one bars the publisher, and both
    /// must stop.
    Equivocation,
    /// The publisher is barred.
    Barred,
}

/// The windows of all publishers, one each: about 5 KiB for a busy one, at most 20 KiB.
#[derive(Debug)]
pub(crate) struct ReplayWindow {
    max: usize,
    windows: BTreeMap<PublisherId, Publisher>,
    /// The same publishers by the time of their last header, the longest idle first.
    idle: BTreeSet<(Instant, PublisherId)>,
    /// Until when each is barred.
    barred: BTreeMap<PublisherId, Instant>,
    /// The same publishers, the first to be free again first.
    barred_order: VecDeque<PublisherId>,
    evicted: u64,
}

impl ReplayWindow {
    /// Remembers at most `max` publishers, and as many barred ones.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            windows: BTreeMap::new(),
            idle: BTreeSet::new(),
            barred: BTreeMap::new(),
            barred_order: VecDeque::new(),
            evicted: 0,
        }
    }

    /// Returns what `sequence` says of `header` at `now`, whether or not [`ReplayWindow::expire`]
    /// was called since. Changes nothing, so the signature need not be verified.
    pub(crate) fn check(
        &self,
        now: Instant,
        publisher: &PublisherId,
        sequence: u64,
        header: HeaderHash,
    ) -> SequenceCheck {
        if self.barred.get(publisher).is_some_and(|until| now < *until) {
            return SequenceCheck::Barred;
        }
        match self.windows.get(publisher) {
            Some(window) if now < window.last_used + IDLE => window.check(sequence, header),
            _ => SequenceCheck::New,
        }
    }

    /// Records a header whose signature was verified, and returns what [`ReplayWindow::check`] said
    /// of it. An equivocation bars the publisher. At the bound the longest idle publisher is
    /// forgotten and counted.
    pub(crate) fn record(
        &mut self,
        now: Instant,
        publisher: &PublisherId,
        sequence: u64,
        header: HeaderHash,
    ) -> SequenceCheck {
        self.expire(now);
        let check = self.check(now, publisher, sequence, header);
        match check {
            SequenceCheck::New => {
                self.touch(now, publisher, sequence).insert(sequence, header);
                self.evict();
            }
            SequenceCheck::Known => {
                self.touch(now, publisher, sequence);
            }
            SequenceCheck::Equivocation => self.bar(now, publisher),
            SequenceCheck::Replayed | SequenceCheck::Barred => {}
        }
        check
    }

    /// Forgets idle publishers and ends bars that are over.
    pub(crate) fn expire(&mut self, now: Instant) {
        while self.idle.first().is_some_and(|(used, _)| *used + IDLE <= now) {
            self.forget_longest_idle();
        }
        while self.barred_order.front().is_some_and(|first| self.barred[first] <= now) {
            self.free_longest_barred();
        }
    }

    /// Returns how many publishers are remembered, barred ones not included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.windows.len()
    }

    /// Returns how many publishers are barred.
    #[cfg(test)]
    pub(crate) fn barred(&self) -> usize {
        self.barred.len()
    }

    /// Returns how many publishers and bars were forgotten before their time because of the bound.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Returns the window of `publisher`, used now.
    fn touch(&mut self, now: Instant, publisher: &PublisherId, sequence: u64) -> &mut Publisher {
        let window =
            self.windows.entry(publisher.clone()).or_insert_with(|| Publisher::new(now, sequence));
        self.idle.remove(&(window.last_used, publisher.clone()));
        self.idle.insert((now, publisher.clone()));
        window.last_used = now;
        window
    }

    fn bar(&mut self, now: Instant, publisher: &PublisherId) {
        if let Some(window) = self.windows.remove(publisher) {
            self.idle.remove(&(window.last_used, publisher.clone()));
        }
        self.barred.insert(publisher.clone(), now + BAR);
        self.barred_order.push_back(publisher.clone());
        if self.barred_order.len() > self.max {
            self.free_longest_barred();
            self.evicted += 1;
        }
    }

    fn evict(&mut self) {
        if self.windows.len() > self.max {
            self.forget_longest_idle();
            self.evicted += 1;
        }
    }

    fn forget_longest_idle(&mut self) {
        if let Some((_, publisher)) = self.idle.pop_first() {
            self.windows.remove(&publisher);
        }
    }

    fn free_longest_barred(&mut self) {
        if let Some(publisher) = self.barred_order.pop_front() {
            self.barred.remove(&publisher);
        }
    }
}

/// The sequence numbers that one publisher used.
#[derive(Debug)]
struct Publisher {
    last_used: Instant,
    /// The highest number used; the window ends with it.
    top: u64,
    used: Numbers,
    /// The headers recorded last, in the order they came.
    tied: VecDeque<(u64, HeaderHash)>,
}

impl Publisher {
    fn new(now: Instant, top: u64) -> Self {
        Self { last_used: now, top, used: Numbers::default(), tied: VecDeque::new() }
    }

    /// Returns the lowest number of the window.
    fn bottom(&self) -> u64 {
        self.top.saturating_sub(WINDOW - 1)
    }

    fn check(&self, sequence: u64, header: HeaderHash) -> SequenceCheck {
        if sequence < self.bottom() {
            return SequenceCheck::Replayed;
        }
        if !self.used.contains(sequence) {
            return SequenceCheck::New;
        }
        match self.tied.iter().find(|(number, _)| *number == sequence) {
            Some((_, first)) if *first == header => SequenceCheck::Known,
            Some(_) => SequenceCheck::Equivocation,
            None => SequenceCheck::Replayed,
        }
    }

    fn insert(&mut self, sequence: u64, header: HeaderHash) {
        self.top = self.top.max(sequence);
        self.used.insert(sequence);
        self.used.remove_below(self.bottom());
        if self.tied.len() == TIED_HEADERS_MAX {
            self.tied.pop_front();
        }
        self.tied.push_back((sequence, header));
    }
}

const BLOCK_WORDS: usize = 8;
const BLOCK_BITS: u64 = 64 * BLOCK_WORDS as u64;

/// A set of numbers as bits, in blocks that exist only where a number is: one block for numbers
/// that follow each other, at most 129 (about 10 KiB) for any numbers of one window.
#[derive(Debug, Default)]
struct Numbers {
    blocks: BTreeMap<u64, [u64; BLOCK_WORDS]>,
}

/// Returns the block, the word in it and the bit in that of `number`.
fn place(number: u64) -> (u64, usize, u64) {
    let bit = number % BLOCK_BITS;
    (number / BLOCK_BITS, (bit / 64) as usize, 1 << (bit % 64))
}

impl Numbers {
    fn contains(&self, number: u64) -> bool {
        let (block, word, bit) = place(number);
        self.blocks.get(&block).is_some_and(|words| words[word] & bit != 0)
    }

    fn insert(&mut self, number: u64) {
        let (block, word, bit) = place(number);
        self.blocks.entry(block).or_default()[word] |= bit;
    }

    /// Removes the blocks that are wholly below `bottom`; numbers below it in its own block stay.
    fn remove_below(&mut self, bottom: u64) {
        let keep = bottom / BLOCK_BITS;
        while self.blocks.first_key_value().is_some_and(|(block, _)| *block < keep) {
            self.blocks.pop_first();
        }
    }
}

#[cfg(test)]
mod tests;
