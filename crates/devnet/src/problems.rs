//! The newest warnings and errors of everything in this process, for the live view and the page.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that are kept.
const LINES_MAX: usize = 5;

/// The longest line in characters; the rest is cut off.
const LINE_CHARS_MAX: usize = 300;

/// The newest warnings and errors.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    lines: Mutex<VecDeque<String>>,
    count: watch::Sender<u64>,
}

impl Problems {
    /// Returns the newest lines, the newest last.
    pub(crate) fn newest(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    /// Returns a receiver of how many there were.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    fn add(&self, line: &str) {
        let mut lines = self.lock();
        lines.push_back(line.trim_end().chars().take(LINE_CHARS_MAX).collect());
        if lines.len() > LINES_MAX {
            lines.pop_front();
        }
        drop(lines);
        self.count.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets records be written as lines.
#[derive(Clone, Debug)]
pub(crate) struct Lines(pub(crate) Arc<Problems>);

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.add(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_newest_lines_are_kept_cut_to_a_length() {
        let problems = Arc::new(Problems::default());
        let mut lines = Lines(Arc::clone(&problems));
        for number in 0..8 {
            // A record is written at once.
            let record = format!("{number} {}\n", "ä".repeat(400));
            lines.write_all(record.as_bytes()).expect("never fails");
        }
        let newest = problems.newest();
        assert_eq!(newest.len(), LINES_MAX);
        assert!(newest[0].starts_with("3 ") && newest[4].starts_with("7 "), "{newest:?}");
        assert!(newest.iter().all(|line| line.chars().count() == LINE_CHARS_MAX));
        assert!(*problems.changes().borrow() >= 8);
    }
}
