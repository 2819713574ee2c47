//! The table, on the screen and in the documentation.

use std::{fmt::Write as _, time::Duration};

use ::report::{date, kernel, machine};
use lab::namespace::{BURST_KB, QUEUE_MS};

use crate::{
    cell::Measured,
    kinds::Kind,
    scenario::{Load, Pace, Prediction},
    spread::Spread,
};

/// One cell: what was measured, and what the simulator says.
pub(crate) struct Row {
    pub(crate) load: Load,
    pub(crate) kind: Kind,
    pub(crate) measured: Measured,
    pub(crate) prediction: Option<Prediction>,
}

/// What is the same of all rows.
pub(crate) struct Head<'a> {
    pub(crate) congestion: &'a str,
    pub(crate) messages: usize,
    pub(crate) pace: Pace,
    pub(crate) seed: u64,
}

/// Returns the results as Markdown with what they were measured on.
pub(crate) fn text(head: &Head<'_>, rows: &[Row]) -> String {
    let pace = match head.pace {
        Pace::Every(interval) => format!("one every {} s", interval.as_secs_f64()),
        Pace::Apart => {
            "each when the one before was everywhere and the links were quiet".to_owned()
        }
    };
    let mut text = format!(
        "Measured on {} with {}; {}.\nEvery node a process in a network namespace, links shaped \
         both ways by tbf (burst {BURST_KB} kB, at most {QUEUE_MS} ms), TCP congestion control {}, \
         10 random dials a node (seed {}); {} messages from different nodes, {pace}. In brackets: \
         what the simulator predicts.\n\n\
         | network | message (S/R) | node | first | p50 | p90 | p99 | max | rx/S | CPU s/MiB | \
         missing | p99 of gossipsub, of best | cores: nodes, others | saturated | sent again |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        date(),
        machine(),
        kernel(),
        head.congestion,
        head.seed,
        head.messages,
    );
    for row in rows {
        text.push_str(&line(row, rows));
    }
    text
}

fn line(row: &Row, rows: &[Row]) -> String {
    let Row { load, kind, measured, prediction } = row;
    let Measured { spread, used, saturated, .. } = measured;
    let unit = load.unit();
    let predicted = prediction.as_ref().map(|prediction| prediction.spread);
    let times = |of: fn(&Spread) -> Option<Duration>| {
        let over = |time: Option<Duration>| {
            time.map_or("∞".to_owned(), |time| format!("{:.1}", ratio(time, unit)))
        };
        let model = predicted.map_or(String::new(), |model| format!(" ({})", over(of(&model))));
        format!("{}×{model}", over(of(spread)))
    };
    let received = match prediction {
        Some(prediction) => format!("{:.2} ({:.2})", used.received, prediction.received),
        None => format!("{:.2}", used.received),
    };
    let ahead = |of: Kind| {
        let other = rows.iter().find(|other| other.kind == of && same(&other.load, load));
        match (other.and_then(|other| other.measured.spread.p99), spread.p99) {
            (Some(other), Some(own)) => format!("{:.1}×", ratio(other, own)),
            _ => "–".to_owned(),
        }
    };
    let mut line = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        line,
        "| {} × {} Mbit/s, {} ms | {} KiB ({} ms) | {} | {} | {}, {} | {} | {}, {} | {} | {received} \
         | {:.3} | {} | {}, {} | {:.2}, {:.2} | {:.0} % | {:.1} % |",
        load.links.nodes,
        load.links.mbps,
        load.links.latency_ms,
        load.bytes >> 10,
        unit.as_millis(),
        kind.name(),
        times(|spread| spread.first),
        times(|spread| spread.p50),
        milliseconds(spread.p50),
        times(|spread| spread.p90),
        times(|spread| spread.p99),
        milliseconds(spread.p99),
        times(|spread| spread.max),
        used.cpu_s_per_mib,
        spread.missing,
        ahead(Kind::Gossipsub),
        ahead(Kind::GossipsubBest),
        used.node_cores,
        used.other_cores,
        saturated * 100.0,
        used.segments_again * 100.0,
    );
    line
}

fn same(a: &Load, b: &Load) -> bool {
    a.links == b.links && a.bytes == b.bytes
}

fn ratio(time: Duration, unit: Duration) -> f64 {
    time.as_secs_f64() / unit.as_secs_f64()
}

fn milliseconds(time: Option<Duration>) -> String {
    time.map_or("–".to_owned(), |time| format!("{:.0} ms", time.as_secs_f64() * 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{counters::Used, network::Links};

    fn row(kind: Kind, p99_ms: u64) -> Row {
        let links = Links { nodes: 16, mbps: 50, latency_ms: 0 };
        let load = Load { links, bytes: 1 << 20, messages: 5, pace: Pace::Apart };
        let at = |ms| Some(Duration::from_millis(ms));
        let spread = Spread { p50: at(200), p99: at(p99_ms), pairs: 75, ..Spread::default() };
        let used = Used { received: 1.1, ..Used::default() };
        let measured = Measured { spread, used, connections: 15.0, dropped: 0, saturated: 0.1 };
        let prediction = Some(Prediction { spread, received: 1.05 });
        Row { load, kind, measured, prediction }
    }

    #[test]
    fn a_row_tells_times_over_what_the_link_takes_and_how_far_ahead_it_is() {
        let rows =
            [row(Kind::Adaptive, 336), row(Kind::Gossipsub, 3360), row(Kind::GossipsubBest, 1680)];
        let head = Head { congestion: "cubic", messages: 5, pace: Pace::Apart, seed: 1 };
        let text = text(&head, &rows);
        let adaptive = text.lines().find(|line| line.contains("adaptive")).expect("a row");
        for wanted in ["2.0× (2.0)", "1.10 (1.05)", "10.0×, 5.0×", "336 ms", "∞× (∞)"] {
            assert!(adaptive.contains(wanted), "{wanted}: {adaptive}");
        }
        let columns = |line: &str| line.matches('|').count();
        let table: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert!(table.iter().all(|line| columns(line) == columns(table[0])), "{text}");
    }
}
