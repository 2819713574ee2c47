//! When to ask again who did not answer as hoped.

use std::time::Duration;

/// The first wait (the contract, section 2.2.5).
const WAIT_MIN: Duration = Duration::from_secs(2);

/// The longest wait (the contract, section 2.2.5).
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Waits that double from 2 s to 30 s, until something succeeds.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    last: Option<Duration>,
}

impl BackOff {
    /// Something failed; returns how long to wait before the next attempt.
    pub(super) fn failed(&mut self) -> Duration {
        let wait = self.last.map_or(WAIT_MIN, |last| (last * 2).min(WAIT_MAX));
        self.last = Some(wait);
        wait
    }

    /// The next failure is a first one again.
    pub(super) fn succeeded(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_2_s_to_30_s_and_begin_anew_after_a_success() {
        let mut back_off = BackOff::default();
        let waits = [(); 6].map(|()| back_off.failed().as_secs());
        assert_eq!(waits, [2, 4, 8, 16, 30, 30]);
        back_off.succeeded();
        assert_eq!(back_off.failed().as_secs(), 2);
    }
}
