//! The operations by this project's own crates.

use bytes::Bytes;
use gf256::Kernel;
use rand::{SeedableRng, rngs::SmallRng};
use rlnc::{Buffer, Decoder, Encoder, Pool, Shape, Shard};

use crate::work::{Buffers, Input, Operation, Run};

/// What waits in the pool at most: more than anything here needs.
const IDLE_BYTES_MAX: usize = 256 << 20;

/// Returns one operation, ready to be timed.
pub(crate) fn prepare(
    operation: Operation,
    input: &Input,
    buffers: Buffers,
    kernel: Kernel,
) -> Box<dyn Run> {
    let shape = Shape::new(input.k as u16, input.fragment_bytes as u32).expect("a sound cell");
    let message = Bytes::from(input.message.clone());
    let encoder = Encoder::with_kernel(shape, message, kernel).expect("a message of the shape");
    let pool = Pool::new(IDLE_BYTES_MAX);
    match operation {
        Operation::EncodeOne => Box::new(Encode::new(encoder, input, 1, buffers, &pool)),
        Operation::EncodeK => Box::new(Encode::new(encoder, input, input.k, buffers, &pool)),
        Operation::RecodeOne => {
            let mut decoder = Decoder::with_kernel(shape, kernel);
            for shard in coded(&encoder, input, &pool) {
                assert!(decoder.absorb(shard).expect("the same shape").is_innovative());
            }
            let rng = SmallRng::seed_from_u64(7);
            let out = pool.take(input.fragment_bytes);
            let (fresh, coefficients) = (Vec::new(), Bytes::new());
            Box::new(Recode { decoder, encoder, rng, buffers, out, fresh, coefficients })
        }
        Operation::Decode => {
            let shards = coded(&encoder, input, &pool);
            Box::new(Decode::new(shards, shape, kernel, input, buffers))
        }
        Operation::DecodeHalfSystematic => {
            let half = input.k / 2;
            let mut shards: Vec<Shard> = (0..half)
                .map(|index| encoder.systematic(index as u16).expect("a fragment"))
                .collect();
            shards.extend(coded(&encoder, input, &pool).drain(half..));
            Box::new(DecodeHalf::new(shards, shape, kernel, input, buffers))
        }
    }
}

/// Returns `k` coded shards in buffers of the pool, as a receiver that uses it would hold them.
fn coded(encoder: &Encoder, input: &Input, pool: &Pool) -> Vec<Shard> {
    let vectors = input.coefficients.chunks(input.k).take(input.k);
    vectors
        .map(|vector| {
            let mut payload = pool.take(input.fragment_bytes);
            encoder.write_range(vector, 0..input.fragment_bytes, &mut payload);
            let payload = Bytes::from_owner(payload);
            Shard::parse(encoder.shape(), Bytes::copy_from_slice(vector), payload)
                .expect("a sound shard")
        })
        .collect()
}

/// Encoding, one shard or several at once.
struct Encode {
    encoder: Encoder,
    coefficients: Vec<u8>,
    count: usize,
    buffers: Buffers,
    outs: Vec<Buffer>,
    /// The outputs of the last run, where they were made for it.
    fresh: Vec<Vec<u8>>,
}

impl Encode {
    fn new(encoder: Encoder, input: &Input, count: usize, buffers: Buffers, pool: &Pool) -> Self {
        let coefficients = input.coefficients[..count * input.k].to_vec();
        let outs = (0..count).map(|_| pool.take(input.fragment_bytes)).collect();
        Self { encoder, coefficients, count, buffers, outs, fresh: Vec::new() }
    }

    fn write(&self, outs: &mut [&mut [u8]]) {
        if let [out] = outs {
            let all = 0..out.len();
            return self.encoder.write_range(&self.coefficients, all, out);
        }
        self.encoder.write_batch(&self.coefficients, outs).expect("a sound batch");
    }
}

impl Run for Encode {
    fn run(&mut self) {
        if self.buffers == Buffers::Fresh {
            let bytes = self.encoder.shape().fragment_bytes() as usize;
            let mut fresh: Vec<Vec<u8>> = (0..self.count).map(|_| vec![0; bytes]).collect();
            let mut outs: Vec<&mut [u8]> = fresh.iter_mut().map(|out| &mut out[..]).collect();
            self.write(&mut outs);
            self.fresh = fresh;
            return;
        }
        let mut kept = std::mem::take(&mut self.outs);
        let mut outs: Vec<&mut [u8]> = kept.iter_mut().map(|out| &mut out[..]).collect();
        self.write(&mut outs);
        self.outs = kept;
    }

    fn check(&mut self) -> Result<(), String> {
        let k = usize::from(self.encoder.shape().fragments());
        let outs: Vec<&[u8]> = match self.buffers {
            Buffers::Reused => self.outs.iter().map(|out| &out[..]).collect(),
            Buffers::Fresh => self.fresh.iter().map(|out| &out[..]).collect(),
        };
        let sound = outs.len() == self.count
            && outs.iter().zip(self.coefficients.chunks(k)).all(|(out, vector)| {
                sampled(&self.encoder, vector).all(|(column, value)| out[column] == value)
            });
        if sound { Ok(()) } else { Err("a shard is not its combination".to_owned()) }
    }
}

/// Returns a few columns of the shard with these coefficients, by the definition of the field.
fn sampled(encoder: &Encoder, vector: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let bytes = encoder.shape().fragment_bytes() as usize;
    (0..bytes).step_by(bytes / 7 + 1).map(move |column| {
        let products = encoder.payload().chunks(bytes).zip(vector);
        let sum = products.fold(0, |sum, (f, &weight)| sum ^ gf256::mul(f[column], weight));
        (column, sum)
    })
}

/// Recoding one shard.
struct Recode {
    decoder: Decoder,
    encoder: Encoder,
    rng: SmallRng,
    buffers: Buffers,
    out: Buffer,
    /// The output of the last run, where it was made for it.
    fresh: Vec<u8>,
    coefficients: Bytes,
}

impl Run for Recode {
    fn run(&mut self) {
        let recipe = self.decoder.recipe(&mut self.rng).expect("shards are held");
        let all = 0..self.out.len();
        if self.buffers == Buffers::Fresh {
            let mut out = vec![0; all.len()];
            self.decoder.write_range(&recipe, all, &mut out);
            self.fresh = out;
        } else {
            self.decoder.write_range(&recipe, all, &mut self.out);
        }
        self.coefficients = recipe.coefficients().clone();
    }

    fn check(&mut self) -> Result<(), String> {
        let out = if self.buffers == Buffers::Fresh { &self.fresh[..] } else { &self.out[..] };
        let sound = sampled(&self.encoder, &self.coefficients).all(|(c, v)| out[c] == v);
        if sound { Ok(()) } else { Err("a shard is not its combination".to_owned()) }
    }
}

/// Decoding from coded shards alone.
struct Decode {
    shards: Vec<Shard>,
    incoming: Vec<Shard>,
    decoder: Decoder,
    kernel: Kernel,
    pool: Pool,
    buffers: Buffers,
    message: Vec<u8>,
    is_right: bool,
}

impl Decode {
    fn new(
        shards: Vec<Shard>,
        shape: Shape,
        kernel: Kernel,
        input: &Input,
        buffers: Buffers,
    ) -> Self {
        let idle_bytes_max = if buffers == Buffers::Fresh { 0 } else { IDLE_BYTES_MAX };
        Self {
            incoming: Vec::with_capacity(shards.len()),
            shards,
            decoder: Decoder::with_kernel(shape, kernel),
            kernel,
            pool: Pool::new(idle_bytes_max),
            buffers,
            message: input.message.clone(),
            is_right: false,
        }
    }
}

impl Run for Decode {
    /// Shards are handed over; the handles are made here.
    fn reset(&mut self) {
        self.incoming.clear();
        self.incoming.extend(self.shards.iter().cloned());
    }

    fn consumes(&self) -> bool {
        true
    }

    fn run(&mut self) {
        let shape = self.decoder.shape();
        match self.buffers {
            Buffers::Reused => self.decoder.clear(shape),
            Buffers::Fresh => self.decoder = Decoder::with_kernel(shape, self.kernel),
        }
        for shard in self.incoming.drain(..) {
            let _ = self.decoder.absorb(shard).expect("the same shape");
        }
        let decoded = self.decoder.decode(self.message.len() as u64, &self.pool);
        // Comparing all bytes belongs to the check.
        let probe = self.message.len() / 2;
        let message =
            decoded.expect("full rank").verify(|bytes| bytes[probe] == self.message[probe]);
        self.is_right = message.is_ok();
    }

    fn check(&mut self) -> Result<(), String> {
        self.reset();
        self.run();
        let decoded = self.decoder.decode(self.message.len() as u64, &self.pool);
        let whole = decoded.expect("full rank").verify(|bytes| bytes == self.message);
        if self.is_right && whole.is_ok() { Ok(()) } else { Err("another message".to_owned()) }
    }
}

/// Decoding where half of the fragments are in their place in the message already.
struct DecodeHalf {
    decode: Decode,
    /// The message, with the fragments that came as they are.
    payload: Vec<u8>,
}

impl DecodeHalf {
    fn new(
        shards: Vec<Shard>,
        shape: Shape,
        kernel: Kernel,
        input: &Input,
        buffers: Buffers,
    ) -> Self {
        let decode = Decode::new(shards, shape, kernel, input, buffers);
        let mut payload = input.message.clone();
        payload[input.k / 2 * input.fragment_bytes..].fill(0);
        Self { decode, payload }
    }
}

impl Run for DecodeHalf {
    fn reset(&mut self) {
        self.decode.reset();
    }

    fn consumes(&self) -> bool {
        true
    }

    fn run(&mut self) {
        let Self { decode, payload } = self;
        let shape = decode.decoder.shape();
        match decode.buffers {
            Buffers::Reused => decode.decoder.clear(shape),
            Buffers::Fresh => decode.decoder = Decoder::with_kernel(shape, decode.kernel),
        }
        for shard in decode.incoming.drain(..) {
            let _ = decode.decoder.absorb(shard).expect("the same shape");
        }
        if decode.buffers == Buffers::Fresh {
            // The fragments that came are copied to a new message.
            let length = decode.message.len() as u64;
            drop(decode.decoder.decode(length, &decode.pool).expect("full rank"));
        } else {
            decode.decoder.decode_missing(payload).expect("full rank");
        }
    }

    fn check(&mut self) -> Result<(), String> {
        let Self { decode, payload } = self;
        let right = if decode.buffers == Buffers::Fresh {
            let decoded = decode.decoder.decode(decode.message.len() as u64, &decode.pool);
            decoded.expect("full rank").verify(|bytes| bytes == decode.message).is_ok()
        } else {
            *payload == decode.message
        };
        if right { Ok(()) } else { Err("another message".to_owned()) }
    }
}
