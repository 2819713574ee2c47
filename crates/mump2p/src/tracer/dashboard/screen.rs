//! The terminal while the dashboard has it, and its state from before afterwards.

use std::io::{self, ErrorKind};

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, Frame};

use super::state::Key;
use crate::Error;

/// What writing to a terminal that was closed gives on Linux.
const EIO: i32 = 5;

/// The terminal: every key comes at once, and what was on it is put aside. Given back when dropped,
/// and by a hook when something panics.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> Result<Self, Error> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                // It may have been half done.
                let _gone = ratatui::try_restore();
                Err(Error::Failed(format!("the terminal cannot be used: {error}")))
            }
        }
    }

    /// Draws.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Error> {
        self.terminal.draw(draw).map(|_| ()).map_err(|error| lost(&error))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The hook did it already; doing it twice would write over what the panic said.
        if !std::thread::panicking() {
            let _gone = ratatui::try_restore();
        }
    }
}

/// The terminal cannot be read or written any more. That it was closed is no reason to complain.
pub(super) fn lost(error: &io::Error) -> Error {
    let is_closed = error.kind() == ErrorKind::BrokenPipe || error.raw_os_error() == Some(EIO);
    if is_closed {
        return Error::OutputClosed;
    }
    Error::Failed(format!("the terminal cannot be used any more: {error}"))
}

/// Returns what a key means.
pub(super) fn meaning(key: &KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let KeyCode::Char(character) = key.code else { return None };
    match (character, key.modifiers.contains(KeyModifiers::CONTROL)) {
        ('c', true) | ('q' | 'Q', _) => Some(Key::Quit),
        ('r' | 'R', false) => Some(Key::Reset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_and_ctrl_c_quit_r_resets_and_nothing_else_means_anything() {
        for (code, modifiers, expected) in [
            ('q', KeyModifiers::NONE, Some(Key::Quit)),
            ('c', KeyModifiers::CONTROL, Some(Key::Quit)),
            ('c', KeyModifiers::NONE, None),
            ('r', KeyModifiers::NONE, Some(Key::Reset)),
            ('r', KeyModifiers::CONTROL, None),
            ('x', KeyModifiers::NONE, None),
        ] {
            let key = KeyEvent::new(KeyCode::Char(code), modifiers);
            assert_eq!(meaning(&key), expected, "{key:?}");
            let released = KeyEvent { kind: KeyEventKind::Release, ..key };
            assert_eq!(meaning(&released), None);
        }
    }

    #[test]
    fn a_closed_terminal_is_no_failure() {
        assert!(matches!(lost(&io::Error::from_raw_os_error(EIO)), Error::OutputClosed));
        assert!(matches!(lost(&ErrorKind::BrokenPipe.into()), Error::OutputClosed));
        assert!(matches!(lost(&ErrorKind::PermissionDenied.into()), Error::Failed(_)));
    }
}
