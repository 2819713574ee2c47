//! Profile `adaptive`: what is sent unasked. The publisher's fragments leave once each, go a few
//! steps on from there, and go to who asked to be fed.

use std::time::{Duration, Instant};

use rand::seq::IteratorRandom;

use super::State;
use crate::{
    HeaderHash, PeerName, Topic,
    holding::Holding,
    message::{Due, Message},
};

/// The publisher looks whether anybody holds what left after this time, or three round trips.
const FIRST_LOOK_AFTER_MIN: Duration = Duration::from_millis(150);

/// And whether most do, again and again after this time, or three round trips.
const LOOK_AFTER_MIN: Duration = Duration::from_millis(400);

/// The publisher of a whole message sends it to more than the mesh up to this many bytes in all: 42
/// ms at 50 Mbit/s.
const FLOOD_BYTES: u64 = 256 << 10;

/// Who finds no more near peers than this that hold a fragment is one of the first there.
const PIONEERS: usize = 1;

/// Fewer peers that passed on what they got are not relied on alone.
const PROVEN_FEW: usize = 3;

/// So often it looks.
const LOOKS_MAX: u8 = 16;

impl<P: PeerName> State<P> {
    /// Returns the peers with whom fragments of `topic` are exchanged: the data peers, filled up
    /// with others while there are too few, as there are just after a start.
    pub(super) fn data_targets(&self, topic: &Topic) -> Vec<P> {
        let Some(ours) = self.topics.get(topic) else { return Vec::new() };
        let mut targets: Vec<P> = ours.data.peers.keys().copied().collect();
        let missing = self.config.mesh.low.saturating_sub(targets.len());
        let others = self.peers.iter().filter(|(peer, state)| {
            state.topics.contains(topic)
                && !ours.data.peers.contains_key(peer)
                && !state.record.is_graylisted()
        });
        targets.extend(others.map(|(&peer, _)| peer).take(missing));
        targets
    }

    /// Lets a message of our own leave: whole to the mesh, or each fragment once to the nearest
    /// data peers, whoever has room.
    pub(super) fn spread_own_fragments(&mut self, hash: HeaderHash, topic: &Topic) {
        let Some(message) = self.messages.get(&hash) else { return };
        if message.holding().is_some_and(Holding::is_whole) {
            if self.targets(topic).is_empty() {
                self.has_left(hash);
            }
            return self.pass_on_whole(hash);
        }
        let targets = self.data_targets(topic);
        if targets.is_empty() {
            // Nobody is to be looked after: who comes later asks, and is served.
            if let Some(message) = self.messages.get_mut(&hash) {
                message.spread.looks = 1;
            }
            return self.has_left(hash);
        }
        let near = targets.iter().filter(|&&peer| self.is_near(peer)).count();
        let mut nearest: Vec<(Option<Duration>, P)> =
            targets.into_iter().map(|peer| (self.windows.rtt(peer), peer)).collect();
        nearest.sort_by_key(|&(rtt, peer)| (rtt.unwrap_or(Duration::MAX), peer));
        // Far connections that were idle bring one frame in their first round trip: as many of
        // them as there are.
        if near >= self.config.adaptive.first_peers {
            nearest.truncate(self.config.adaptive.first_peers);
        }
        for (_, peer) in nearest {
            let Some(message) = self.messages.get_mut(&hash) else { return };
            message.links.entry(peer).or_default().exchange.is_first = true;
            self.queue_message(peer, hash);
        }
    }

    /// Every fragment of our own message has left once: whether others hold them will be looked at.
    pub(super) fn all_sent_once(&mut self, now: Instant, hash: HeaderHash) {
        let Some(message) = self.messages.get(&hash) else { return };
        let Some(holding) = message.holding() else { return };
        if holding.is_whole() || message.spread.look_at.is_some() || message.spread.looks > 0 {
            return;
        }
        let look_at = now + self.look_after(hash, FIRST_LOOK_AFTER_MIN);
        if let Some(message) = self.messages.get_mut(&hash) {
            message.spread.look_at = Some(look_at);
            message.spread.looks = 1;
        }
        self.schedule(hash);
    }

    /// Returns when to look: after three round trips, and `min` at least.
    fn look_after(&self, hash: HeaderHash, min: Duration) -> Duration {
        let Some(message) = self.messages.get(&hash) else { return min };
        // Its fragments went to the nearest: they answer first.
        let rtts = message.links.keys().filter_map(|&peer| self.windows.rtt(peer));
        let mut rtts: Vec<Duration> = rtts.collect();
        rtts.sort_unstable();
        rtts.truncate(self.config.adaptive.first_peers);
        min.max(3 * rtts.last().copied().unwrap_or_default())
    }

    /// Sends again what few are known to hold: they may keep it for themselves.
    pub(super) fn look_after_own(&mut self, now: Instant, hash: HeaderHash) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        if message.spread.look_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        let again = now + self.look_after(hash, LOOK_AFTER_MIN);
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let Some(holding) = message.holding() else { return };
        let generations = holding.generations() as u16;
        let is_first = message.spread.looks == 1;
        let total = holding.total() as usize;
        let lonely: Vec<Due> = (0..generations)
            .flat_map(|generation| {
                let rare =
                    if is_first { message.lonely(generation) } else { message.rare(generation) };
                rare.iter().map(move |index| Due { generation, index, hops: 0 }).collect::<Vec<_>>()
            })
            .collect();
        if (lonely.is_empty() && !is_first) || message.spread.looks >= LOOKS_MAX {
            return;
        }
        message.spread.looks += 1;
        message.spread.look_at = Some(again);
        let topic = message.topic().clone();
        let targets = self.data_targets(&topic);
        let likely = self.likely_to_pass_on(hash, targets.clone(), &lonely);
        let count = lonely.len();
        for due in lonely {
            // They may all have it already.
            if !self.push_to(hash, due, &likely, 1, true) {
                self.push_to(hash, due, &targets, 1, true);
            }
        }
        // Who is told what the publisher holds asks it: that is for when much is amiss.
        if is_first && count < total / 8 {
            return;
        }
        for generation in 0..generations {
            let held = self.messages.get(&hash).and_then(Message::holding);
            let held = held.and_then(|holding| holding.held(generation)).copied();
            self.add_news(now, hash, generation, &held.unwrap_or_default());
        }
    }

    /// Returns those of `peers` that passed on what they got of our message, as far as others tell;
    /// if they are few, all but those that passed on nothing. What is `lonely` was not passed on. Who
    /// asked for what it got proves nothing: others may have told of that already.
    fn likely_to_pass_on(&self, hash: HeaderHash, peers: Vec<P>, lonely: &[Due]) -> Vec<P> {
        let Some(message) = self.messages.get(&hash) else { return peers };
        let sent = |peer: &P, lacking: &[Due]| {
            message.links.get(peer).is_some_and(|link| link.exchange.was_sent_beside(lacking))
        };
        let asked = |peer: &P| message.links.get(peer).is_some_and(|link| link.pulled > 0);
        let (proven, others): (Vec<P>, Vec<P>) =
            peers.into_iter().partition(|peer| sent(peer, lonely) && !asked(peer));
        if proven.len() >= PROVEN_FEW {
            return proven;
        }
        let untried = others.iter().copied().filter(|peer| !sent(peer, &[]));
        let likely: Vec<P> = proven.into_iter().chain(untried).collect();
        if likely.is_empty() { others } else { likely }
    }

    /// Sends a fragment that came on: to who asked to be fed with it, and to a few others while it
    /// is new.
    pub(super) fn pass_on(&mut self, hash: HeaderHash, (generation, index): (u16, u16), hops: u8) {
        let Some(message) = self.messages.get(&hash) else { return };
        let place = u32::from(generation) * u32::from(message.shape.fragments()) + u32::from(index);
        let topic = message.topic().clone();
        let Some(ours) = self.topics.get(&topic) else { return };
        let is_alone = ours.data.is_alone();
        let fed = ours
            .data
            .peers
            .iter()
            .filter(|(_, data)| data.feeds.is_some_and(|feed| feed.has(place)));
        let fed: Vec<P> = fed.map(|(&peer, _)| peer).collect();
        let due = Due { generation, index, hops: hops.saturating_add(1) };
        let count = fed.len();
        self.push_to(hash, due, &fed, count, false);
        let targets = self.data_targets(&topic);
        let (near, far): (Vec<P>, Vec<P>) = targets.iter().partition(|&&peer| self.is_near(peer));
        if near.len() >= self.config.adaptive.near_peers_few {
            return self.carry_over(hash, due, &near, far);
        }
        let config = &self.config.adaptive;
        let pushes = if is_alone { &config.pushes_alone } else { &config.pushes };
        let pushes = pushes.get(usize::from(hops)).copied().unwrap_or(0);
        if pushes > 0 {
            self.push_to(hash, due, &targets, pushes, true);
        }
    }

    /// Sends a fragment to far peers if hardly anybody near holds it: who is first of its
    /// neighbourhood carries it over. Only over links on which nothing is on the way, since a
    /// connection that was idle brings about one frame in its first round trip.
    fn carry_over(&mut self, hash: HeaderHash, due: Due, near: &[P], mut far: Vec<P>) {
        let Some(message) = self.messages.get(&hash) else { return };
        let told = |peer: &&P| {
            let link = message.links.get(peer);
            link.is_some_and(|link| link.exchange.told(due.generation).contains(due.index))
        };
        if near.iter().filter(told).count() > PIONEERS {
            return;
        }
        far.retain(|&peer| self.windows.in_flight(peer) == 0);
        self.push_to(hash, due, &far, self.config.adaptive.carried_over, true);
    }

    /// Sends a fragment unasked to `count` of `peers` that lack it, by chance. Returns whether any
    /// does.
    fn push_to(
        &mut self,
        hash: HeaderHash,
        due: Due,
        peers: &[P],
        count: usize,
        is_urgent: bool,
    ) -> bool {
        let Some(message) = self.messages.get_mut(&hash) else { return false };
        let lacks = |peer: &P| {
            message
                .links
                .get(peer)
                .is_none_or(|link| link.takes() && !link.exchange.has(due.generation, due.index))
        };
        let lacking = peers.iter().copied().filter(lacks);
        let chosen = lacking.sample(&mut self.rng, count);
        let found = !chosen.is_empty();
        for peer in chosen {
            let Some(message) = self.messages.get_mut(&hash) else { break };
            if message.links.entry(peer).or_default().exchange.push(due, is_urgent) {
                self.queue_message(peer, hash);
            }
        }
        found
    }

    /// Sends a message that is one fragment to the mesh.
    pub(super) fn pass_on_whole(&mut self, hash: HeaderHash) {
        let Some(message) = self.messages.get(&hash) else { return };
        let topic = message.topic().clone();
        let (is_own, bytes) = (message.is_own(), message.payload_bytes());
        let mut targets = self.targets(&topic);
        // A mesh may have twice as many, which would bring each message as often.
        let mut count = self.config.mesh.target;
        if is_own {
            // One step less to everybody, as long as its own link does not make them wait.
            let others = self.data_targets(&topic);
            targets.extend(
                others.into_iter().filter(|peer| !targets.contains(peer)).collect::<Vec<_>>(),
            );
            count = count.max((FLOOD_BYTES / bytes.max(1)) as usize);
        }
        self.push_to(hash, Due { generation: 0, index: 0, hops: 0 }, &targets, count, false);
    }
}
