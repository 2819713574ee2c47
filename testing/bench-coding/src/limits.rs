//! What this core can do at best: read, copy, multiply.

use std::hint::black_box;

use crate::work::Run;

/// Reads a message once, in order.
pub(crate) struct Read(Vec<u8>);

impl Read {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(vec![1; bytes])
    }
}

impl Run for Read {
    fn run(&mut self) {
        black_box(read(black_box(&self.0)));
    }

    fn check(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Copies a message into a kept buffer.
pub(crate) struct Copy {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Copy {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { from: vec![1; bytes], to: vec![0; bytes] }
    }
}

impl Run for Copy {
    fn run(&mut self) {
        self.to.copy_from_slice(black_box(&self.from));
        black_box(&mut self.to);
    }

    fn check(&mut self) -> Result<(), String> {
        if self.from == self.to { Ok(()) } else { Err("the copy differs".to_owned()) }
    }
}

/// Multiplications of independent registers, with nothing else to wait for.
pub(crate) struct Multiply(pub(crate) Multiplier);

/// The instruction that limits a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Multiplier {
    /// `vgf2p8mulb` of 64 bytes.
    Gfni512,
    /// `vgf2p8mulb` of 32 bytes.
    Gfni256,
    /// Two `vpshufb` of 32 bytes for 32 products.
    Shuffle256,
}

/// Multiplications of one run.
const MULTIPLICATIONS: u64 = 12 * 20_000;

impl Multiplier {
    /// Returns the instruction of the kernel of this name, if it is known here.
    pub(crate) fn of(kernel: &str) -> Option<Self> {
        match kernel {
            "avx512-gfni" => Some(Self::Gfni512),
            "avx2-gfni" => Some(Self::Gfni256),
            "avx2" => Some(Self::Shuffle256),
            _ => None,
        }
    }

    /// Returns how many bytes are multiplied in one run of [`Multiply`].
    pub(crate) const fn bytes(self) -> u64 {
        match self {
            Self::Gfni512 => MULTIPLICATIONS * 64,
            Self::Gfni256 => MULTIPLICATIONS * 32,
            Self::Shuffle256 => MULTIPLICATIONS * 16,
        }
    }
}

impl Run for Multiply {
    fn run(&mut self) {
        x86::multiply(self.0);
    }

    fn check(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Additions that wait for each other: one cycle each.
pub(crate) struct Cycles;

/// Cycles of one run.
pub(crate) const CYCLES: u64 = 8 * 20_000;

impl Run for Cycles {
    fn run(&mut self) {
        x86::cycles();
    }

    fn check(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Reads everything with the widest loads there are.
fn read(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx512f") {
        // SAFETY: the CPU has AVX-512F, the only thing that is asked for.
        return unsafe { x86::read(bytes) };
    }
    bytes.as_chunks().0.iter().fold(0, |sum, word| sum ^ u64::from_ne_bytes(*word))
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::{
        asm,
        x86_64::{
            _mm512_loadu_si512, _mm512_reduce_or_epi64, _mm512_setzero_si512, _mm512_xor_si512,
        },
    };

    use super::{CYCLES, MULTIPLICATIONS, Multiplier};

    #[target_feature(enable = "avx512f")]
    pub(super) fn read(bytes: &[u8]) -> u64 {
        let mut sums = [_mm512_setzero_si512(); 8];
        let start = bytes.as_ptr().addr().wrapping_neg() % 64;
        for lines in bytes[start..].as_chunks::<512>().0 {
            for (sum, line) in sums.iter_mut().zip(lines.as_chunks::<64>().0) {
                // SAFETY: `line` is 64 readable bytes, and the load asks for no alignment.
                let line = unsafe { _mm512_loadu_si512(line.as_ptr().cast()) };
                *sum = _mm512_xor_si512(*sum, line);
            }
        }
        let sum = sums.into_iter().reduce(|a, b| _mm512_xor_si512(a, b));
        _mm512_reduce_or_epi64(sum.unwrap_or_else(|| _mm512_setzero_si512())).cast_unsigned()
    }

    macro_rules! twelve {
        ($instruction:literal, $register:literal, $first:literal, $second:literal) => {
            // SAFETY: the registers written are named, memory is not touched, and the caller asks
            // for this only where the kernel of the same instruction was chosen.
            unsafe {
                asm!(
                    "2:",
                    concat!($instruction, " ", $register, "0, ", $first, "0", $second),
                    concat!($instruction, " ", $register, "1, ", $first, "1", $second),
                    concat!($instruction, " ", $register, "2, ", $first, "2", $second),
                    concat!($instruction, " ", $register, "3, ", $first, "3", $second),
                    concat!($instruction, " ", $register, "4, ", $first, "4", $second),
                    concat!($instruction, " ", $register, "5, ", $first, "5", $second),
                    concat!($instruction, " ", $register, "6, ", $first, "6", $second),
                    concat!($instruction, " ", $register, "7, ", $first, "7", $second),
                    concat!($instruction, " ", $register, "8, ", $first, "8", $second),
                    concat!($instruction, " ", $register, "9, ", $first, "9", $second),
                    concat!($instruction, " ", $register, "10, ", $first, "10", $second),
                    concat!($instruction, " ", $register, "11, ", $first, "11", $second),
                    "sub {rounds}, 1",
                    "jnz 2b",
                    rounds = inout(reg) MULTIPLICATIONS / 12 => _,
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                    out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                    out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                    out("xmm15") _,
                    options(nomem, nostack),
                );
            }
        };
    }

    pub(super) fn multiply(multiplier: Multiplier) {
        match multiplier {
            Multiplier::Gfni512 => twelve!("vgf2p8mulb", "zmm", "zmm", ", zmm15"),
            Multiplier::Gfni256 => twelve!("vgf2p8mulb", "ymm", "ymm", ", ymm15"),
            Multiplier::Shuffle256 => twelve!("vpshufb", "ymm", "ymm", ", ymm15"),
        }
    }

    pub(super) fn cycles() {
        // SAFETY: only the two registers are written, and memory is not touched.
        unsafe {
            asm!(
                "2:",
                "add {sum}, {one}", "add {sum}, {one}", "add {sum}, {one}", "add {sum}, {one}",
                "add {sum}, {one}", "add {sum}, {one}", "add {sum}, {one}", "add {sum}, {one}",
                "sub {rounds}, 1",
                "jnz 2b",
                sum = inout(reg) 0_u64 => _,
                one = in(reg) 1_u64,
                rounds = inout(reg) CYCLES / 8 => _,
                options(nomem, nostack),
            );
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod x86 {
    use super::Multiplier;

    /// Not reached: no kernel of this CPU has a multiplier that is known here.
    pub(super) fn multiply(_: Multiplier) {}

    /// How long a cycle takes is not known here.
    pub(super) fn cycles() {}
}
