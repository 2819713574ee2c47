//! What is timed, and what every library is given for it.

use rand::{Rng, SeedableRng, rngs::SmallRng};

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// One coded shard from the fragments.
    EncodeOne,
    /// As many coded shards as there are fragments: rate 1/2.
    EncodeK,
    /// One new shard, coefficients included, from `k` coded ones.
    RecodeOne,
    /// The message from `k` coded shards.
    Decode,
    /// The missing half of the message from `k / 2` fragments and as many coded shards.
    DecodeHalfSystematic,
}

impl Operation {
    pub(crate) const ALL: [Self; 5] =
        [Self::EncodeOne, Self::EncodeK, Self::RecodeOne, Self::Decode, Self::DecodeHalfSystematic];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::EncodeOne => "encode-one",
            Self::EncodeK => "encode-k",
            Self::RecodeOne => "recode-one",
            Self::Decode => "decode",
            Self::DecodeHalfSystematic => "decode-half-systematic",
        }
    }

    /// Returns how many outputs are computed from `k` sources: what the arithmetic costs, in
    /// products for each byte of the message.
    pub(crate) const fn outputs(self, k: usize) -> usize {
        match self {
            Self::EncodeOne | Self::RecodeOne => 1,
            Self::EncodeK | Self::Decode => k,
            Self::DecodeHalfSystematic => k / 2,
        }
    }
}

/// Where results go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffers {
    /// Into buffers that are kept.
    Reused,
    /// Into new ones each time.
    Fresh,
}

/// The input of a cell.
pub(crate) struct Input {
    pub(crate) k: usize,
    pub(crate) fragment_bytes: usize,
    /// `k` fragments, one behind the other.
    pub(crate) message: Vec<u8>,
    /// `2k` vectors of `k` random coefficients, one behind the other.
    pub(crate) coefficients: Vec<u8>,
}

impl Input {
    /// Returns the input for a message of so many bytes, which `k` divides; always the same.
    pub(crate) fn new(message_bytes: usize, k: usize) -> Self {
        let mut rng = SmallRng::seed_from_u64((message_bytes + k) as u64);
        let mut message = vec![0; message_bytes];
        rng.fill_bytes(&mut message);
        let mut coefficients = vec![0; 2 * k * k];
        rng.fill_bytes(&mut coefficients);
        Self { k, fragment_bytes: message_bytes / k, message, coefficients }
    }
}

/// One operation of one library, with everything done that does not belong in the time.
pub(crate) trait Run {
    /// Puts back what a run consumes. Not timed.
    fn reset(&mut self) {}

    /// Whether a run needs a `reset` before it; then runs are timed one by one.
    fn consumes(&self) -> bool {
        false
    }

    /// The work that is timed.
    fn run(&mut self);

    /// Compares the result of the last run with what it must be.
    fn check(&mut self) -> Result<(), String>;
}
