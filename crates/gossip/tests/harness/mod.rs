//! Several states against each other over a small in-memory network with its own clock, through
//! the public contract only.
#![allow(dead_code, reason = "every test file uses another part of the harness")]
#![allow(missing_docs, unreachable_pub, reason = "a part of test binaries, not a library")]

pub mod cut;
pub mod network;
pub mod puppet;

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use gossip::{Config, Keys, Profile, PublisherId, State, Topic};
use sha2::{Digest, Sha256};

/// Signs by a keyed hash: whoever knows the name can sign for it, which is what hostile tests want.
pub struct TestKeys(pub u32);

impl TestKeys {
    pub fn publisher_of(name: u32) -> PublisherId {
        PublisherId::new(Bytes::copy_from_slice(&name.to_be_bytes())).expect("four bytes")
    }

    fn signature(publisher: &[u8], text: &[u8]) -> Bytes {
        let hash = Sha256::new().chain_update(b"key of ").chain_update(publisher);
        Bytes::copy_from_slice(&hash.chain_update(text).finalize())
    }
}

impl Keys for TestKeys {
    fn publisher(&self) -> PublisherId {
        Self::publisher_of(self.0)
    }

    fn public_key(&self) -> Option<Bytes> {
        None
    }

    fn sign(&self, text: &[u8]) -> Bytes {
        Self::signature(&self.0.to_be_bytes(), text)
    }

    fn verify(&self, publisher: &PublisherId, _: Option<&[u8]>, text: &[u8], sig: &[u8]) -> bool {
        Self::signature(publisher.as_bytes(), text) == sig
    }
}

/// Some instant to begin with; only differences matter.
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
pub fn start() -> Instant {
    Instant::now()
}

/// Settings of profile `documented`.
pub fn documented() -> Config {
    Config { profile: Profile::Documented, ..Config::default() }
}

/// Settings of each profile.
pub fn of_each_profile() -> [Config; 2] {
    Profile::ALL.map(|profile| Config { profile, ..Config::default() })
}

/// Settings of profile `adaptive`, for messages of any length.
pub fn adaptive() -> Config {
    Config { profile: Profile::Adaptive, message_bytes_max: 64 << 20, ..Config::default() }
}

/// A state named `name`, its first sequence number as given.
pub fn state_of(name: u32, config: Config, seed: u64, sequence: u64, now: Instant) -> State<u32> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes[8..12].copy_from_slice(&name.to_be_bytes());
    State::new(config, Arc::new(TestKeys(name)), bytes, sequence, now).expect("a sound config")
}

pub fn topic(name: &str) -> Topic {
    Topic::new(name).expect("a sound topic")
}

/// `bytes` bytes that differ with `seed`.
pub fn payload(seed: u64, bytes: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..bytes).map(|_| next()).collect()
}
