//! Which missing fragment is asked of whom. Pure decisions of profile `adaptive`.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{PeerName, wire::Bitmap};

/// A peer that may be asked.
#[derive(Clone, Debug)]
pub(crate) struct Holder<P> {
    pub(crate) peer: P,
    /// What an answer costs: the cheapest is asked first.
    pub(crate) cost: f64,
    /// How many fragments may be asked of it now.
    pub(crate) room: usize,
    /// What it has and we lack, by generation.
    pub(crate) offers: Vec<Bitmap>,
}

/// Returns what each is asked for: no fragment twice, of each peer one in turn, earlier
/// generations first and in them the first fragment from `start` on. When that is chosen by chance
/// at every node, those around a holder get different fragments of it and have the rest of each
/// other; else all would have the same few of it.
pub(crate) fn share_out<P: PeerName>(
    mut holders: Vec<Holder<P>>,
    start: u16,
) -> BTreeMap<(P, u16), Bitmap> {
    holders.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let generations = holders.iter().map(|holder| holder.offers.len()).max().unwrap_or(0);
    let mut taken = vec![Bitmap::default(); generations];
    let mut asked: BTreeMap<(P, u16), Bitmap> = BTreeMap::new();
    loop {
        let before = asked.values().map(Bitmap::len).sum::<u16>();
        for holder in holders.iter_mut().filter(|holder| holder.room > 0) {
            let left = holder.offers.iter().zip(&taken).map(|(offer, taken)| offer.without(taken));
            let first = left.enumerate().find_map(|(generation, left)| {
                let next = left.iter().find(|&index| index >= start).or(left.iter().next());
                next.map(|index| (generation as u16, index))
            });
            let Some((generation, index)) = first else {
                holder.room = 0;
                continue;
            };
            holder.room -= 1;
            taken[usize::from(generation)].insert(index);
            asked.entry((holder.peer, generation)).or_default().insert(index);
        }
        if asked.values().map(Bitmap::len).sum::<u16>() == before {
            return asked;
        }
    }
}

/// What was asked for and has not come.
#[derive(Debug)]
pub(crate) struct Requests<P> {
    open: BTreeMap<(u16, u16), Request<P>>,
    /// The same by generation.
    asked: Vec<Bitmap>,
    /// The earliest deadline of them.
    next_deadline: Option<Instant>,
}

/// One fragment asked of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request<P> {
    pub(crate) peer: P,
    pub(crate) asked_at: Instant,
    /// From then on another is asked.
    pub(crate) deadline: Instant,
    /// Of a message that is fetched late.
    pub(crate) is_late: bool,
}

impl<P> Requests<P> {
    pub(crate) fn new(generations: usize) -> Self {
        let asked = vec![Bitmap::default(); generations];
        Self { open: BTreeMap::new(), asked, next_deadline: None }
    }
}

impl<P: PeerName> Requests<P> {
    /// Adds a request for a fragment of a generation that there is.
    pub(crate) fn insert(&mut self, generation: u16, index: u16, request: Request<P>) {
        self.asked[usize::from(generation)].insert(index);
        let replaced = self.open.insert((generation, index), request);
        self.forget_deadline(replaced.as_ref());
        let earliest = self.next_deadline.map_or(request.deadline, |at| at.min(request.deadline));
        self.next_deadline = Some(earliest);
    }

    pub(crate) fn remove(&mut self, generation: u16, index: u16) -> Option<Request<P>> {
        let removed = self.open.remove(&(generation, index))?;
        self.asked[usize::from(generation)].remove(index);
        self.forget_deadline(Some(&removed));
        Some(removed)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Request<P>> {
        self.open.values()
    }

    /// Returns what is asked for, by generation.
    pub(crate) fn asked(&self) -> &[Bitmap] {
        &self.asked
    }

    /// Takes all that `gone` says of.
    pub(crate) fn take(&mut self, gone: impl Fn(&Request<P>) -> bool) -> Vec<Request<P>> {
        self.take_places(gone).into_iter().map(|(_, request)| request).collect()
    }

    /// Takes all that should have come by `now`.
    pub(crate) fn take_overdue(&mut self, now: Instant) -> Vec<((u16, u16), Request<P>)> {
        if self.next_deadline.is_none_or(|deadline| deadline > now) {
            return Vec::new();
        }
        self.take_places(|request| request.deadline <= now)
    }

    fn take_places(&mut self, gone: impl Fn(&Request<P>) -> bool) -> Vec<((u16, u16), Request<P>)> {
        let taken: Vec<_> = self.open.extract_if(.., |_, request| gone(request)).collect();
        for &((generation, index), _) in &taken {
            self.asked[usize::from(generation)].remove(index);
        }
        self.find_next_deadline();
        taken
    }

    /// A request is gone: if it was the earliest, another is.
    fn forget_deadline(&mut self, gone: Option<&Request<P>>) {
        if gone.is_some_and(|gone| self.next_deadline == Some(gone.deadline)) {
            self.find_next_deadline();
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline
    }

    fn find_next_deadline(&mut self) {
        self.next_deadline = self.open.values().map(|request| request.deadline).min();
    }
}

/// Since when somebody is known to hold each fragment: who is far is asked only for what has been
/// known for a while.
#[derive(Debug, Default)]
pub(crate) struct Known {
    told: Vec<Bitmap>,
    ripe: Vec<Bitmap>,
    /// What is known and not ripe, in the order of time.
    waiting: VecDeque<(Instant, u16, Bitmap)>,
}

impl Known {
    pub(crate) fn new(generations: usize) -> Self {
        let none = vec![Bitmap::default(); generations];
        Self { told: none.clone(), ripe: none, waiting: VecDeque::new() }
    }

    /// Somebody holds these.
    pub(crate) fn tell(&mut self, now: Instant, generation: u16, fragments: &Bitmap) {
        let Some(told) = self.told.get_mut(usize::from(generation)) else { return };
        let new = fragments.without(told);
        if !new.is_empty() {
            told.extend(&new);
            self.waiting.push_back((now, generation, new));
        }
    }

    /// Returns, by generation, what is known and what has been known for `patience`.
    pub(crate) fn look(&mut self, now: Instant, patience: Duration) -> (&[Bitmap], &[Bitmap]) {
        while let Some((_, generation, fragments)) =
            self.waiting.pop_front_if(|(at, ..)| *at + patience <= now)
        {
            self.ripe[usize::from(generation)].extend(&fragments);
        }
        (&self.told, &self.ripe)
    }

    /// Returns when more is ripe.
    pub(crate) fn next_ripe(&self, patience: Duration) -> Option<Instant> {
        self.waiting.front().map(|(at, ..)| *at + patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(300);

    fn holder(peer: u32, cost: f64, room: usize, offers: &[&[u16]]) -> Holder<u32> {
        let offers = offers.iter().map(|offer| offer.iter().copied().collect()).collect();
        Holder { peer, cost, room, offers }
    }

    fn asked(holders: Vec<Holder<u32>>) -> Vec<(u32, u16, Vec<u16>)> {
        let shared = share_out(holders, 0).into_iter();
        shared.map(|((peer, generation), set)| (peer, generation, set.iter().collect())).collect()
    }

    #[test]
    fn the_cheapest_is_asked_first_and_each_in_turn() {
        let all: &[u16] = &[0, 1, 2, 3];
        let holders = vec![holder(1, 2.0, 2, &[all]), holder(2, 1.0, 1, &[all])];
        assert_eq!(asked(holders), [(1, 0, vec![1, 2]), (2, 0, vec![0])]);
    }

    #[test]
    fn no_fragment_is_asked_for_twice_and_earlier_generations_come_first() {
        let holders = vec![holder(1, 1.0, 9, &[&[], &[5, 6]]), holder(2, 2.0, 2, &[&[7], &[5]])];
        assert_eq!(asked(holders), [(1, 1, vec![5, 6]), (2, 0, vec![7])]);
    }

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_fragment_is_ripe_when_it_has_been_known_for_the_time_given() {
        let now = start();
        let mut known = Known::new(2);
        known.tell(now, 1, &Bitmap::first(2));
        known.tell(now + PATIENCE / 2, 1, &Bitmap::first(3));
        known.tell(now, 2, &Bitmap::first(1));
        assert_eq!(known.next_ripe(PATIENCE), Some(now + PATIENCE));
        assert_eq!(known.look(now + PATIENCE, PATIENCE).1[1], Bitmap::first(2));
        assert_eq!(known.look(now + PATIENCE * 2, PATIENCE).1[1], Bitmap::first(3));
        assert_eq!(known.next_ripe(PATIENCE), None);
    }

    #[test]
    fn what_is_overdue_is_taken_and_the_rest_stays_asked_for() {
        let now = start();
        let mut requests = Requests::new(1);
        for index in 0..3 {
            let deadline = now + Duration::from_millis(u64::from(index) + 1);
            requests.insert(
                0,
                index,
                Request { peer: index, asked_at: now, deadline, is_late: false },
            );
        }
        assert!(requests.take_overdue(now).is_empty());
        let taken = requests.take_overdue(now + Duration::from_millis(2));
        assert_eq!(taken.len(), 2);
        assert_eq!(requests.asked(), [[2].into_iter().collect::<Bitmap>()]);
        assert_eq!(requests.next_deadline(), Some(now + Duration::from_millis(3)));
    }
}
