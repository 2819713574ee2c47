//! Text from others, made fit for a terminal.

use std::borrow::Cow;

/// Stands for a character that is not shown, and for what was cut.
const REPLACEMENT: char = '\u{fffd}';

/// Returns at most `chars_max` characters of `text` that a terminal only shows.
///
/// What comes from the network may hold escape sequences, which move the cursor or set titles, and
/// marks that turn the direction of writing: each such character is replaced. Longer text ends with
/// an ellipsis.
pub(crate) fn plain(text: &str, chars_max: usize) -> String {
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(chars_max).map(shown).collect();
    if chars.next().is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// Returns text of many lines, of which a terminal only shows what is in it. Ends of lines and tabs
/// stay.
pub(crate) fn plain_lines(text: &str) -> Cow<'_, str> {
    let kept = |character| matches!(character, '\n' | '\t') || shown(character) == character;
    if text.chars().all(kept) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|character| if kept(character) { character } else { REPLACEMENT }).collect()
}

fn shown(character: char) -> char {
    // Control characters are C0, DEL and C1: U+009B alone begins a sequence in some terminals.
    if character.is_control() || turns_direction(character) { REPLACEMENT } else { character }
}

/// Line and paragraph separators, and marks of the bidirectional algorithm.
fn turns_direction(character: char) -> bool {
    matches!(
        character,
        '\u{061c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_upon_is_replaced_and_what_it_shows_is_kept() {
        assert_eq!(plain("Germany, Köln ✓ 東京", 100), "Germany, Köln ✓ 東京");
        assert_eq!(plain("\u{1b}]0;owned\u{7}", 100), "\u{fffd}]0;owned\u{fffd}");
        assert_eq!(
            plain("a\nb\r\tc\u{7f}\u{9b}2J", 100),
            "a\u{fffd}b\u{fffd}\u{fffd}c\u{fffd}\u{fffd}2J"
        );
        assert_eq!(plain("abc\u{202e}def\u{2066}", 100), "abc\u{fffd}def\u{fffd}");
    }

    #[test]
    fn lines_and_tabs_stay_where_text_has_many_lines() {
        assert_eq!(plain_lines("✅ a\n\tb ⚠️"), "✅ a\n\tb ⚠️");
        assert_eq!(plain_lines("a\r\n\u{1b}[2J\u{9b}b"), "a\u{fffd}\n\u{fffd}[2J\u{fffd}b");
    }

    #[test]
    fn long_text_is_cut_by_characters_and_says_so() {
        assert_eq!(plain("äöü", 3), "äöü");
        assert_eq!(plain("äöüß", 3), "äö…");
        assert_eq!(plain("äöüß", 0), "…");
    }
}
