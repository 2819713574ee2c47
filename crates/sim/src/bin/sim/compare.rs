//! Two of a kind beside each other: results, protocols or scenarios.

use std::{path::Path, process::ExitCode};

use anyhow::{Result, bail};
use sim::{protocols, record::RunRecord};

use crate::{
    args::Compare,
    builtin::load,
    output::{print, read_results},
    report::{number, table},
    suite::run_groups,
    summary::{infinite, median},
};

pub(crate) fn run(args: &Compare) -> Result<ExitCode> {
    let results = [&args.a, &args.b].map(|name| is_result(name));
    let protocol = [&args.a, &args.b].map(|name| protocols::find(name).is_some());
    let (a, b) = match (results, protocol) {
        ([true, true], _) => (read_results(Path::new(&args.a))?, read_results(Path::new(&args.b))?),
        (_, [true, true]) => between_protocols(args)?,
        ([false, false], [false, false]) => between_scenarios(args)?,
        _ => bail!(
            "{} and {} are not of one kind: two scenarios, two JSON files of results, or two \
             protocols can be compared",
            args.a,
            args.b
        ),
    };
    print(&differences(&args.a, &a, &args.b, &b)?)?;
    Ok(ExitCode::SUCCESS)
}

fn is_result(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "json")
}

/// The runs of two protocols in one scenario, both called the same, so that they are compared.
fn between_protocols(args: &Compare) -> Result<(Vec<RunRecord>, Vec<RunRecord>)> {
    let mut common = args.common.clone();
    common.protocols = Some(vec![args.a.clone(), args.b.clone()]);
    let groups = run_groups(vec![load(&args.scenario)?], &common)?;
    let of = |name: &str| {
        let runs = groups.iter().flat_map(|group| group.of(name));
        let named = runs.map(|run| RunRecord { protocol: "-".to_owned(), ..run.record.clone() });
        named.collect()
    };
    Ok((of(&args.a), of(&args.b)))
}

/// The runs of two scenarios, both called the same.
fn between_scenarios(args: &Compare) -> Result<(Vec<RunRecord>, Vec<RunRecord>)> {
    let groups = run_groups(vec![load(&args.a)?, load(&args.b)?], &args.common)?;
    let of = |place: usize| {
        let runs = groups[place].runs.iter();
        runs.map(|run| RunRecord { scenario: "-".to_owned(), ..run.record.clone() }).collect()
    };
    Ok((of(0), of(1)))
}

/// Returns a table of what both have, scenario by scenario and protocol by protocol.
fn differences(a_name: &str, a: &[RunRecord], b_name: &str, b: &[RunRecord]) -> Result<String> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut seen: Vec<(&str, &str, bool)> = Vec::new();
    for record in a {
        let key = (record.scenario.as_str(), record.protocol.as_str(), record.tuned);
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let same = |other: &&RunRecord| {
            (other.scenario.as_str(), other.protocol.as_str(), other.tuned) == key
        };
        let (ours, theirs): (Vec<_>, Vec<_>) =
            (a.iter().filter(same).collect(), b.iter().filter(same).collect());
        if theirs.is_empty() {
            continue;
        }
        for (what, value) in MEASURES {
            let [x, y] = [&ours, &theirs].map(|runs| median(runs.iter().map(|run| value(run))));
            let decimals = if x.max(y) >= 100.0 { 0 } else { 2 };
            rows.push(vec![
                format!("{} {}", key.0, key.1),
                (*what).to_owned(),
                number(x, decimals),
                number(y, decimals),
                number(y / x, 3),
            ]);
        }
    }
    if rows.is_empty() {
        bail!("{a_name} and {b_name} have no scenario and protocol in common");
    }
    Ok(format!(
        "A = {a_name}, B = {b_name}; medians over seeds\n{}",
        table(&["", "measure", "A", "B", "B/A"], &rows)
    ))
}

type Measure = fn(&RunRecord) -> f64;

const MEASURES: &[(&str, Measure)] = &[
    ("p50 ms", |run| infinite(run.p50_ms)),
    ("p99 ms", |run| infinite(run.p99_ms)),
    ("p99/bound", |run| infinite(run.p99_ms) / run.bound_ms),
    ("delivered", |run| run.delivered),
    ("received", |run| run.bytes_received_median),
    ("publisher", |run| run.publisher_egress),
    ("cpu ms", |run| run.cpu_ms),
];
