//! The two protocols and the negotiation of a stream.

use std::{convert::Infallible, future};

use libp2p::{InboundUpgrade, OutboundUpgrade, Stream, StreamProtocol, core::UpgradeInfo};

/// Shards, one ordered stream for each direction.
pub const DATA_PROTOCOL: StreamProtocol = StreamProtocol::new("/open-optimump2p/gossip/1/data");

/// Everything else, one ordered stream for each direction.
pub const CONTROL_PROTOCOL: StreamProtocol =
    StreamProtocol::new("/open-optimump2p/gossip/1/control");

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(unnameable_types, reason = "libp2p's traits ask for a public type; nobody names it")]
pub enum Kind {
    Data,
    Control,
}

impl Kind {
    fn protocol(self) -> StreamProtocol {
        match self {
            Self::Data => DATA_PROTOCOL,
            Self::Control => CONTROL_PROTOCOL,
        }
    }
}

/// Offers the protocols of `kinds`; the stream as it is, is the result.
#[derive(Clone, Debug)]
#[expect(unnameable_types, reason = "libp2p's traits ask for a public type; nobody names it")]
pub struct Upgrade {
    kinds: &'static [Kind],
}

impl Upgrade {
    /// What is accepted of a peer.
    pub(crate) fn inbound() -> Self {
        Self { kinds: &[Kind::Data, Kind::Control] }
    }

    /// What is asked of a peer.
    pub(crate) fn outbound(kind: Kind) -> Self {
        let kinds = match kind {
            Kind::Data => &[Kind::Data][..],
            Kind::Control => &[Kind::Control][..],
        };
        Self { kinds }
    }
}

impl UpgradeInfo for Upgrade {
    type Info = Offer;
    type InfoIter = std::iter::Map<std::slice::Iter<'static, Kind>, fn(&Kind) -> Offer>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.kinds.iter().map(|&kind| Offer { kind, protocol: kind.protocol() })
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
