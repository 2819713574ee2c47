//! The cluster handshake: nobody takes part before it is known that both speak of the same thing.
//!
//! The dialling side sends a [`Hello`], the listening side checks it and answers with its own and,
//! if it refuses, the reason; so the reason is known on both sides. A peer that has not been
//! admitted after [`DEADLINE`] is disconnected.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use api::handshake::{Answer, Hello, check};
use libp2p::{
    PeerId, StreamProtocol,
    request_response::{Config, ProtocolSupport, json},
};

/// Our own protocol id: what the wire carries is not the original's.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/open-optimump2p/handshake/1");

/// How long a peer may take to be admitted, and each message of the handshake.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// How long a refused peer may take to read the reason and leave.
const REFUSED_GRACE: Duration = Duration::from_secs(2);

/// The longest message of the handshake in bytes.
const MESSAGE_BYTES_MAX: u64 = 4096;

/// The stream protocol.
pub(crate) type Behaviour = json::Behaviour<Hello, Answer>;

/// Makes the stream protocol.
pub(crate) fn behaviour() -> Behaviour {
    let codec = json::codec::Codec::default()
        .set_request_size_maximum(MESSAGE_BYTES_MAX)
        .set_response_size_maximum(MESSAGE_BYTES_MAX);
    let config = Config::default().with_request_timeout(DEADLINE).with_max_concurrent_streams(4);
    Behaviour::with_codec(codec, [(PROTOCOL, ProtocolSupport::Full)], config)
}

/// Where a connected peer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Waiting { until: Instant },
    Admitted,
    Refused { until: Instant },
}

/// What became of a peer's [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It takes part from now on.
    Admit,
    /// It takes part already.
    Known,
    /// It does not; the connection is to be closed.
    Refuse(String),
}

/// Where every connected peer stands: denied until its handshake was valid.
#[derive(Debug)]
pub(crate) struct Handshakes {
    ours: Hello,
    phases: HashMap<PeerId, Phase>,
}

impl Handshakes {
    pub(crate) fn new(ours: Hello) -> Self {
        Self { ours, phases: HashMap::new() }
    }

    /// A connection stands. Returns what to send if the handshake is ours to begin.
    pub(crate) fn connected(&mut self, now: Instant, peer: PeerId, dialled: bool) -> Option<Hello> {
        let waiting = Phase::Waiting { until: now + DEADLINE };
        let phase = self.phases.entry(peer).or_insert(waiting);
        (dialled && *phase != Phase::Admitted).then(|| self.ours.clone())
    }

    /// The last connection is gone. Returns whether the peer had been admitted.
    pub(crate) fn disconnected(&mut self, peer: &PeerId) -> bool {
        self.phases.remove(peer) == Some(Phase::Admitted)
    }

    /// The peer began a handshake. Returns the answer and what becomes of the peer.
    pub(crate) fn on_hello(
        &mut self,
        now: Instant,
        peer: PeerId,
        hello: &Hello,
    ) -> (Answer, Verdict) {
        let verdict = self.decide(now, peer, hello, None);
        let refused = match &verdict {
            Verdict::Refuse(reason) => Some(reason.clone()),
            Verdict::Admit | Verdict::Known => None,
        };
        (Answer { hello: self.ours.clone(), refused }, verdict)
    }

    /// The peer answered our handshake. Returns what becomes of it.
    pub(crate) fn on_answer(&mut self, now: Instant, peer: PeerId, answer: Answer) -> Verdict {
        let Answer { hello, refused } = answer;
        self.decide(now, peer, &hello, refused)
    }

    fn decide(
        &mut self,
        now: Instant,
        peer: PeerId,
        hello: &Hello,
        refused: Option<String>,
    ) -> Verdict {
        let refusal = match check(&self.ours, hello) {
            Err(refusal) => Some(refusal.to_string()),
            Ok(()) => refused.map(|reason| format!("the peer refused this node: {reason}")),
        };
        let Some(phase) = self.phases.get_mut(&peer) else {
            // The connection closed while the message was on its way.
            return refusal.map_or(Verdict::Known, Verdict::Refuse);
        };
        if let Some(reason) = refusal {
            *phase = Phase::Refused { until: now + REFUSED_GRACE };
            return Verdict::Refuse(reason);
        }
        match phase {
            Phase::Admitted => Verdict::Known,
            Phase::Waiting { .. } | Phase::Refused { .. } => {
                *phase = Phase::Admitted;
                Verdict::Admit
            }
        }
    }

    /// The peer does not speak the handshake, and need not. Returns what becomes of it: one that was
    /// refused stays refused.
    pub(crate) fn on_foreigner(&mut self, peer: &PeerId) -> Verdict {
        match self.phases.get_mut(peer) {
            Some(phase @ Phase::Waiting { .. }) => {
                *phase = Phase::Admitted;
                Verdict::Admit
            }
            Some(Phase::Admitted | Phase::Refused { .. }) | None => Verdict::Known,
        }
    }

    /// Returns what this node says of itself.
    pub(crate) fn ours(&self) -> &Hello {
        &self.ours
    }

    /// Returns whether the peer takes part.
    pub(crate) fn is_admitted(&self, peer: &PeerId) -> bool {
        self.phases.get(peer) == Some(&Phase::Admitted)
    }

    /// Returns the peers whose time is over, and whether they had been told why (refused) or never
    /// spoke.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<(PeerId, bool)> {
        let overdue = self.phases.iter().filter_map(|(peer, phase)| match phase {
            Phase::Waiting { until } if *until <= now => Some((*peer, false)),
            Phase::Refused { until } if *until <= now => Some((*peer, true)),
            Phase::Waiting { .. } | Phase::Refused { .. } | Phase::Admitted => None,
        });
        overdue.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            cluster_id: "a".into(),
            mode: "optimum".into(),
            profile: gossip::Profile::Documented.name().into(),
            versions: vec![1],
            max_message_bytes: 1 << 20,
            software: "dev".into(),
        }
    }

    #[test]
    fn nobody_is_admitted_before_a_valid_handshake_and_the_silent_are_overdue() {
        let mut handshakes = Handshakes::new(hello());
        let (now, peer) = (Instant::now(), PeerId::random());
        assert_eq!(handshakes.connected(now, peer, false), None);
        assert!(!handshakes.is_admitted(&peer));
        assert!(handshakes.overdue(now).is_empty());
        assert_eq!(handshakes.overdue(now + DEADLINE), [(peer, false)]);
        let (answer, verdict) = handshakes.on_hello(now, peer, &hello());
        assert_eq!((answer.refused, verdict), (None, Verdict::Admit));
        assert!(handshakes.is_admitted(&peer));
        assert!(handshakes.overdue(now + 2 * DEADLINE).is_empty());
        assert_eq!(handshakes.on_hello(now, peer, &hello()).1, Verdict::Known);
        assert!(handshakes.disconnected(&peer));
        assert!(!handshakes.is_admitted(&peer));
    }

    #[test]
    fn a_peer_without_handshake_is_admitted_once_and_not_after_it_was_refused() {
        let mut handshakes = Handshakes::new(hello());
        let (now, peer, refused) = (Instant::now(), PeerId::random(), PeerId::random());
        assert_eq!(handshakes.on_foreigner(&peer), Verdict::Known, "it is gone");
        handshakes.connected(now, peer, true);
        assert_eq!(handshakes.on_foreigner(&peer), Verdict::Admit);
        assert!(handshakes.is_admitted(&peer));
        assert_eq!(handshakes.on_foreigner(&peer), Verdict::Known);
        handshakes.connected(now, refused, false);
        let other = Hello { cluster_id: "b".into(), ..hello() };
        assert!(matches!(handshakes.on_hello(now, refused, &other).1, Verdict::Refuse(_)));
        assert_eq!(handshakes.on_foreigner(&refused), Verdict::Known);
        assert!(!handshakes.is_admitted(&refused));
    }

    #[test]
    fn only_the_dialling_side_begins_and_not_again_once_admitted() {
        let mut handshakes = Handshakes::new(hello());
        let (now, peer) = (Instant::now(), PeerId::random());
        assert_eq!(handshakes.connected(now, peer, true), Some(hello()));
        let answer = Answer { hello: hello(), refused: None };
        assert_eq!(handshakes.on_answer(now, peer, answer), Verdict::Admit);
        assert_eq!(handshakes.connected(now, peer, true), None);
    }

    #[test]
    fn every_mismatch_is_refused_with_both_values_in_the_reason() {
        let ours = hello();
        let differ = [
            ("cluster ID", Hello { cluster_id: "b".into(), ..hello() }),
            ("mode", Hello { mode: "gossipsub".into(), ..hello() }),
            ("profile", Hello { profile: gossip::Profile::Adaptive.name().into(), ..hello() }),
            ("version", Hello { versions: vec![7], ..hello() }),
        ];
        for (what, theirs) in differ {
            let mut handshakes = Handshakes::new(ours.clone());
            let (now, peer) = (Instant::now(), PeerId::random());
            handshakes.connected(now, peer, false);
            let (answer, verdict) = handshakes.on_hello(now, peer, &theirs);
            let reason = answer.refused.expect(what);
            assert!(reason.contains(what), "{reason}");
            assert_eq!(verdict, Verdict::Refuse(reason));
            assert_eq!(handshakes.overdue(now + REFUSED_GRACE), [(peer, true)]);
            assert!(check(&theirs, &ours).is_err(), "{what} must be symmetrical");
        }
    }

    #[test]
    fn the_reason_of_the_other_side_is_told_on_this_one() {
        let mut handshakes = Handshakes::new(hello());
        let (now, peer) = (Instant::now(), PeerId::random());
        handshakes.connected(now, peer, true);
        let answer = Answer { hello: hello(), refused: Some("too many".into()) };
        let verdict = handshakes.on_answer(now, peer, answer);
        assert_eq!(verdict, Verdict::Refuse("the peer refused this node: too many".into()));
    }
}
