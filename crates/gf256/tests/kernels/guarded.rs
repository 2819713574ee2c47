//! Slices between bytes that must not change.

/// Bytes on each side of a target that no kernel may touch.
const GUARD_BYTES: usize = 64;
const GUARD: u8 = 0xA5;
/// Shifts count from a multiple of this.
const ALIGNMENT_BYTES: usize = 64;

/// A slice between guards, shifted by so many bytes from an aligned place.
pub(crate) struct Guarded {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Guarded {
    pub(crate) fn new(inside: &[u8], shift: usize) -> Self {
        let room = GUARD_BYTES + ALIGNMENT_BYTES + shift + inside.len() + GUARD_BYTES;
        let mut bytes = vec![GUARD; room];
        let aligned = (bytes.as_ptr().addr() + GUARD_BYTES).next_multiple_of(ALIGNMENT_BYTES);
        let start = aligned - bytes.as_ptr().addr() + shift;
        bytes[start..start + inside.len()].copy_from_slice(inside);
        Self { bytes, start, length: inside.len() }
    }

    pub(crate) fn inside(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }

    /// Panics, saying `what`, unless the slice is as expected and the guards are as they were.
    pub(crate) fn check(mut self, expected: &[u8], what: impl Fn() -> String) {
        assert!(self.inside() == expected, "{}: {:?}, not {expected:?}", what(), self.inside());
        let (before, rest) = self.bytes.split_at(self.start);
        let whole = before.iter().chain(&rest[self.length..]).all(|&byte| byte == GUARD);
        assert!(whole, "{}: a byte outside the target was written", what());
    }
}

/// Bytes in which every value occurs once there is room for it, different for each `salt`.
pub(crate) fn bytes(length: usize, salt: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 167 + index / 256 * 31 + salt * 89 + 1) as u8).collect()
}
