//! What was printed beside what the page says is printed.

/// Stands for any characters of a line, none included.
const ANYTHING: char = '…';

/// Looks for the lines `expected`, in this order and others between them, in `printed`.
///
/// Returns how many lines of `printed` it took.
///
/// # Errors
///
/// The first line that was not found.
pub fn find<'a>(expected: &'a [String], printed: &[String]) -> Result<usize, &'a str> {
    let mut at = 0;
    for line in expected {
        let here = printed[at..].iter().position(|printed| matches(line, &plain(printed)));
        at += here.ok_or(line.as_str())? + 1;
    }
    Ok(at)
}

/// Whether `line` is what `pattern` says.
fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.trim_end().split(ANYTHING);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.trim_end().strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// The line without colours and carriage returns.
fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            // A control sequence ends with a letter.
            '\u{1b}' => {
                let _ = characters.find(char::is_ascii_alphabetic);
            }
            '\r' => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_line_without_an_ellipsis_matches_itself_only() {
        assert!(matches("a b", "a b"));
        assert!(matches("a b  ", "a b"));
        assert!(!matches("a b", "a b c"));
        assert!(!matches("a b", "x a b"));
        assert!(matches("", ""));
        assert!(!matches("", "x"));
    }

    #[test]
    fn an_ellipsis_stands_for_anything_in_its_place() {
        assert!(matches("a … c", "a b c"));
        assert!(matches("a…c", "ac"));
        assert!(matches("…", "whatever"));
        assert!(matches("[1] [… 5] …", "[1] [17 5] hello"));
        assert!(!matches("[1] [… 5] …", "[1] [17 6] hello"));
        assert!(!matches("… b", "b"));
        assert!(!matches("ab…ba", "aba"));
    }

    #[test]
    fn lines_are_found_in_order_with_others_between() {
        let printed = lines(&["one", "\u{1b}[32mtwo\u{1b}[0m", "three"]);
        assert_eq!(find(&lines(&["one", "three"]), &printed), Ok(3));
        assert_eq!(find(&lines(&["two"]), &printed), Ok(2));
        assert_eq!(find(&lines(&["three", "one"]), &printed), Err("one"));
        assert_eq!(find(&[], &printed), Ok(0));
    }
}
