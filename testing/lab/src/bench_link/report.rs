//! The table, on the screen and in the documentation.

use std::fmt::Write as _;

use ::report::{date, kernel, machine};

use crate::{Options, Transport, measure::Figures};

/// The targets: delay of the 99th of 100 frames, and goodput beside that without windows.
const P99_MAX_MS: f64 = 25.0;
const RATIO_MIN: f64 = 0.9;

/// One setting, with windows and without.
pub(crate) struct Row {
    pub(crate) latency_ms: u32,
    pub(crate) transport: Transport,
    pub(crate) peers: u16,
    pub(crate) with: Figures,
    pub(crate) without: Figures,
}

/// Returns the results as a Markdown table with what they were measured on.
pub(crate) fn text(options: &Options, rows: &[Row]) -> String {
    let mut text = String::new();
    let (rate, seconds) = (options.rate_mbit, options.seconds);
    let congestion = &options.congestion;
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "Measured on {} with {}; {}.\nveth of {rate} Mbit/s both ways (tbf, burst 16 KiB), TCP congestion control {congestion}, {seconds} s a run; 1 MiB messages published \
         without pause.\n\n\
         | transport | added latency | peers | windows | frames | frame delay p50 | p99 | goodput | of that without | target |\n\
         |---|---|---|---|---|---|---|---|---|---|",
        date(),
        machine(),
        kernel(),
    );
    for Row { latency_ms, transport, peers, with, without } in rows {
        for (windows, figures) in [("yes", with), ("no", without)] {
            let ratio = figures.goodput_mbit / without.goodput_mbit;
            let p99 = figures.p99.as_secs_f64() * 1e3;
            let reached = p99 <= P99_MAX_MS && ratio >= RATIO_MIN;
            // The target is one for a link whose own latency is nothing.
            let target = match (*latency_ms, windows, reached) {
                (0, "yes", true) => "reached",
                (0, "yes", false) => "missed",
                _ => "",
            };
            let _ = writeln!(
                text,
                "| {} | {latency_ms} ms | {peers} | {windows} | {} | {:.1} ms | {p99:.1} ms | \
                 {:.1} Mbit/s | {:.0} % | {target} |",
                transport.name(),
                figures.frames,
                figures.median.as_secs_f64() * 1e3,
                figures.goodput_mbit,
                100.0 * ratio,
            );
        }
    }
    text
}
