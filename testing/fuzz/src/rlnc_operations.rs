//! Operations on an encoder and two decoders that recode for each other, checked against a model
//! that knows single products only.

mod model;
mod stage;

use std::collections::BTreeSet;

use arbitrary::Arbitrary;

use self::stage::Stage;

/// The most operations of one run; more take long and find nothing new.
const OPERATIONS_MAX: usize = 60;

/// What the operations can lead to; the corpus reaches all of it.
pub const OUTCOMES: [&str; 25] = [
    "batch of too many shards",
    "batch of too few coefficients",
    "batch with a zero vector",
    "batch with room of another length",
    "batch written",
    "cleared while full",
    "cleared while not full",
    "cloned",
    "decoded in part",
    "decoded whole",
    "decoding refused",
    "innovative",
    "kernel switched",
    "missing fragments computed",
    "missing fragments refused",
    "no fragment",
    "no recipe",
    "recipe, dense",
    "recipe, sparse",
    "redundant",
    "shard for another shape",
    "shard of other lengths",
    "several recoded",
    "shard recoded and passed on",
    "zero vector",
];

/// How a generation is cut, and what is in it. Numbers wrap around, so that shapes stay small.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Cut {
    fragments: u8,
    fragment_bytes: u8,
    /// How many bytes the payload is shorter than all fragments together.
    short_bytes: u16,
    salt: u8,
}

/// Some columns of a fragment; they wrap around.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Columns {
    start: u8,
    length: u8,
}

/// What is drawn: zero gives zeros for ever.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Draws {
    seed: u16,
    /// Sparse, of at most so many shards.
    sources_max: Option<u8>,
}

/// One thing that is done. `node` is one of the two decoders.
#[derive(Arbitrary, Clone, Debug)]
#[expect(missing_docs, reason = "each field says it")]
pub enum Operation {
    /// A combination of the fragments comes.
    Coded { node: bool, coefficients: Vec<u8> },
    /// A fragment comes as it is.
    Systematic { node: bool, index: u8 },
    /// Any bytes come; if they `fit`, in lengths that make a shard.
    Raw { node: bool, coefficients: Vec<u8>, payload: Vec<u8>, fit: bool },
    /// A shard of another shape comes.
    Foreign { node: bool, cut: Cut },
    /// A decoder recodes, and the other one gets the shard.
    Relay { from: bool, draws: Draws },
    /// A recipe is made and kept.
    Recipe { node: bool, draws: Draws },
    /// Columns of shards by recipes made before.
    Recode { node: bool, first: u8, count: u8, columns: Columns },
    /// Columns of one shard of the encoder.
    Encode { coefficients: Vec<u8>, columns: Columns },
    /// Several shards of the encoder.
    Batch(Batch),
    /// Everything is decoded, or as much as is asked for.
    Decode { node: bool, payload_bytes: u16 },
    /// What is missing is decoded in place.
    DecodeMissing { node: bool, payload_bytes: u16 },
    /// Another generation begins in the same room.
    Clear(Cut),
    /// A decoder, and the encoder, go on by another kernel.
    Kernel { node: bool, kernel: u8 },
    /// A decoder goes on as its clone.
    Clone { node: bool },
}

/// Several shards in one call, and what may be wrong with them.
#[derive(Arbitrary, Clone, Debug)]
pub struct Batch {
    /// 255 stands for more than there may be.
    shards: u8,
    /// They are repeated.
    coefficients: Vec<u8>,
    /// A shard whose coefficients are zero.
    zero: Option<u8>,
    /// So many coefficients are missing.
    missing: u8,
    /// A shard whose room has another length.
    odd_room: Option<(u8, u8)>,
}

/// A generation and what is done with it.
#[derive(Arbitrary, Clone, Debug)]
pub struct Input {
    cut: Cut,
    operations: Vec<Operation>,
}

/// Does everything and checks each result; returns which of [`OUTCOMES`] came up.
#[must_use]
pub fn run(input: &Input) -> BTreeSet<&'static str> {
    let mut stage = Stage::new(input.cut);
    for operation in input.operations.iter().take(OPERATIONS_MAX) {
        stage.run(operation);
    }
    stage.into_outcomes()
}
