//! What several runs say together: the median over seeds, of values and of ratios run by run.

use sim::record::RunRecord;

use crate::runner::{Done, Group};

/// A protocol in a scenario, median over seeds.
pub(crate) struct Row {
    pub(crate) protocol: String,
    /// p50, p90, p95, p99 and the last, in milliseconds; infinite when some had nothing.
    pub(crate) times_ms: [f64; 5],
    /// p99 over the bound.
    pub(crate) to_bound: f64,
    /// How many times faster at p99 than `gossipsub` and than `documented`, if those ran.
    pub(crate) faster: [Option<f64>; 2],
    /// The least over seeds.
    pub(crate) delivered: f64,
    pub(crate) received: [f64; 2],
    pub(crate) publisher_egress: f64,
    pub(crate) upload: [f64; 2],
    pub(crate) cpu_ms: f64,
    /// The sum over seeds, and the honest ones of them.
    pub(crate) convicted: [u32; 2],
}

impl Row {
    pub(crate) fn of(group: &Group, protocol: &str) -> Self {
        let runs = || group.of(protocol).map(|run| &run.record);
        let mid = |value: fn(&RunRecord) -> f64| median(runs().map(value));
        Self {
            protocol: protocol.to_owned(),
            times_ms: [
                mid(|run| infinite(run.p50_ms)),
                mid(|run| infinite(run.p90_ms)),
                mid(|run| infinite(run.p95_ms)),
                mid(|run| infinite(run.p99_ms)),
                mid(|run| infinite(run.max_ms)),
            ],
            to_bound: mid(|run| infinite(run.p99_ms) / run.bound_ms),
            faster: ["gossipsub", "documented"].map(|other| faster(group, protocol, other)),
            delivered: runs().map(|run| run.delivered).fold(1.0, f64::min),
            received: [mid(|run| run.bytes_received_median), mid(|run| run.bytes_received_p99)],
            publisher_egress: mid(|run| run.publisher_egress),
            upload: [mid(|run| run.upload_50mbps_median), mid(|run| run.upload_50mbps_p99)],
            cpu_ms: mid(|run| run.cpu_ms),
            convicted: [
                runs().map(|run| run.convicted).sum(),
                runs().map(|run| run.honest_convicted).sum(),
            ],
        }
    }
}

/// Returns how many times faster at p99 `protocol` is than `other`, seed by seed, the median.
pub(crate) fn faster(group: &Group, protocol: &str, other: &str) -> Option<f64> {
    if protocol == other {
        return None;
    }
    let theirs = |seed: u64| group.of(other).find(|run| run.record.seed == seed);
    let ratios = group.of(protocol).filter_map(|run| {
        let theirs = theirs(run.record.seed)?;
        let (ours, theirs) = (infinite(run.record.p99_ms), infinite(theirs.record.p99_ms));
        (ours.is_finite() || theirs.is_finite()).then(|| theirs / ours)
    });
    let ratios: Vec<f64> = ratios.collect();
    (!ratios.is_empty()).then(|| median(ratios.into_iter()))
}

/// Returns the kinds of bytes received, the mean over seeds.
pub(crate) fn kinds(group: &Group, protocol: &str) -> [f64; 7] {
    let runs: Vec<&Done> = group.of(protocol).collect();
    let mut sums = [0.0; 7];
    for run in &runs {
        for (sum, value) in sums.iter_mut().zip(run.kinds.values()) {
            *sum += value / runs.len() as f64;
        }
    }
    sums
}

/// Returns a time, infinite when there is none.
pub(crate) fn infinite(time_ms: Option<f64>) -> f64 {
    time_ms.unwrap_or(f64::INFINITY)
}

/// Returns the median, between the two in the middle where there are two; NaN of nothing.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle_and_infinite_values_at_the_end() {
        let cases = [
            (vec![3.0, 1.0, 2.0], 2.0),
            (vec![4.0, 1.0, 3.0, 2.0], 2.5),
            (vec![f64::INFINITY, 1.0, 2.0], 2.0),
        ];
        for (values, expected) in cases {
            let median = median(values.iter().copied());
            assert!((median - expected).abs() < 1e-9, "{values:?}: {median}");
        }
        assert!(median(std::iter::empty()).is_nan());
    }
}
