//! Bars that show how far long work is, when somebody looks.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A message of fewer bytes is gone before a bar would be seen.
const BYTES_MIN: usize = 1 << 20;

/// A bar of bytes on stderr; it draws nothing unless that is a terminal.
pub(crate) fn bytes(total: usize, what: &'static str) -> ProgressBar {
    let bar = bar(total as u64, total >= BYTES_MIN);
    bar.set_style(style("{msg} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}"));
    bar.with_message(what)
}

/// A bar of messages.
pub(crate) fn messages(total: u64, what: &'static str) -> ProgressBar {
    let bar = bar(total, true);
    bar.set_style(style("{msg} [{bar:30}] {pos}/{len} {eta}"));
    bar.with_message(what)
}

/// Something that turns until the answer is there.
pub(crate) fn spinner(bytes: usize, what: String) -> ProgressBar {
    let bar = bar(0, bytes >= BYTES_MIN);
    bar.set_style(style("{spinner} {msg} {elapsed}"));
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(100));
    }
    bar.with_message(what)
}

fn bar(total: u64, is_wanted: bool) -> ProgressBar {
    if is_wanted && std::io::stderr().is_terminal() {
        ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr())
    } else {
        ProgressBar::hidden()
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("=> "))
}
