//! Profile `adaptive`: what is held is told, what is missing is asked for.

use std::time::{Duration, Instant};

use rand::RngExt;

use super::State;
use crate::{
    GenerationId, HeaderHash, PeerName,
    asking::{Holder, Request, share_out},
    holding::Holding,
    message::{Askable, Due, Phase},
    peer::Peer,
    score::DEMERITS_EXCESS,
    wire::{Bitmap, Control},
};

/// What is added to the time in which an answer is expected: the queue of who is asked.
const ANSWER_SPARE: Duration = Duration::from_millis(60);

/// The same for each fragment asked of it before.
const ANSWER_SPARE_EACH: Duration = Duration::from_millis(10);

/// The round-trip time assumed of a peer of which none is known.
const RTT_UNKNOWN: Duration = Duration::from_millis(100);

/// What an answer takes beyond a round trip, as long as a peer has not answered yet.
const ANSWER_GUESS: Duration = Duration::from_millis(6);

/// When nobody has room for a request, room is looked for again after this time.
const ASK_AGAIN: Duration = Duration::from_millis(30);

/// Requests in an answer's time are spread by chance, so that not all ask the same peer first.
const COST_SPREAD: f64 = 0.5;

/// After so many bytes of a message for each of its own, its publisher sends only what few others
/// are known to hold.
const EGRESS_MAX: f64 = 1.5;

/// How often a peer may ask for as much as the message has.
const PULLS_FACTOR_MAX: u32 = 2;

/// Fragments of late messages that are asked of a peer at a time, beside those of others. Whoever
/// holds such a message holds all of it, so that nothing is lost by asking for several, and one in
/// a round trip is little over a long way.
const LATE_ASKS_PER_PEER: usize = 8;

/// A peer is asked for so many messages in a heartbeat that only hearsay tells of.
const RUMOURS_PER_HEARTBEAT_MAX: u32 = 64;

impl<P: PeerName> State<P> {
    pub(super) fn is_near(&self, peer: P) -> bool {
        self.windows.is_near(peer)
    }

    fn askable(&self) -> Askable {
        let near_changes = self.windows.near_changes();
        Askable { near_changes, had_room_again: self.had_room_again }
    }

    /// The peer says what it holds of a generation.
    pub(super) fn on_have(
        &mut self,
        now: Instant,
        peer: P,
        generation: GenerationId,
        fragments: &Bitmap,
    ) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.allowance.tells += 1;
        if state.allowance.tells > self.config.limits.tells_per_heartbeat_max {
            self.stats.news_ignored += 1;
            return self.hold_against(peer, DEMERITS_EXCESS);
        }
        let hash = generation.header;
        if fragments.is_empty() || state.refused.contains(now, &hash) {
            return;
        }
        if self.messages.get(&hash).is_none() {
            return self.on_rumour(now, peer, generation, fragments);
        }
        self.on_told(now, peer, generation, fragments);
        self.ask(now, hash);
        self.schedule(hash);
    }

    /// Remembers what the peer holds of a message whose header is known.
    fn on_told(&mut self, now: Instant, peer: P, generation: GenerationId, fragments: &Bitmap) {
        let Some(message) = self.messages.get_mut(&generation.header) else { return };
        let Some(holding) = message.holding() else { return };
        if holding.held(generation.index).is_none() {
            return;
        }
        let fragments = fragments.within(&Bitmap::first(holding.fragments()));
        message.spread.known.tell(now, generation.index, &fragments);
        let full = if message.spread.is_late { &self.full_late } else { &self.full };
        if !full.contains(&peer) {
            let is_near = self.windows.is_near(peer);
            message.spread.offered.add(is_near, generation.index, &fragments);
        }
        let link = message.links.entry(peer).or_default();
        link.exchange.tell(generation.index, &fragments);
        link.has_header = true;
    }

    /// The peer has all of a message.
    pub(super) fn on_told_all(&mut self, now: Instant, peer: P, hash: HeaderHash) {
        let Some(message) = self.messages.get(&hash) else { return };
        let Some(holding) = message.holding() else { return };
        let all = Bitmap::first(holding.fragments());
        for index in 0..holding.generations() as u16 {
            self.on_told(now, peer, GenerationId { header: hash, index }, &all);
        }
        self.ask(now, hash);
        self.schedule(hash);
    }

    fn on_rumour(&mut self, now: Instant, peer: P, generation: GenerationId, fragments: &Bitmap) {
        let hash = generation.header;
        if self.retired.contains(now, &hash) {
            return;
        }
        let due = if self.is_near(peer) { now } else { now + self.config.adaptive.far_patience };
        let gone = self.rumours.add(hash, peer, generation.index, fragments, due);
        self.stats.repairs_dropped += u64::from(gone);
        self.follow_rumours(now);
    }

    /// Asks for a fragment of each message whose header should have come: it comes with it.
    pub(super) fn follow_rumours(&mut self, now: Instant) {
        while let Some(hash) = self.rumours.next(now) {
            let Some((peer, generation, index)) = self.rumours.ask(hash) else {
                self.rumours.remove(hash);
                self.stats.repairs_dropped += 1;
                continue;
            };
            self.rumours.postpone(hash, now + self.answer_within(peer));
            let Some(state) = self.peers.get_mut(&peer) else { continue };
            state.allowance.rumours += 1;
            if state.allowance.rumours > RUMOURS_PER_HEARTBEAT_MAX {
                self.rumours.postpone(hash, self.next_heartbeat.max(now));
                continue;
            }
            self.stats.pulls_sent += 1;
            state.refused.remove(&hash);
            let generation = GenerationId { header: hash, index: generation };
            let fragments = [index].into_iter().collect();
            state.control.push(Control::Want { generation, fragments });
            self.tell_control_ready(peer);
        }
    }

    /// The peer has nothing of a message any more: others are asked for it.
    pub(super) fn on_gone(&mut self, now: Instant, peer: P, hash: HeaderHash) {
        self.repairs.remove_holder(hash, peer);
        self.rumours.remove_holder(hash, peer);
        let Some(message) = self.messages.get_mut(&hash) else { return };
        if let Some(link) = message.links.get_mut(&peer) {
            link.exchange.untell();
        }
        let asked = message.spread.requests.take(|request| request.peer == peer);
        for request in &asked {
            self.end_request(request);
        }
        self.ask(now, hash);
        self.schedule(hash);
    }

    /// The header of a rumour came: what was told of it counts.
    pub(super) fn take_rumour(&mut self, now: Instant, hash: HeaderHash) {
        for told in self.rumours.remove(hash) {
            for (index, fragments) in told.fragments {
                self.on_told(now, told.peer, GenerationId { header: hash, index }, &fragments);
            }
        }
    }

    fn answer_within(&self, peer: P) -> Duration {
        let state = self.peers.get(&peer);
        let asked = state.map_or(0, |state| (state.asked + state.asked_late) as u32);
        // Where links are slow everybody's queue is long, which is no reason to ask others for the
        // same.
        3 * self.windows.rtt(peer).unwrap_or(RTT_UNKNOWN) / 2
            + ANSWER_SPARE.max(2 * self.answers.usual())
            + ANSWER_SPARE_EACH * asked
    }

    /// Asks for what is missing, where it is held: near peers at once, others for what has been
    /// held only far away for a while.
    pub(super) fn ask(&mut self, now: Instant, hash: HeaderHash) {
        self.give_up_overdue(now, hash);
        let holders = self.holders(now, hash);
        let Some(message) = self.messages.get(&hash) else { return };
        let (k, is_late) = (message.shape.fragments(), message.spread.is_late);
        let start = self.rng.random_range(0..k);
        for ((peer, generation), fragments) in share_out(holders, start) {
            let deadline = now + self.answer_within(peer);
            // Telling a peer that does not read ends it, in the middle of what it is asked for.
            let Some(state) = self.peers.get_mut(&peer) else { continue };
            let Some(message) = self.messages.get_mut(&hash) else { return };
            for index in fragments.iter() {
                let request = Request { peer, asked_at: now, deadline, is_late };
                message.spread.requests.insert(generation, index, request);
            }
            let (asked, asked_max, full) = if is_late {
                (&mut state.asked_late, LATE_ASKS_PER_PEER, &mut self.full_late)
            } else {
                (&mut state.asked, self.config.adaptive.asks_per_peer, &mut self.full)
            };
            *asked += usize::from(fragments.len());
            if *asked >= asked_max {
                full.insert(peer);
            }
            self.stats.pulls_sent += 1;
            let generation = GenerationId { header: hash, index: generation };
            state.control.push(Control::Want { generation, fragments });
            self.tell_control_ready(peer);
        }
    }

    /// A request is answered or given up: there is room for another at who was asked.
    pub(super) fn end_request(&mut self, request: &Request<P>) {
        let Some(peer) = self.peers.get_mut(&request.peer) else { return };
        let (asked, asked_max, full) = if request.is_late {
            (&mut peer.asked_late, LATE_ASKS_PER_PEER, &mut self.full_late)
        } else {
            (&mut peer.asked, self.config.adaptive.asks_per_peer, &mut self.full)
        };
        *asked = asked.saturating_sub(1);
        if *asked < asked_max {
            self.had_room_again += u64::from(full.remove(&request.peer));
        }
    }

    fn give_up_overdue(&mut self, now: Instant, hash: HeaderHash) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let overdue = message.spread.requests.take_overdue(now);
        for (place, request) in overdue {
            self.answers.await_late(hash, place, request.peer, request.asked_at);
            self.end_request(&request);
            if let Some(peer) = self.peers.get_mut(&request.peer) {
                peer.on_no_answer(now.saturating_duration_since(request.asked_at));
            }
        }
    }

    /// Returns who may be asked for what.
    fn holders(&mut self, now: Instant, hash: HeaderHash) -> Vec<Holder<P>> {
        let askable = self.askable();
        let config = &self.config.adaptive;
        let Some(message) = self.messages.get_mut(&hash) else { return Vec::new() };
        let Phase::Gathering(holding) = &message.phase else { return Vec::new() };
        let count = holding.generations();
        let is_late = message.spread.is_late;
        let full = if is_late { &self.full_late } else { &self.full };
        // Where it is another message that takes the room, nothing else would bring us back.
        let waits = full.iter().any(|peer| {
            let link = message.links.get(peer);
            link.is_some_and(|link| link.exchange.is_begun())
                && self.peers.get(peer).is_some_and(|state| !state.record.is_graylisted())
        });
        message.spread.ask_at = waits.then(|| now + ASK_AGAIN);
        let mut taken = message.spread.requests.asked().to_vec();
        for (generation, taken) in taken.iter_mut().enumerate() {
            taken.extend(holding.held(generation as u16).unwrap_or(&Bitmap::default()));
        }
        let (_, ripe) = message.spread.known.look(now, config.far_patience);
        let offered = &mut message.spread.offered;
        // A message that is whole is told of without what it is made of.
        if !holding.is_whole() && !offered.may_have(askable, &taken, ripe) {
            return Vec::new();
        }
        offered.clear(askable, count);
        let mut holders = Vec::new();
        for (&peer, link) in &message.links {
            if full.contains(&peer) {
                continue;
            }
            let is_near = self.windows.is_near(peer);
            let told = (0..count as u16).map(|generation| link.exchange.told(generation));
            let mut offers: Vec<Bitmap> = told.collect();
            (0..).zip(&offers).for_each(|(index, told)| offered.add(is_near, index, told));
            for ((offer, taken), ripe) in offers.iter_mut().zip(&taken).zip(ripe) {
                // Far peers are asked for what is ripe alone.
                *offer = if is_near { *offer } else { offer.within(ripe) }.without(taken);
            }
            let Some(state) = self.peers.get(&peer) else { continue };
            if state.record.is_graylisted() || offers.iter().all(Bitmap::is_empty) {
                continue;
            }
            let (asked, asked_max) = if is_late {
                (state.asked_late, LATE_ASKS_PER_PEER)
            } else {
                (state.asked, config.asks_per_peer)
            };
            let room = asked_max.saturating_sub(asked);
            let spread = 1.0 + COST_SPREAD * self.rng.random::<f64>();
            let cost = cost(state, asked, self.windows.rtt(peer)) * spread;
            holders.push(Holder { peer, cost, room, offers });
        }
        holders
    }

    /// The peer asks for fragments.
    pub(super) fn on_want(&mut self, peer: P, generation: GenerationId, fragments: &Bitmap) {
        let hash = generation.header;
        let index = generation.index;
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let Some(message) = self.messages.get_mut(&hash) else {
            state.allowance.pulls += 1;
            if state.allowance.pulls > self.config.limits.pulls_per_heartbeat_max {
                self.stats.pulls_ignored += 1;
                return self.hold_against(peer, DEMERITS_EXCESS);
            }
            self.stats.pulls_gone += 1;
            state.control.push(Control::Gone(hash));
            return self.tell_control_ready(peer);
        };
        let Some(held) = message.holding().and_then(|holding| holding.held(index)).copied() else {
            self.stats.pulls_ignored += 1;
            return;
        };
        let total = message.fragments();
        let sent = message.shards_sent as f64 / f64::from(total);
        // When nothing is amiss any more, nobody waits for the uplink: who asks came late.
        let is_looking = message.spread.looks == 0 || message.spread.look_at.is_some();
        let is_spread = message.holding().is_some_and(Holding::is_whole) || !is_looking;
        let spares = message.is_own() && sent >= EGRESS_MAX && !is_spread;
        let mut served = fragments.within(&held);
        if spares {
            let rare = message.rare(index);
            let others = served.without(&rare);
            let link = message.links.entry(peer).or_default();
            // Who asks again did not get it from those who say that they hold it.
            let again = others.iter().filter(|&other| link.exchange.put_off(index, other));
            let again: Bitmap = again.collect();
            served = served.within(&rare);
            served.extend(&again);
        }
        if served.is_empty() {
            self.stats.pulls_ignored += 1;
            return;
        }
        let link = message.links.entry(peer).or_default();
        let pulled = u32::from(link.pulled) + u32::from(served.len());
        if pulled > PULLS_FACTOR_MAX * total {
            self.stats.pulls_ignored += 1;
            return self.hold_against(peer, DEMERITS_EXCESS);
        }
        self.stats.pulls_served += 1;
        link.pulled = pulled as u16;
        link.done = false;
        link.refused = None;
        // It is kept for who is still at it, which cannot be without end: pulls are counted.
        message.heartbeats_left = message.heartbeats_left.max(self.config.retain_heartbeats);
        for fragment in served.iter() {
            // Who asks has it from us on purpose: nobody needs to be pushed to because of it.
            link.exchange.ask(Due { generation: index, index: fragment, hops: u8::MAX });
        }
        self.queue_message(peer, hash);
    }

    /// The peer knows nothing of a message but that we hold it: it is told what.
    pub(super) fn on_wanted_unknown(&mut self, peer: P, hash: HeaderHash) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        // It may have lost the header, or never had it.
        message.links.entry(peer).or_default().forget_header();
        let Some(holding) = message.holding() else { return };
        let Some(state) = self.peers.get_mut(&peer) else { return };
        for index in 0..holding.generations() as u16 {
            let Some(&fragments) = holding.held(index) else { continue };
            let generation = GenerationId { header: hash, index };
            state.control.have(generation, fragments);
        }
        self.tell_control_ready(peer);
    }

    /// There is more of a generation to tell.
    pub(super) fn add_news(
        &mut self,
        now: Instant,
        hash: HeaderHash,
        generation: u16,
        fragments: &Bitmap,
    ) {
        let config = &self.config.adaptive;
        let Some(message) = self.messages.get_mut(&hash) else { return };
        message.spread.near.add(generation, fragments, now + config.tell_near_after);
        message.spread.far.add(generation, fragments, now + config.tell_far_after);
    }

    /// Tells of everything that was not told yet.
    pub(super) fn tell_all_news(&mut self, now: Instant, hash: HeaderHash) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        for news in [&mut message.spread.near, &mut message.spread.far] {
            news.due = Some(now);
        }
        self.tell_due_news(now, hash);
    }

    /// Tells the near data peers, and the others, what is due.
    pub(super) fn tell_due_news(&mut self, now: Instant, hash: HeaderHash) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let (near, far) = (message.spread.near.take(now), message.spread.far.take(now));
        if near.is_empty() && far.is_empty() {
            return;
        }
        let topic = message.topic().clone();
        for peer in self.data_targets(&topic) {
            let told = if self.is_near(peer) { &near } else { &far };
            if told.is_empty() {
                continue;
            }
            let Some(message) = self.messages.get(&hash) else { return };
            let Some(holding) = message.holding() else { return };
            if message.links.get(&peer).is_some_and(|link| link.done || !link.takes()) {
                continue;
            }
            let Some(state) = self.peers.get_mut(&peer) else { continue };
            let mut is_told = false;
            for (&index, news) in told {
                let Some(&fragments) = holding.held(index) else { continue };
                // Who told us of all of it first has no use for it; who told of everything may be
                // the publisher, which wants to know how far it came.
                let link = message.links.get(&peer);
                let known = link.map(|link| link.exchange.told(index)).unwrap_or_default();
                if news.without(&known).is_empty() && known.len() < holding.fragments() {
                    continue;
                }
                let generation = GenerationId { header: hash, index };
                state.control.have(generation, fragments);
                is_told = true;
            }
            if is_told {
                self.tell_control_ready(peer);
            }
        }
    }

    /// Puts a message on the agenda for when something is to be done for it.
    pub(super) fn schedule(&mut self, hash: HeaderHash) {
        let patience = self.config.adaptive.far_patience;
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let is_open = matches!(message.phase, Phase::Gathering(_));
        let spread = &mut message.spread;
        let asking =
            [spread.requests.next_deadline(), spread.known.next_ripe(patience), spread.ask_at];
        let asking = asking.into_iter().flatten().filter(|_| is_open);
        let others = [spread.near.due, spread.far.due, spread.look_at, spread.retry_at];
        let wake = others.into_iter().flatten().chain(asking).min();
        if wake == spread.wake {
            return;
        }
        if let Some(before) = std::mem::replace(&mut spread.wake, wake) {
            self.agenda.remove(&(before, hash));
        }
        if let Some(wake) = wake {
            self.agenda.insert((wake, hash));
        }
    }

    /// Does what is due for messages.
    pub(super) fn attend(&mut self, now: Instant) {
        while let Some(&(at, hash)) = self.agenda.first()
            && at <= now
        {
            self.agenda.pop_first();
            let Some(message) = self.messages.get_mut(&hash) else { continue };
            message.spread.wake = None;
            let completed_by = message.completed_by;
            let retries = message.spread.retry_at.take_if(|at| *at <= now).is_some();
            self.tell_due_news(now, hash);
            self.look_after_own(now, hash);
            match completed_by {
                Some(peer) if retries => self.check(now, hash, peer),
                Some(_) | None => self.ask(now, hash),
            }
            self.schedule(hash);
        }
        self.follow_rumours(now);
    }
}

/// Returns how long a peer of this round-trip time takes for `asked` fragments that were asked of
/// it and for one more, in seconds.
fn cost(peer: &Peer, asked: usize, rtt: Option<Duration>) -> f64 {
    let guess = rtt.unwrap_or(RTT_UNKNOWN) + ANSWER_GUESS;
    peer.answer_time.unwrap_or(guess).as_secs_f64() * (1.0 + asked as f64)
}
