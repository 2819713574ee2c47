//! The two protocols, shards on one and everything else on the other, one ordered stream for each
//! direction, and the negotiation of a stream.

use std::{cmp::Reverse, convert::Infallible, future, sync::Arc};

use libp2p::{InboundUpgrade, OutboundUpgrade, Stream, StreamProtocol, core::UpgradeInfo};

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(unnameable_types, reason = "libp2p's traits ask for a public type; nobody names it")]
pub enum Kind {
    Data,
    Control,
}

impl Kind {
    fn protocol(self, version: u32) -> StreamProtocol {
        let name = match self {
            Self::Data => "data",
            Self::Control => "control",
        };
        StreamProtocol::try_from_owned(format!("/open-optimump2p/gossip/{version}/{name}"))
            .expect("begins with a slash")
    }
}

/// The versions of the gossip protocol that a node speaks, as what is offered on streams. Cheap to
/// clone: every connection asks for its offers again and again.
#[derive(Clone, Debug)]
pub struct Versions {
    data: Arc<[Offer]>,
    control: Arc<[Offer]>,
    both: Arc<[Offer]>,
}

impl Versions {
    /// Speaks all of `versions`.
    pub fn new(versions: &[u32]) -> Self {
        let mut newest_first = versions.to_vec();
        newest_first.sort_unstable_by_key(|&version| Reverse(version));
        let offers = |kind: Kind| {
            let offer = |&version| Offer { kind, protocol: kind.protocol(version) };
            newest_first.iter().map(offer).collect::<Vec<_>>()
        };
        let (data, control) = (offers(Kind::Data), offers(Kind::Control));
        let both = [&data[..], &control[..]].concat();
        Self { data: data.into(), control: control.into(), both: both.into() }
    }
}

impl Default for Versions {
    /// The versions that this program knows.
    fn default() -> Self {
        Self::new(&[gossip::wire::VERSION])
    }
}

/// Offers protocols, the one wanted most first; the stream as it is, is the result.
#[derive(Clone, Debug)]
#[expect(unnameable_types, reason = "libp2p's traits ask for a public type; nobody names it")]
pub struct Upgrade {
    offers: Arc<[Offer]>,
}

impl Upgrade {
    /// What is accepted of a peer.
    pub(crate) fn inbound(versions: &Versions) -> Self {
        Self { offers: Arc::clone(&versions.both) }
    }

    /// What is asked of a peer: the newest version that it speaks too.
    pub(crate) fn outbound(versions: &Versions, kind: Kind) -> Self {
        let offers = match kind {
            Kind::Data => &versions.data,
            Kind::Control => &versions.control,
        };
        Self { offers: Arc::clone(offers) }
    }
}

impl UpgradeInfo for Upgrade {
    type Info = Offer;
    type InfoIter = std::vec::IntoIter<Offer>;

    fn protocol_info(&self) -> Self::InfoIter {
        Vec::from(&*self.offers).into_iter()
    }
}

/// One protocol on offer.
#[derive(Clone, Debug)]
#[expect(unnameable_types, reason = "libp2p's traits ask for a public type; nobody names it")]
pub struct Offer {
    kind: Kind,
    protocol: StreamProtocol,
}

impl AsRef<str> for Offer {
    fn as_ref(&self) -> &str {
        self.protocol.as_ref()
    }
}

impl InboundUpgrade<Stream> for Upgrade {
    type Output = (Kind, Stream);
    type Error = Infallible;
    type Future = future::Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, stream: Stream, offer: Offer) -> Self::Future {
        future::ready(Ok((offer.kind, stream)))
    }
}

impl OutboundUpgrade<Stream> for Upgrade {
    type Output = (Kind, Stream);
    type Error = Infallible;
    type Future = future::Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, stream: Stream, offer: Offer) -> Self::Future {
        future::ready(Ok((offer.kind, stream)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_offered_first() {
        let versions = Versions::new(&[1, 3, 2]);
        let offered: Vec<String> = Upgrade::outbound(&versions, Kind::Data)
            .protocol_info()
            .map(|offer| offer.as_ref().to_owned())
            .collect();
        assert_eq!(
            offered,
            [
                "/open-optimump2p/gossip/3/data",
                "/open-optimump2p/gossip/2/data",
                "/open-optimump2p/gossip/1/data"
            ]
        );
        assert_eq!(Upgrade::inbound(&versions).protocol_info().count(), 6);
    }
}
