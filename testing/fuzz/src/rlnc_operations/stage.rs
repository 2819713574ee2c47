//! The encoder, the decoders and their models; each operation on both.

use std::{array, collections::BTreeSet, convert::Infallible, ops::Range};

use bytes::Bytes;
use gf256::Kernel;
use rand_chacha::rand_core::TryRng;
use rlnc::{
    Absorbed, BATCH_SHARDS_MAX, BatchError, Decoder, Encoder, NotFull, OtherShape, Pool, Recipe,
    Shape, Shard, ShardError,
};

use super::{
    Batch, Columns, Cut, Draws, OUTCOMES, Operation,
    model::{Model, combine},
};

/// What stands where nothing was written yet.
const BEFORE: u8 = 0xEE;
/// The most recipes that a decoder keeps.
const RECIPES_MAX: usize = 40;

/// A decoder and what it must hold.
struct Node {
    decoder: Decoder,
    model: Model,
    /// The newest first.
    recipes: Vec<Recipe>,
}

pub(super) struct Stage {
    shape: Shape,
    encoder: Encoder,
    /// Padded with zeros.
    fragments: Vec<Vec<u8>>,
    nodes: [Node; 2],
    pool: Pool,
    outcomes: BTreeSet<&'static str>,
}

/// Numbers for a recipe, by a xorshift.
struct Numbers(u64);

impl TryRng for Numbers {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.try_next_u64()? >> 16) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.try_next_u32()? as u8;
        }
        Ok(())
    }
}

impl Cut {
    fn shape(self) -> Shape {
        let (fragments, fragment_bytes) = (self.fragments % 24 + 1, self.fragment_bytes % 200 + 1);
        Shape::new(fragments.into(), fragment_bytes.into()).expect("small")
    }

    /// Returns an encoder of a payload like this, by the kernel, and its fragments.
    fn encoder(self, kernel: Kernel) -> (Encoder, Vec<Vec<u8>>) {
        let shape = self.shape();
        let all = shape.generation_bytes() as usize;
        let byte = |index: usize| (index * 31 + index / 7 * usize::from(self.salt)) as u8;
        let mut payload: Vec<u8> =
            (0..all - usize::from(self.short_bytes) % all).map(byte).collect();
        let encoder = Encoder::with_kernel(shape, payload.clone().into(), kernel);
        payload.resize(all, 0);
        let fragments = payload.chunks(shape.fragment_bytes() as usize).map(<[u8]>::to_vec);
        (encoder.expect("neither empty nor too long"), fragments.collect())
    }
}

impl Columns {
    fn of(self, fragment_bytes: usize) -> Range<usize> {
        let start = usize::from(self.start) % (fragment_bytes + 1);
        start..start + usize::from(self.length) % (fragment_bytes - start + 1)
    }
}

impl Node {
    fn recipe(&mut self, draws: Draws) -> Option<Recipe> {
        let mut numbers = Numbers(draws.seed.into());
        let (held, sources_max) = (self.model.rank(), draws.sources_max);
        let recipe = match sources_max {
            None => self.decoder.recipe(&mut numbers),
            Some(sources_max) => self.decoder.sparse_recipe(&mut numbers, sources_max.into()),
        };
        assert_eq!(recipe.is_none(), held == 0 || sources_max == Some(0));
        let recipe = recipe?;
        let used = recipe.weights().iter().filter(|&&weight| weight != 0).count();
        match sources_max.map(usize::from) {
            Some(sources_max) if sources_max < held => assert_eq!(used, sources_max),
            _ => assert!(used > 0),
        }
        assert_eq!(recipe.weights().len(), held);
        assert_eq!(recipe.coefficients(), &self.model.coefficients(recipe.weights()));
        assert!(recipe.coefficients().iter().any(|&coefficient| coefficient != 0));
        Some(recipe)
    }

    fn check(&self) {
        assert_eq!(usize::from(self.decoder.rank()), self.model.rank());
        assert_eq!(self.decoder.held().len(), self.model.rank());
        assert_eq!(self.decoder.is_full(), self.model.is_full());
    }
}

impl Stage {
    pub(super) fn new(cut: Cut) -> Self {
        let (encoder, fragments) = cut.encoder(Kernel::best());
        let shape = encoder.shape();
        let nodes = array::from_fn(|_| Node {
            decoder: Decoder::new(shape),
            model: Model::new(fragments.len()),
            recipes: Vec::new(),
        });
        let (pool, outcomes) = (Pool::new(1 << 14), BTreeSet::new());
        Self { shape, encoder, fragments, nodes, pool, outcomes }
    }

    pub(super) fn into_outcomes(self) -> BTreeSet<&'static str> {
        self.outcomes
    }

    pub(super) fn run(&mut self, operation: &Operation) {
        match operation {
            Operation::Coded { node, coefficients } => self.coded(*node, coefficients),
            Operation::Systematic { node, index } => self.systematic(*node, *index),
            Operation::Raw { node, coefficients, payload, fit } => {
                self.raw(*node, coefficients.clone(), payload.clone(), *fit);
            }
            Operation::Foreign { node, cut } => self.foreign(*node, *cut),
            Operation::Relay { from, draws } => self.relay(*from, *draws),
            Operation::Recipe { node, draws } => self.recipe(*node, *draws),
            Operation::Recode { node, first, count, columns } => {
                self.recode(*node, usize::from(*first), usize::from(*count), *columns);
            }
            Operation::Encode { coefficients, columns } => self.encode(coefficients, *columns),
            Operation::Batch(batch) => self.batch(batch),
            Operation::Decode { node, payload_bytes } => self.decode(*node, *payload_bytes),
            Operation::DecodeMissing { node, payload_bytes } => {
                self.decode_missing(*node, usize::from(*payload_bytes));
            }
            Operation::Clear(cut) => self.clear(*cut),
            Operation::Kernel { node, kernel } => self.kernel(*node, usize::from(*kernel)),
            Operation::Clone { node } => {
                let node = self.node(*node);
                node.decoder = node.decoder.clone();
                self.reached("cloned");
            }
        }
        self.nodes.iter().for_each(Node::check);
    }

    fn reached(&mut self, outcome: &'static str) {
        debug_assert!(OUTCOMES.contains(&outcome), "{outcome}");
        self.outcomes.insert(outcome);
    }

    fn node(&mut self, node: bool) -> &mut Node {
        &mut self.nodes[usize::from(node)]
    }

    fn fragment_bytes(&self) -> usize {
        self.shape.fragment_bytes() as usize
    }

    /// Returns the coefficients in the right number.
    fn vector(&self, coefficients: &[u8]) -> Vec<u8> {
        let mut vector = coefficients.to_vec();
        vector.resize(self.fragments.len(), 0);
        vector
    }

    fn absorb(&mut self, node: bool, shard: Shard) {
        let node = self.node(node);
        let innovative = node.model.absorb(shard.coefficients(), shard.payload());
        let expected = if innovative { Absorbed::Innovative } else { Absorbed::Redundant };
        assert_eq!(node.decoder.absorb(shard), Ok(expected));
        self.reached(if innovative { "innovative" } else { "redundant" });
    }

    fn coded(&mut self, node: bool, coefficients: &[u8]) {
        let vector = self.vector(coefficients);
        let shard = self.encoder.shard(vector.clone().into());
        if vector.iter().all(|&coefficient| coefficient == 0) {
            assert_eq!(shard, Err(ShardError::ZeroCoefficients));
            return self.reached("zero vector");
        }
        let shard = shard.expect("the right number of coefficients");
        assert_eq!(shard.coefficients(), &vector);
        assert_eq!(shard.payload(), &combine(&vector, &self.fragments, self.fragment_bytes()));
        self.absorb(node, shard);
    }

    fn systematic(&mut self, node: bool, index: u8) {
        let fragments = self.shape.fragments();
        // One more than there are, so that it is asked for too.
        let index = u16::from(index) % (fragments + 1);
        match self.encoder.systematic(index) {
            Ok(shard) => {
                assert_eq!(shard.plain(), Some(index.into()));
                assert_eq!(shard.payload(), &self.fragments[usize::from(index)]);
                self.absorb(node, shard);
            }
            Err(error) => {
                assert_eq!(error, ShardError::NoFragment { index: fragments, fragments });
                self.reached("no fragment");
            }
        }
    }

    fn raw(&mut self, node: bool, mut coefficients: Vec<u8>, mut payload: Vec<u8>, fit: bool) {
        let lengths = (self.fragments.len(), self.fragment_bytes());
        if fit {
            coefficients.resize(lengths.0, 0);
            payload.resize(lengths.1, 0);
        }
        let got = (coefficients.len(), payload.len());
        let is_zero = coefficients.iter().all(|&coefficient| coefficient == 0);
        match Shard::parse(self.shape, coefficients.into(), payload.into()) {
            Ok(shard) => {
                assert!(got == lengths && !is_zero);
                self.absorb(node, shard);
            }
            Err(error) => {
                let expected = if got.0 != lengths.0 {
                    ShardError::CoefficientBytes { expected: lengths.0, got: got.0 }
                } else if got.1 != lengths.1 {
                    ShardError::PayloadBytes { expected: lengths.1, got: got.1 }
                } else {
                    assert!(is_zero);
                    ShardError::ZeroCoefficients
                };
                assert_eq!(error, expected);
                self.reached(if got == lengths { "zero vector" } else { "shard of other lengths" });
            }
        }
    }

    fn foreign(&mut self, node: bool, cut: Cut) {
        let (shape, other) = (self.shape, cut.shape());
        if shape == other {
            return;
        }
        let (encoder, _) = cut.encoder(Kernel::best());
        let shard = encoder.systematic(0).expect("there is always a first one");
        let expected = OtherShape {
            fragments: shape.fragments(),
            fragment_bytes: shape.fragment_bytes(),
            got_fragments: other.fragments().into(),
            got_bytes: other.fragment_bytes() as usize,
        };
        assert_eq!(self.node(node).decoder.absorb(shard), Err(expected));
        self.reached("shard for another shape");
    }

    fn recipe(&mut self, node: bool, draws: Draws) {
        let Some(recipe) = self.node(node).recipe(draws) else { return self.reached("no recipe") };
        self.node(node).recipes.insert(0, recipe);
        self.node(node).recipes.truncate(RECIPES_MAX);
        let kind = if draws.sources_max.is_some() { "recipe, sparse" } else { "recipe, dense" };
        self.reached(kind);
    }

    fn relay(&mut self, from: bool, draws: Draws) {
        let (shape, fragment_bytes) = (self.shape, self.fragment_bytes());
        let node = self.node(from);
        let Some(recipe) = node.recipe(draws) else { return self.reached("no recipe") };
        let mut bytes = vec![BEFORE; fragment_bytes];
        node.decoder.write_range(&recipe, 0..fragment_bytes, &mut bytes);
        assert_eq!(bytes, node.model.payload(recipe.weights(), fragment_bytes));
        let shard = Shard::parse(shape, recipe.coefficients().clone(), bytes.into());
        self.absorb(!from, shard.expect("as the recipe says"));
        self.reached("shard recoded and passed on");
    }

    fn recode(&mut self, node: bool, first: usize, count: usize, columns: Columns) {
        let fragment_bytes = self.fragment_bytes();
        let columns = columns.of(fragment_bytes);
        let Node { decoder, model, recipes } = self.node(node);
        let first = first % (recipes.len() + 1);
        let recipes = &recipes[first..first + count % (recipes.len() - first + 1)];
        let mut shards = vec![vec![BEFORE; columns.len()]; recipes.len()];
        let mut outs: Vec<&mut [u8]> = shards.iter_mut().map(|shard| &mut shard[..]).collect();
        decoder.write_ranges(recipes, columns.clone(), &mut outs);
        for (recipe, shard) in recipes.iter().zip(&shards) {
            let expected = model.payload(recipe.weights(), fragment_bytes);
            assert_eq!(shard, &expected[columns.clone()]);
            let mut alone = vec![BEFORE; columns.len()];
            decoder.write_range(recipe, columns.clone(), &mut alone);
            assert_eq!(shard, &alone);
        }
        if shards.len() > 1 {
            self.reached("several recoded");
        }
    }

    fn encode(&self, coefficients: &[u8], columns: Columns) {
        let (vector, columns) = (self.vector(coefficients), columns.of(self.fragment_bytes()));
        let mut out = vec![BEFORE; columns.len()];
        self.encoder.write_range(&vector, columns.clone(), &mut out);
        assert_eq!(out, combine(&vector, &self.fragments, self.fragment_bytes())[columns]);
    }

    fn batch(&mut self, batch: &Batch) {
        let (fragments, fragment_bytes) = (self.fragments.len(), self.fragment_bytes());
        let shards = match batch.shards {
            u8::MAX => BATCH_SHARDS_MAX + 1,
            shards => usize::from(shards) % 20,
        };
        let given = if batch.coefficients.is_empty() { &[1] } else { &batch.coefficients[..] };
        let mut coefficients: Vec<u8> =
            given.iter().copied().cycle().take(shards * fragments).collect();
        if let Some(zero) = batch.zero.filter(|_| shards > 0) {
            let start = usize::from(zero) % shards * fragments;
            coefficients[start..start + fragments].fill(0);
        }
        coefficients.truncate(coefficients.len().saturating_sub(usize::from(batch.missing) % 3));
        let mut rooms = vec![vec![BEFORE; fragment_bytes]; shards];
        if let Some((shard, bytes)) = batch.odd_room.filter(|_| shards > 0) {
            rooms[usize::from(shard) % shards].resize(bytes.into(), BEFORE);
        }
        let expected = self.batch_error(&coefficients, &rooms);
        let mut outs: Vec<&mut [u8]> = rooms.iter_mut().map(|room| &mut room[..]).collect();
        let result = self.encoder.write_batch(&coefficients, &mut outs);
        assert_eq!(result.as_ref().err(), expected.as_ref());
        if expected.is_some() {
            assert!(rooms.iter().flatten().all(|&byte| byte == BEFORE));
        } else {
            for (vector, room) in coefficients.chunks(fragments).zip(&rooms) {
                assert_eq!(room, &combine(vector, &self.fragments, fragment_bytes));
            }
        }
        self.reached(match expected {
            None => "batch written",
            Some(BatchError::Shards(_)) => "batch of too many shards",
            Some(BatchError::Coefficients { .. }) => "batch of too few coefficients",
            Some(BatchError::ZeroCoefficients { .. }) => "batch with a zero vector",
            Some(BatchError::ShardBytes { .. }) => "batch with room of another length",
        });
    }

    /// Returns what must be said of a batch that is not right.
    fn batch_error(&self, coefficients: &[u8], rooms: &[Vec<u8>]) -> Option<BatchError> {
        let (fragments, fragment_bytes) = (self.fragments.len(), self.fragment_bytes());
        let (shards, got) = (rooms.len(), coefficients.len());
        if shards > BATCH_SHARDS_MAX {
            return Some(BatchError::Shards(shards));
        }
        if got != shards * fragments {
            let expected = shards * fragments;
            return Some(BatchError::Coefficients { shards, expected, got });
        }
        let mut vectors = coefficients.chunks(fragments);
        if let Some(shard) = vectors.position(|vector| vector.iter().all(|&value| value == 0)) {
            return Some(BatchError::ZeroCoefficients { shard });
        }
        let (shard, room) =
            rooms.iter().enumerate().find(|(_, room)| room.len() != fragment_bytes)?;
        Some(BatchError::ShardBytes { shard, expected: fragment_bytes, got: room.len() })
    }

    fn not_full(&mut self, node: bool) -> NotFull {
        let fragments = self.shape.fragments();
        NotFull { rank: self.node(node).model.rank() as u16, fragments }
    }

    fn decode(&mut self, node: bool, payload_bytes: u16) {
        let (pool, not_full) = (self.pool.clone(), self.not_full(node));
        let node = self.node(node);
        let decoded = node.decoder.decode(payload_bytes.into(), &pool);
        let Some(mut expected) = node.model.decoded() else {
            assert_eq!(decoded.err(), Some(not_full));
            return self.reached("decoding refused");
        };
        let whole = expected.len() <= payload_bytes.into();
        expected.truncate(payload_bytes.into());
        let message = decoded.expect("full").verify(|bytes| bytes == expected);
        assert_eq!(message.expect("as the model says").into_bytes(), expected);
        self.reached(if whole { "decoded whole" } else { "decoded in part" });
    }

    fn decode_missing(&mut self, node: bool, payload_bytes: usize) {
        let (fragment_bytes, not_full) = (self.fragment_bytes(), self.not_full(node));
        let node = self.node(node);
        let mut payload = vec![BEFORE; payload_bytes % (not_full.fragments as usize * 200 + 50)];
        let result = node.decoder.decode_missing(&mut payload);
        let Some(decoded) = node.model.decoded() else {
            assert_eq!(result, Err(not_full));
            assert!(payload.iter().all(|&byte| byte == BEFORE));
            return self.reached("missing fragments refused");
        };
        assert_eq!(result, Ok(()));
        for (index, fragment) in payload.chunks(fragment_bytes).enumerate() {
            let missing = decoded.chunks(fragment_bytes).nth(index);
            match missing.filter(|_| !node.model.holds_plain(index)) {
                Some(expected) => assert_eq!(fragment, &expected[..fragment.len()]),
                None => assert!(fragment.iter().all(|&byte| byte == BEFORE)),
            }
        }
        self.reached("missing fragments computed");
    }

    fn clear(&mut self, cut: Cut) {
        let was_full = self.nodes.iter().any(|node| node.model.is_full());
        (self.encoder, self.fragments) = cut.encoder(Kernel::best());
        self.shape = self.encoder.shape();
        for node in &mut self.nodes {
            node.decoder.clear(self.shape);
            node.model = Model::new(self.fragments.len());
            node.recipes.clear();
        }
        self.reached(if was_full { "cleared while full" } else { "cleared while not full" });
    }

    fn kernel(&mut self, node: bool, kernel: usize) {
        let kernels: Vec<Kernel> = Kernel::available().collect();
        let kernel = kernels[kernel % kernels.len()];
        let payload: Bytes = self.encoder.payload().clone();
        self.encoder = Encoder::with_kernel(self.shape, payload, kernel).expect("as before");
        let mut decoder = Decoder::with_kernel(self.shape, kernel);
        let node = self.node(node);
        for shard in node.decoder.held() {
            assert_eq!(decoder.absorb(shard.clone()), Ok(Absorbed::Innovative));
        }
        assert_eq!(decoder.held(), node.decoder.held());
        node.decoder = decoder;
        self.reached("kernel switched");
    }
}
