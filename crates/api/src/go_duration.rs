//! Durations as Go programs write and read them: in settings, flags and queries.

use std::time::Duration;

/// Returns a duration as Go prints it: `72.042µs`, `1.5s`, `1m30s`, `0s`.
pub fn written(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(nanos, 3)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(nanos, 6)),
        _ => {
            let seconds = duration.as_secs();
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = u128::from(seconds % 60) * 1_000_000_000 + nanos % 1_000_000_000;
            let rest = decimal(rest, 9);
            match (hours, minutes) {
                (0, 0) => format!("{rest}s"),
                (0, minutes) => format!("{minutes}m{rest}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
            }
        }
    }
}

/// Returns `value` / 10^`digits` without trailing zeros.
fn decimal(value: u128, digits: usize) -> String {
    let unit = 10_u128.pow(digits as u32);
    let fraction = format!("{:0digits$}", value % unit);
    let fraction = fraction.trim_end_matches('0');
    let whole = value / unit;
    if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") }
}

/// Reads a duration in Go's syntax; a negative one is 0, since nothing can wait for it. `None` when
/// it is no duration: a number needs a unit, and only 0 may stand without.
pub fn parse(text: &str) -> Option<Duration> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = after.split_at(unit_end.unwrap_or(after.len()));
        let scale = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * scale;
        rest = after;
    }
    if negative { Some(Duration::ZERO) } else { Duration::try_from_secs_f64(seconds).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (999, "999ns"),
            (72_042, "72.042µs"),
            (1_000_000, "1ms"),
            (1_500_000, "1.5ms"),
            (2_000_000_000, "2s"),
            (90_000_000_000, "1m30s"),
            (61_500_000_000, "1m1.5s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(written(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", Some(0)),
            ("500ms", Some(500)),
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1_500)),
            ("+2s", Some(2_000)),
            (".5s", Some(500)),
            ("-1s", Some(0)),
            ("", None),
            ("5", None),
            ("s", None),
            ("1d", None),
            ("1s2", None),
            ("-", None),
        ] {
            let expected = millis.map(Duration::from_millis);
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
