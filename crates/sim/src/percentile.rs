//! Percentiles by nearest rank: always a value that occurred.

/// Returns the smallest value that at least `share` of all do not exceed; `None` if there is none.
/// `share` is above 0 and at most 1.
pub fn percentile<T: Copy + Ord>(values: &mut [T], share: f64) -> Option<T> {
    values.sort_unstable();
    let rank = (share * values.len() as f64 - 1e-9).ceil().max(1.0) as usize;
    values.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_smallest_value_that_enough_do_not_exceed() {
        let mut values: Vec<u32> = (1..=1000).rev().collect();
        assert_eq!(percentile(&mut values, 0.5), Some(500));
        assert_eq!(percentile(&mut values, 0.99), Some(990));
        assert_eq!(percentile(&mut values, 1.0), Some(1000));
        assert_eq!(percentile(&mut [7, 3, 5], 0.99), Some(7));
        assert_eq!(percentile(&mut [7, 3, 5], 0.01), Some(3));
        assert_eq!(percentile::<u8>(&mut [], 0.5), None);
    }
}
