//! Tables for a terminal.

use std::fmt::Write as _;

use crate::{
    runner::{Group, Kinds},
    summary::{Row, kinds, median},
};

/// Returns what came of a scenario.
pub(crate) fn scenario(group: &Group) -> String {
    let scenario = &group.scenario;
    let mut text = format!("{}: {}\n", scenario.name, scenario.about);
    let Some(first) = group.runs.first() else { return text };
    let record = &first.record;
    let bound = median(group.runs.iter().map(|run| run.record.bound_ms));
    let plural =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    line(
        &mut text,
        &format!(
            "{} nodes, {}, {} bytes each, {}; bound of the 99th percentile {bound:.0} ms",
            record.nodes,
            plural(record.publishers as usize, "publisher"),
            record.message_bytes,
            plural(scenario.seeds.len(), "seed"),
        ),
    );
    line(&mut text, &format!("links: {}", record.link_model));
    if let Some(postal) = first.postal_ms {
        let bounds = postal.map(|(k, b1, b2)| format!("k={k}: B1 {b1:.0} ms, B2 {b2:.0} ms"));
        line(&mut text, &format!("postal model, one message: {}", bounds.join("; ")));
    }
    text.push_str(&times(group));
    text.push_str(&bytes(group));
    let convicted: u32 = group.runs.iter().map(|run| run.record.honest_convicted).sum();
    if convicted > 0 {
        line(&mut text, &format!("HONEST NODES CONVICTED: {convicted}"));
    }
    text
}

fn times(group: &Group) -> String {
    let header = [
        "median over seeds",
        "p50 ms",
        "p90",
        "p95",
        "p99",
        "last",
        "p99/bound",
        "x gossipsub",
        "x documented",
        "delivered",
        "cpu ms",
        "convicted",
    ];
    let rows = group.protocols().into_iter().map(|protocol| {
        let row = Row::of(group, protocol);
        let mut cells = vec![row.protocol.clone()];
        cells.extend(row.times_ms.map(|time| number(time, 0)));
        cells.push(number(row.to_bound, 2));
        cells.extend(row.faster.map(|faster| faster.map_or("-".to_owned(), |f| number(f, 2))));
        cells.push(format!("{:.2} %", row.delivered * 100.0));
        cells.push(number(row.cpu_ms, 2));
        cells.push(row.convicted[0].to_string());
        cells
    });
    table(&header, &rows.collect::<Vec<_>>())
}

fn bytes(group: &Group) -> String {
    let mut header =
        vec!["per message byte", "received", "p99", "publisher", "up 50 Mbit/s", "p99"];
    header.extend(Kinds::NAMES);
    let rows = group.protocols().into_iter().map(|protocol| {
        let row = Row::of(group, protocol);
        let mut cells = vec![row.protocol.clone()];
        let [received, upload] = [row.received, row.upload];
        let values = [received[0], received[1], row.publisher_egress, upload[0], upload[1]];
        cells.extend(values.map(|value| number(value, 2)));
        cells.extend(kinds(group, protocol).map(|value| number(value, 3)));
        cells
    });
    table(&header, &rows.collect::<Vec<_>>())
}

/// Returns rows under a header, the first column to the left and the others to the right.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    for row in std::iter::once(&header).chain(rows) {
        let mut cells = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            let (left, right) = if column == 0 {
                (cell.as_str(), pad.as_str())
            } else {
                (pad.as_str(), cell.as_str())
            };
            let gap = if column == 0 { "  " } else { "   " };
            cells.push_str(gap);
            cells.push_str(left);
            cells.push_str(right);
        }
        line(&mut text, cells.trim_end());
    }
    text
}

/// Returns a number with so many decimals, or `never`.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() {
        format!("{value:.decimals$}")
    } else if value.is_nan() {
        "-".to_owned()
    } else {
        "never".to_owned()
    }
}

/// Adds a line; text in memory takes everything.
pub(crate) fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("memory takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows =
            [vec!["a".to_owned(), "1234".to_owned()], vec!["bcd".to_owned(), "5".to_owned()]];
        assert_eq!(table(&["x", "n"], &rows), "  x        n\n  a     1234\n  bcd      5\n");
    }

    #[test]
    fn what_never_came_is_said_so() {
        assert_eq!(number(f64::INFINITY, 0), "never");
        assert_eq!(number(12.345, 1), "12.3");
    }
}
