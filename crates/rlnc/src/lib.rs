//! Stand-in until the real crate is there.
#![allow(missing_docs, clippy::all, clippy::pedantic)]
use bytes::Bytes;
use std::ops::Range;
pub const FRAGMENT_BYTES_MAX: u32 = 16 << 20;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    k: u16,
    f: u32,
}
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    #[error("bad")]
    Bad,
}
impl Shape {
    pub fn new(k: u16, f: u32) -> Result<Self, ShapeError> {
        if k == 0 || k > 256 || f == 0 || f > FRAGMENT_BYTES_MAX {
            return Err(ShapeError::Bad);
        }
        Ok(Self { k, f })
    }
    pub fn for_payload(p: u64, k: u16) -> Result<Self, ShapeError> {
        if k == 0 || p == 0 {
            return Err(ShapeError::Bad);
        }
        Self::new(k, u32::try_from(p.div_ceil(k as u64)).map_err(|_| ShapeError::Bad)?)
    }
    pub fn fragments(&self) -> u16 {
        self.k
    }
    pub fn fragment_bytes(&self) -> u32 {
        self.f
    }
    pub fn generation_bytes(&self) -> u64 {
        self.k as u64 * self.f as u64
    }
}
fn mul(a: u8, b: u8) -> u8 {
    let (mut a, mut b, mut r) = (a, b, 0u8);
    while b > 0 {
        if b & 1 == 1 {
            r ^= a
        }
        let c = a & 0x80 != 0;
        a <<= 1;
        if c {
            a ^= 0x1b
        }
        b >>= 1
    }
    r
}
fn inv(a: u8) -> u8 {
    (1..=255).find(|&b| mul(a, b) == 1).unwrap()
}
fn axpy(t: &mut [u8], c: u8, s: &[u8]) {
    if c == 0 {
        return;
    }
    let mut tab = [0u8; 256];
    for i in 0..256 {
        tab[i] = mul(c, i as u8)
    }
    for (t, s) in t.iter_mut().zip(s) {
        *t ^= tab[*s as usize]
    }
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    c: Bytes,
    p: Bytes,
}
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    #[error("len")]
    Length,
    #[error("zero")]
    ZeroCoefficients,
}
impl Shard {
    pub fn parse(s: Shape, c: Bytes, p: Bytes) -> Result<Self, ShardError> {
        if c.len() != s.k as usize || p.len() != s.f as usize {
            return Err(ShardError::Length);
        }
        if c.iter().all(|&x| x == 0) {
            return Err(ShardError::ZeroCoefficients);
        }
        Ok(Self { c, p })
    }
    pub fn coefficients(&self) -> &Bytes {
        &self.c
    }
    pub fn payload(&self) -> &Bytes {
        &self.p
    }
}
#[derive(Clone, Debug)]
pub struct Encoder {
    s: Shape,
    p: Bytes,
}
impl Encoder {
    pub fn new(s: Shape, p: Bytes) -> Result<Self, ShapeError> {
        if p.len() as u64 > s.generation_bytes() {
            return Err(ShapeError::Bad);
        }
        Ok(Self { s, p })
    }
    pub fn write_range(&self, c: &[u8], r: Range<usize>, out: &mut [u8]) {
        out.fill(0);
        let f = self.s.f as usize;
        for (i, &c) in c.iter().enumerate() {
            let a = (i * f + r.start).min(self.p.len());
            let b = (i * f + r.end).min(self.p.len());
            axpy(&mut out[..b - a], c, &self.p[a..b]);
        }
    }
}
#[must_use]
pub enum Absorbed {
    Innovative,
    Redundant,
}
#[derive(Debug, Clone)]
pub struct Decoder {
    s: Shape,
    rows: Vec<(usize, Vec<u8>, Vec<u8>)>,
    held: Vec<Shard>,
}
#[derive(Debug, Clone)]
pub struct Recipe {
    w: Vec<u8>,
    c: Vec<u8>,
}
impl Recipe {
    pub fn coefficients(&self) -> &[u8] {
        &self.c
    }
}
#[derive(Debug, Clone)]
pub struct DecodeTask {
    s: Shape,
    inv: Vec<Vec<u8>>,
    held: Vec<Shard>,
}
pub struct Decoded(Vec<u8>);
pub struct Message(Bytes);
#[derive(Debug)]
pub struct Polluted;
impl Decoded {
    pub fn verify(self, f: impl FnOnce(&[u8]) -> bool) -> Result<Message, Polluted> {
        if f(&self.0) { Ok(Message(self.0.into())) } else { Err(Polluted) }
    }
}
impl Message {
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}
impl DecodeTask {
    pub fn run(self, n: u64) -> Decoded {
        let f = self.s.f as usize;
        let mut out = vec![0; f * self.s.k as usize];
        for (i, w) in self.inv.iter().enumerate() {
            for (j, &c) in w.iter().enumerate() {
                axpy(&mut out[i * f..(i + 1) * f], c, &self.held[j].p)
            }
        }
        out.truncate(n as usize);
        Decoded(out)
    }
}
impl Decoder {
    pub fn new(s: Shape) -> Self {
        Self { s, rows: vec![], held: vec![] }
    }
    pub fn rank(&self) -> u16 {
        self.held.len() as u16
    }
    pub fn is_full(&self) -> bool {
        self.held.len() == self.s.k as usize
    }
    pub fn held(&self) -> &[Shard] {
        &self.held
    }
    pub fn absorb(&mut self, sh: Shard) -> Absorbed {
        let k = self.s.k as usize;
        let mut c = sh.c.to_vec();
        let mut w = vec![0u8; k];
        if self.held.len() < k {
            w[self.held.len()] = 1
        }
        for (p, rc, rw) in &self.rows {
            let x = c[*p];
            if x != 0 {
                axpy(&mut c, x, rc);
                axpy(&mut w, x, rw)
            }
        }
        let Some(p) = c.iter().position(|&x| x != 0) else { return Absorbed::Redundant };
        let i = inv(c[p]);
        for x in c.iter_mut().chain(w.iter_mut()) {
            *x = mul(*x, i)
        }
        for (_, rc, rw) in &mut self.rows {
            let x = rc[p];
            if x != 0 {
                axpy(rc, x, &c);
                axpy(rw, x, &w)
            }
        }
        self.rows.push((p, c, w));
        self.held.push(sh);
        Absorbed::Innovative
    }
    pub fn task(&self) -> Option<DecodeTask> {
        if !self.is_full() {
            return None;
        }
        let mut r = self.rows.clone();
        r.sort_by_key(|x| x.0);
        Some(DecodeTask {
            s: self.s,
            inv: r.into_iter().map(|x| x.2).collect(),
            held: self.held.clone(),
        })
    }
    pub fn recipe(&self, rng: &mut impl rand::Rng) -> Option<Recipe> {
        if self.held.is_empty() {
            return None;
        }
        let mut w = vec![0; self.held.len()];
        rng.fill_bytes(&mut w);
        if w.iter().all(|&x| x == 0) {
            w[0] = 1
        }
        let mut c = vec![0; self.s.k as usize];
        for (x, h) in w.iter().zip(&self.held) {
            axpy(&mut c, *x, &h.c)
        }
        Some(Recipe { w, c })
    }
    pub fn write_range(&self, r: &Recipe, g: Range<usize>, out: &mut [u8]) {
        out.fill(0);
        for (x, h) in r.w.iter().zip(&self.held) {
            axpy(out, *x, &h.p[g.clone()])
        }
    }
}
pub struct CoefficientSource([u8; 32]);
impl CoefficientSource {
    pub fn new(s: [u8; 32]) -> Self {
        Self(s)
    }
    pub fn coefficients(&self, s: Shape, i: u64) -> Vec<u8> {
        use rand::{Rng, SeedableRng};
        let mut r = rand_chacha::ChaCha12Rng::from_seed(self.0);
        r.set_stream(i);
        let mut v = vec![0; s.k as usize];
        r.fill_bytes(&mut v);
        v
    }
}
