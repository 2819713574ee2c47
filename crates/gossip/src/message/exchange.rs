//! What passes between us and one peer about the fragments of one message.

use std::iter;

use crate::wire::Bitmap;

/// A fragment that a peer is to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) generation: u16,
    pub(crate) index: u16,
    /// How many nodes it has passed.
    pub(crate) hops: u8,
}

/// What passes between us and one peer about the fragments of one message.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// Generation 0, the only one of most messages: what is looked at most often is not elsewhere.
    first: Part,
    /// The generations after it, as far as anything passed of them.
    others: Vec<Part>,
    /// What the peer is to get before anything else: what opens a new part of the network.
    urgent: Vec<Due>,
    /// What the peer is to get; the newest goes first, so that a queue delays only what has
    /// waited anyway.
    due: Vec<Due>,
    /// Of which generations the peer is to get a combination, one for each time.
    combinations: Vec<u16>,
    /// Whether it is one of those to whom the publisher's fragments leave first.
    pub(crate) is_first: bool,
}

/// The same about one generation.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// What the peer said it holds, or sent.
    told: Bitmap,
    /// What left to it on this stream.
    sent: Bitmap,
    /// What is in `due`.
    queued: Bitmap,
    /// What the peer asked for and was to get elsewhere.
    put_off: Bitmap,
}

impl Exchange {
    fn part(&mut self, generation: u16) -> &mut Part {
        let Some(place) = usize::from(generation).checked_sub(1) else { return &mut self.first };
        if self.others.len() <= place {
            self.others.resize(place + 1, Part::default());
        }
        &mut self.others[place]
    }

    fn get(&self, generation: u16) -> Option<&Part> {
        match usize::from(generation).checked_sub(1) {
            Some(place) => self.others.get(place),
            None => Some(&self.first),
        }
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        iter::once(&self.first).chain(&self.others)
    }

    fn parts_mut(&mut self) -> impl Iterator<Item = &mut Part> {
        iter::once(&mut self.first).chain(&mut self.others)
    }

    /// The peer holds these.
    pub(crate) fn tell(&mut self, generation: u16, fragments: &Bitmap) {
        self.part(generation).told.extend(fragments);
    }

    /// Returns what the peer is known to hold.
    pub(crate) fn told(&self, generation: u16) -> Bitmap {
        self.get(generation).map(|part| part.told).unwrap_or_default()
    }

    /// Returns whether the peer holds a fragment or will soon.
    pub(crate) fn has(&self, generation: u16, index: u16) -> bool {
        self.get(generation)
            .is_some_and(|part| part.told.contains(index) || part.sent.contains(index))
    }

    /// Returns whether the peer has told of anything.
    pub(crate) fn has_told(&self) -> bool {
        self.parts().any(|part| !part.told.is_empty())
    }

    /// Returns whether anything of the message was sent to the peer or came from it.
    pub(crate) fn is_begun(&self) -> bool {
        self.parts().any(|part| !part.told.is_empty() || !part.sent.is_empty())
    }

    /// The peer gets a fragment unasked, unless it has it or is to get it; returns whether it is
    /// new to it.
    pub(crate) fn push(&mut self, due: Due, is_urgent: bool) -> bool {
        let new = !self.has(due.generation, due.index)
            && self.part(due.generation).queued.insert(due.index);
        if new {
            let queue = if is_urgent { &mut self.urgent } else { &mut self.due };
            queue.push(due);
        }
        new
    }

    /// The peer gets `count` combinations of a generation beside what it is to get.
    pub(crate) fn add_combinations(&mut self, generation: u16, count: usize) {
        self.combinations.extend(iter::repeat_n(generation, count));
    }

    /// Takes a generation of which the peer is to get a combination.
    pub(crate) fn next_combination(&mut self) -> Option<u16> {
        self.combinations.pop()
    }

    /// Returns whether anything is to go before what other peers wait for.
    pub(crate) fn is_urgent(&self) -> bool {
        !self.urgent.is_empty()
    }

    /// The peer asked for a fragment: if it left already, that was lost.
    pub(crate) fn ask(&mut self, due: Due) {
        let part = self.part(due.generation);
        part.told.remove(due.index);
        part.sent.remove(due.index);
        if self.part(due.generation).queued.insert(due.index) {
            self.due.push(due);
        }
    }

    /// The peer asks for a fragment that it can get elsewhere; returns whether it did before, so
    /// that it could not.
    pub(crate) fn put_off(&mut self, generation: u16, index: u16) -> bool {
        !self.part(generation).put_off.insert(index)
    }

    /// The peer does not hold any more what it said.
    pub(crate) fn untell(&mut self) {
        self.parts_mut().for_each(|part| part.told = Bitmap::default());
    }

    /// Returns whether the peer is to get anything.
    pub(crate) fn owes(&self) -> bool {
        self.is_first
            || !self.due.is_empty()
            || !self.urgent.is_empty()
            || !self.combinations.is_empty()
    }

    /// Takes the newest that the peer is to get and does not have.
    pub(crate) fn next(&mut self) -> Option<Due> {
        while let Some(due) = self.urgent.pop().or_else(|| self.due.pop()) {
            let part = self.part(due.generation);
            part.queued.remove(due.index);
            if !part.told.contains(due.index) && !part.sent.contains(due.index) {
                return Some(due);
            }
        }
        None
    }

    /// A fragment leaves.
    pub(crate) fn send(&mut self, due: Due) {
        self.part(due.generation).sent.insert(due.index);
    }

    /// Returns whether anything left to the peer that is not in `lacking`.
    pub(crate) fn was_sent_beside(&self, lacking: &[Due]) -> bool {
        self.parts().zip(0u16..).any(|(part, generation)| {
            let lacking = lacking.iter().filter(|due| due.generation == generation);
            !part.sent.without(&lacking.map(|due| due.index).collect()).is_empty()
        })
    }

    /// The peer needs nothing more.
    pub(crate) fn stop(&mut self) {
        self.due.clear();
        self.urgent.clear();
        self.combinations.clear();
        self.is_first = false;
        for part in self.parts_mut() {
            part.queued = Bitmap::default();
        }
    }

    /// Our stream was lost: what was on the way may not have come.
    pub(crate) fn restart(&mut self) {
        self.parts_mut().for_each(|part| part.sent = Bitmap::default());
    }
}
