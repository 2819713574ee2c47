//! How far the fragments of one message have spread, and what is to be done for it when.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::{Combinations, Offered};
use crate::{
    asking::{Known, Requests},
    wire::Bitmap,
};

/// What this node does for one message of profile `adaptive` beside holding it.
#[derive(Debug)]
pub(crate) struct Spread<P> {
    /// What was asked for and has not come.
    pub(crate) requests: Requests<P>,
    /// Since when somebody is known to hold what.
    pub(crate) known: Known,
    /// What peers with room for requests tell of.
    pub(crate) offered: Offered,
    /// Combinations that came, until they are of use or were found to be false.
    pub(crate) combinations: Combinations<P>,
    /// Generations of which a combination is false: none is used any more.
    pub(crate) spoiled: BTreeSet<u16>,
    /// It was pulled from a peer that keeps it: whoever holds it holds all of it.
    pub(crate) is_late: bool,
    /// What the near peers are to be told, and the others.
    pub(crate) near: News,
    pub(crate) far: News,
    /// The next fragment to leave for the first time: our own messages only.
    pub(crate) first: u32,
    /// When to look whether others hold all that left.
    pub(crate) look_at: Option<Instant>,
    /// How often that was done.
    pub(crate) looks: u8,
    /// When to ask again because nobody had room for it.
    pub(crate) ask_at: Option<Instant>,
    /// When to try again what failed here.
    pub(crate) retry_at: Option<Instant>,
    /// When the message is on the agenda.
    pub(crate) wake: Option<Instant>,
}

/// What is held and was not told, by generation.
#[derive(Debug, Default)]
pub(crate) struct News {
    fragments: BTreeMap<u16, Bitmap>,
    pub(crate) due: Option<Instant>,
}

impl News {
    /// There is more of a generation, to be told at `due` at the latest.
    pub(crate) fn add(&mut self, generation: u16, fragments: &Bitmap, due: Instant) {
        self.fragments.entry(generation).or_default().extend(fragments);
        self.due.get_or_insert(due);
    }

    /// Takes what is to be told, if it is due at `now`.
    pub(crate) fn take(&mut self, now: Instant) -> BTreeMap<u16, Bitmap> {
        if self.due.is_none_or(|due| due > now) {
            return BTreeMap::new();
        }
        self.due = None;
        std::mem::take(&mut self.fragments)
    }
}

impl<P: Copy> Spread<P> {
    pub(crate) fn new(generations: usize) -> Self {
        Self {
            requests: Requests::new(generations),
            known: Known::new(generations),
            offered: Offered::default(),
            combinations: Combinations::default(),
            spoiled: BTreeSet::new(),
            is_late: false,
            near: News::default(),
            far: News::default(),
            first: 0,
            look_at: None,
            looks: 0,
            ask_at: None,
            retry_at: None,
            wake: None,
        }
    }
}
