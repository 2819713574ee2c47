//! The tables, on the screen and in the documentation.

use std::{fmt::Write as _, time::Duration};

use ::report::{date, kernel, machine};

use crate::{Mode, Options, load::Figures, usage::Usage};

/// One size in one mode.
pub(crate) struct Row {
    pub(crate) mode: Mode,
    pub(crate) bytes: usize,
    pub(crate) figures: Figures,
}

/// Returns the results as Markdown with what they were measured on.
pub(crate) fn text(
    options: &Options,
    idle: &[(Mode, Usage)],
    mesh: (Duration, Duration),
    rows: &[Row],
) -> String {
    let mut text = String::new();
    let Options { seconds, rounds, .. } = options;
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "Measured on {} with {}; {}.\n4 processes and their clients on this machine, one publishes, \
         3 receive; medians of {rounds} rounds of {seconds} s.\n\n\
         | message | mode, profile | delivered messages/s | MB/s | publish to last p50 | p99 | \
         CPU ms per delivered MiB | peak memory of a node | lost |\n\
         |---|---|---|---|---|---|---|---|---|",
        date(),
        machine(),
        kernel(),
    );
    for Row { mode, bytes, figures } in rows {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let _ = writeln!(
            text,
            "| {bytes} B | {} | {:.0} | {:.1} | {:.1} ms | {:.1} ms | {:.1} | {:.0} MiB | {} |",
            mode.name(),
            figures.messages_per_second,
            figures.mb_per_second,
            milliseconds(figures.median),
            milliseconds(figures.p99),
            figures.cpu_ms_per_mib,
            figures.peak_mib,
            figures.lost,
        );
    }
    let _ = writeln!(text, "\nA node without peers and clients, over 5 s:\n");
    for (mode, usage) in idle {
        let _ = writeln!(
            text,
            "* {}: {:.1} MiB resident, {:.1} % of a core",
            mode.name(),
            usage.resident_kib as f64 / 1024.0,
            usage.cpu.as_secs_f64() / 5.0 * 100.0,
        );
    }
    let (started, meshed) = mesh;
    let _ = writeln!(
        text,
        "\n{} nodes in one process, which know only the first, run after {:.1} s, and each has its \
         mesh {:.1} s later.",
        crate::devnet::NODES,
        started.as_secs_f64(),
        meshed.as_secs_f64(),
    );
    text
}
