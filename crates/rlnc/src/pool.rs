//! Buffers that are used again.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Buffers begin at a multiple of this in memory, the longest vector of any kernel.
const ALIGNMENT_BYTES: usize = 64;
/// Buffers at least as long begin at different places of a page: sources that all begin at the
/// same one would compete for the same lines of the first-level cache.
const STAGGERED_BYTES_MIN: usize = 4096;
/// How many places there are.
const STAGGERS: usize = 32;
/// The most buffers that wait for their next use.
const IDLE_BUFFERS_MAX: usize = 1024;

/// A store of buffers, so that coding in a steady state allocates nothing.
///
/// A fresh buffer of the size of a message costs as much as decoding it does at small `k`: the
/// system hands out its pages one by one, zeroed. Clones share the store.
///
/// ```
/// use rlnc::Pool;
///
/// let pool = Pool::new(1 << 20);
/// let first = pool.take(4_000).as_ptr();
/// assert_eq!(pool.take(3_900).as_ptr(), first);
/// assert_eq!((pool.stats().allocated, pool.stats().reused), (1, 1));
/// ```
#[derive(Clone)]
pub struct Pool(Arc<Mutex<Store>>);

/// What a pool did so far, and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Buffers that were taken and had to be allocated.
    pub allocated: u64,
    /// Buffers that were taken and had been used before.
    pub reused: u64,
    /// Buffers that came back and found no room.
    pub dropped: u64,
    /// The bytes of the buffers that wait for their next use.
    pub idle_bytes: usize,
}

struct Store {
    idle: Vec<Vec<u8>>,
    idle_bytes_max: usize,
    stats: PoolStats,
}

impl Pool {
    /// Returns an empty pool in which buffers of `idle_bytes_max` bytes together may wait.
    ///
    /// Buffers in use do not count. With 0, nothing is kept.
    pub fn new(idle_bytes_max: usize) -> Self {
        let idle = Vec::new();
        Self(Arc::new(Mutex::new(Store { idle, idle_bytes_max, stats: PoolStats::default() })))
    }

    /// Returns a buffer of this length. What stands in it is not defined.
    ///
    /// # Panics
    ///
    /// When there is no memory of that length, as for a [`Vec`].
    pub fn take(&self, bytes: usize) -> Buffer {
        let stagger_bytes =
            if bytes < STAGGERED_BYTES_MIN { 0 } else { STAGGERS * ALIGNMENT_BYTES };
        let needed_bytes = bytes.saturating_add(ALIGNMENT_BYTES + stagger_bytes);
        let (room, serial) = self.store().take(needed_bytes);
        let room = room.unwrap_or_else(|| vec![0; needed_bytes]);
        let aligned = room.as_ptr().addr().wrapping_neg() % ALIGNMENT_BYTES;
        let stagger = (serial as usize * ALIGNMENT_BYTES).checked_rem(stagger_bytes).unwrap_or(0);
        let start = aligned + stagger;
        Buffer { room, start, bytes, pool: self.clone() }
    }

    /// Returns what the pool did so far, and holds.
    pub fn stats(&self) -> PoolStats {
        self.store().stats
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // No code that can panic runs while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Returns the shortest idle buffer of at least `bytes` bytes unless it is more than an eighth
    /// longer, and how many were taken before. Whoever keeps a buffer keeps all of it, so a bound on
    /// messages would not bound memory if it could be much longer.
    fn take(&mut self, bytes: usize) -> (Option<Vec<u8>>, u64) {
        let serial = self.stats.allocated + self.stats.reused;
        let fitting = self.idle.iter().enumerate().filter(|(_, room)| room.len() >= bytes);
        let Some((index, room)) = fitting.min_by_key(|(_, room)| room.len()) else {
            self.stats.allocated += 1;
            return (None, serial);
        };
        if room.len() - bytes > bytes / 8 {
            self.stats.allocated += 1;
            return (None, serial);
        }
        self.stats.reused += 1;
        self.stats.idle_bytes -= room.len();
        (Some(self.idle.swap_remove(index)), serial)
    }

    /// Keeps a buffer for its next use, or returns it if there is no room.
    fn give(&mut self, room: Vec<u8>) -> Option<Vec<u8>> {
        let fits = self.stats.idle_bytes + room.len() <= self.idle_bytes_max;
        if !fits || self.idle.len() == IDLE_BUFFERS_MAX {
            self.stats.dropped += 1;
            return Some(room);
        }
        self.stats.idle_bytes += room.len();
        self.idle.push(room);
        None
    }
}

/// A buffer of a [`Pool`], to which it goes back when it is dropped.
pub struct Buffer {
    room: Vec<u8>,
    start: usize,
    bytes: usize,
    pool: Pool,
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room[self.start..self.start + self.bytes]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.room[self.start..self.start + self.bytes]
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let room = std::mem::take(&mut self.room);
        let no_room = self.pool.store().give(room);
        // Freed here, after the lock.
        drop(no_room);
    }
}

impl fmt::Debug for Buffer {
    /// Writes the length only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Buffer({} bytes)", self.bytes)
    }
}

impl fmt::Debug for Pool {
    /// Writes what it did and holds.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Pool").field(&self.stats()).finish()
    }
}
