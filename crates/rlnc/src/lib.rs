//! Random linear network coding of one generation: encode, recode, decode.
//!
//! A generation is cut into `k` equally long *fragments*. A *shard* is a linear combination of
//! them over GF(2^8), together with its *coefficient vector*, the `k` weights that made it. Any
//! `k` linearly independent shards give the fragments back, and a combination of shards is a
//! shard again, so a node can *recode* without having decoded.
//!
//! * [`Generations`] cuts a message, and [`Shape`] says how each part of it is cut.
//! * [`Encoder`] makes shards from the payload.
//! * [`Decoder`] collects [`Shard`]s, makes [`Recipe`]s for new ones, and decodes when it has
//!   enough.
//! * [`Decoded`] bytes become a [`Message`] only by [`Decoded::verify`]; their buffers come from a
//!   [`Pool`] and go back to it.
//!
//! The crate knows nothing of peers, topics, time or wire formats, and it draws no randomness of
//! its own.
//!
//! ```
//! use rand::SeedableRng;
//! use rand_chacha::ChaCha12Rng;
//! use rlnc::{CoefficientSource, Decoder, Encoder, Pool, Shape, Shard};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let payload = b"the message that everybody wants";
//! let shape = Shape::for_payload(payload.len() as u64, 4)?;
//! let encoder = Encoder::new(shape, payload.as_slice().into())?;
//! let source = CoefficientSource::new([7; 32]);
//!
//! // A relay takes three shards of four and passes combinations of them on.
//! let mut relay = Decoder::new(shape);
//! for index in 0..3 {
//!     let absorbed = relay.absorb(encoder.shard(source.coefficients(shape, index).into())?)?;
//!     assert!(absorbed.is_innovative());
//! }
//! let mut rng = ChaCha12Rng::from_seed([1; 32]);
//! let mut receiver = Decoder::new(shape);
//! while receiver.rank() < 3 {
//!     let recipe = relay.recipe(&mut rng).ok_or("the relay holds shards")?;
//!     let mut bytes = vec![0; shape.fragment_bytes() as usize];
//!     relay.write_range(&recipe, 0..bytes.len(), &mut bytes);
//!     let shard = Shard::parse(shape, recipe.coefficients().clone(), bytes.into())?;
//!     let _ = receiver.absorb(shard)?;
//! }
//!
//! // The fourth comes from the publisher.
//! let mut index = 3;
//! while !receiver.is_full() {
//!     let _ = receiver.absorb(encoder.shard(source.coefficients(shape, index).into())?)?;
//!     index += 1;
//! }
//! let decoded = receiver.decode(payload.len() as u64, &Pool::new(1 << 20))?;
//! let message = decoded.verify(|bytes| bytes == payload)?;
//! assert_eq!(message.into_bytes().as_ref(), payload);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod aligned;
mod coefficients;
mod columns;
mod decoded;
mod decoder;
mod elimination;
mod encoder;
mod generations;
mod pool;
mod recipe;
mod recoder;
mod scratch;
mod shape;
mod shard;

pub use coefficients::CoefficientSource;
pub use decoded::{Decoded, Message, Polluted};
pub use decoder::{Absorbed, Decoder, NotFull, OtherShape};
pub use encoder::{BATCH_SHARDS_MAX, BatchError, Encoder, EncoderError};
pub use generations::{Generations, GenerationsError, MESSAGE_BYTES_MAX};
pub use pool::{Buffer, Pool, PoolStats};
pub use recipe::Recipe;
pub use shape::{FRAGMENT_BYTES_MAX, FRAGMENTS_MAX, Shape, ShapeError};
pub use shard::{Shard, ShardError};
