//! Times in UTC as Go's package `time` writes them.

use jiff::Timestamp;

/// What a layout may hold, longer texts before those they begin with, and what jiff calls it.
const PARTS: &[(&str, &str)] = &[
    ("2006", "%Y"),
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("MST", "UTC"),
    ("Z07:00", "Z"),
    ("Z0700", "Z"),
    ("-07:00", "+00:00"),
    ("-0700", "+0000"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("_2", "%e"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
];

/// How a time is written without a layout.
const PLAIN: &str = "%Y-%m-%d %H:%M:%S%.f +0000 UTC";

/// Writes a time as Go's `String` does.
pub(crate) fn written(time: Timestamp) -> String {
    time.strftime(PLAIN).to_string()
}

/// Reads what [`written`] writes.
pub(crate) fn read(text: &str) -> Option<Timestamp> {
    let time = jiff::civil::DateTime::strptime(PLAIN, text).ok()?;
    time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Writes a time by a layout of Go, as its `Format` does.
pub(crate) fn format(time: Timestamp, layout: &str) -> String {
    let mut text = String::new();
    let mut rest = layout;
    'parts: while let Some(first) = rest.chars().next() {
        if let Some((digits, is_trimmed)) = fraction(rest) {
            text.push_str(&fraction_text(time, digits, is_trimmed));
            rest = &rest[1 + digits..];
            continue;
        }
        for (part, meaning) in PARTS {
            if let Some(after) = rest.strip_prefix(part) {
                text.push_str(&time.strftime(meaning).to_string());
                rest = after;
                continue 'parts;
            }
        }
        text.push(first);
        rest = &rest[first.len_utf8()..];
    }
    text
}

/// Returns how many digits a fraction of a second has (`.000`, or `.999` without zeros at its end).
fn fraction(layout: &str) -> Option<(usize, bool)> {
    let digits = layout.strip_prefix(['.', ','])?;
    let first = digits.chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let count = digits.chars().take_while(|digit| *digit == first).count();
    let is_last = !digits[count..].starts_with(|next: char| next.is_ascii_digit());
    is_last.then_some((count, first == '9'))
}

fn fraction_text(time: Timestamp, digits: usize, is_trimmed: bool) -> String {
    let nanoseconds = format!("{:09}", time.subsec_nanosecond().unsigned_abs());
    let kept = &nanoseconds[..digits.min(9)];
    let kept = if is_trimmed { kept.trim_end_matches('0') } else { kept };
    if kept.is_empty() { String::new() } else { format!(".{kept}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_by_the_layouts_of_go() {
        let time: Timestamp = "2026-03-05T14:07:09.1204Z".parse().expect("a time");
        for (layout, text) in [
            ("2006-01-02T15:04:05Z07:00", "2026-03-05T14:07:09Z"),
            ("2006-01-02T15:04:05.999999999Z07:00", "2026-03-05T14:07:09.1204Z"),
            ("2006-01-02 15:04:05.000", "2026-03-05 14:07:09.120"),
            ("Mon, 02 Jan 2006 15:04:05 MST", "Thu, 05 Mar 2026 14:07:09 UTC"),
            ("Monday, January 2, 3:04PM", "Thursday, March 5, 2:07PM"),
            ("15:04:05 -0700", "14:07:09 +0000"),
            ("é %Y", "é %Y"),
            ("", ""),
        ] {
            assert_eq!(format(time, layout), text, "{layout}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for time in ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000001Z"] {
            let time: Timestamp = time.parse().expect("a time");
            assert_eq!(read(&written(time)), Some(time));
        }
        assert_eq!(read("now"), None);
    }
}
