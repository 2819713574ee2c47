//! When messages came, in a few numbers.

use std::time::Duration;

use sim::percentile::percentile;

/// When messages came since they were published; a time is none if too many never came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    /// The first node, in the median over the messages.
    pub(crate) first: Option<Duration>,
    pub(crate) p50: Option<Duration>,
    pub(crate) p90: Option<Duration>,
    pub(crate) p99: Option<Duration>,
    pub(crate) max: Option<Duration>,
    /// Pairs of a message and a node.
    pub(crate) pairs: usize,
    /// Those of them in which the message did not come.
    pub(crate) missing: usize,
}

impl Spread {
    /// Takes the times of each message, one for each node but the publisher.
    pub(crate) fn of(messages: &[Vec<Option<Duration>>]) -> Self {
        let late = |time: &Option<Duration>| time.unwrap_or(Duration::MAX);
        let mut all: Vec<Duration> = messages.iter().flatten().map(late).collect();
        let mut firsts: Vec<Duration> =
            messages.iter().filter_map(|times| times.iter().map(late).min()).collect();
        let at = |times: &mut [Duration], share| {
            percentile(times, share).filter(|&time| time != Duration::MAX)
        };
        Self {
            first: at(&mut firsts, 0.5),
            p50: at(&mut all, 0.5),
            p90: at(&mut all, 0.9),
            p99: at(&mut all, 0.99),
            max: at(&mut all, 1.0),
            pairs: all.len(),
            missing: all.iter().filter(|&&time| time == Duration::MAX).count(),
        }
    }

    /// Returns the median of each time; of missing pairs, too.
    pub(crate) fn median(all: &[Self]) -> Self {
        let mid = |time: fn(&Self) -> Option<Duration>| {
            let mut times: Vec<Duration> =
                all.iter().map(|spread| time(spread).unwrap_or(Duration::MAX)).collect();
            percentile(&mut times, 0.5).filter(|&time| time != Duration::MAX)
        };
        let count = |count: fn(&Self) -> usize| {
            let mut counts: Vec<usize> = all.iter().map(count).collect();
            percentile(&mut counts, 0.5).unwrap_or_default()
        };
        Self {
            first: mid(|spread| spread.first),
            p50: mid(|spread| spread.p50),
            p90: mid(|spread| spread.p90),
            p99: mid(|spread| spread.p99),
            max: mid(|spread| spread.max),
            pairs: count(|spread| spread.pairs),
            missing: count(|spread| spread.missing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "beside times of what never came")]
    fn ms(time: u64) -> Option<Duration> {
        Some(Duration::from_millis(time))
    }

    #[test]
    fn percentiles_are_over_all_pairs_and_the_first_is_the_median_of_the_messages() {
        let spread = Spread::of(&[
            vec![ms(30), ms(10), ms(20)],
            vec![ms(40), ms(50), ms(60)],
            vec![ms(15), ms(70), ms(80)],
        ]);
        assert_eq!((spread.first, spread.p50, spread.max), (ms(15), ms(40), ms(80)));
        assert_eq!((spread.pairs, spread.missing), (9, 0));
    }

    #[test]
    fn what_never_came_is_later_than_all_that_came() {
        let spread = Spread::of(&[vec![ms(10), None, ms(20), ms(30)]]);
        assert_eq!((spread.p50, spread.p99, spread.missing), (ms(20), None, 1));
        let nothing = Spread::of(&[]);
        assert_eq!((nothing.first, nothing.pairs), (None, 0));
    }

    #[test]
    fn the_median_of_spreads_is_taken_time_by_time() {
        let of = |time| Spread { p50: ms(time), p99: ms(100 - time), ..Spread::default() };
        let median = Spread::median(&[of(1), of(3), of(2)]);
        assert_eq!((median.p50, median.p99), (ms(2), ms(98)));
    }
}
