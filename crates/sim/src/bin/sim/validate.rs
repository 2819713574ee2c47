//! How far the model of `GossipSub` agrees with real nodes.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    args::Validate,
    builtin::{BUILTIN, load},
    output::{Results, print},
    report::{line, number, table},
    runner::{Done, Group, run_all},
    summary::{infinite, median},
};

/// As far as the model may be from what was measured.
const TOLERANCE: f64 = 0.3;

/// What libp2p-gossipsub 0.50.1 was measured to do: a process a node, each in a network namespace,
/// `tbf` both ways with 32 kB of burst, no latency added, cubic, 10 dials a node, a message every
/// 1.5 s from a random node, five of them.
struct Measured {
    scenario: &'static str,
    /// The model must agree; else it is printed to be seen.
    required: bool,
    /// Times over S/R: what a message takes on a link.
    p50: f64,
    p99: f64,
    /// Bytes received by a node per byte of the messages.
    received: f64,
}

const fn measured(
    scenario: &'static str,
    required: bool,
    p50: f64,
    p99: f64,
    received: f64,
) -> Measured {
    Measured { scenario, required, p50, p99, received }
}

const MEASURED: &[Measured] = &[
    measured("lab-n16-r50", true, 13.2, 18.7, 5.25),
    measured("lab-n32-r20", true, 18.2, 23.9, 5.46),
    measured("lab-n32-r50", false, 17.5, 23.4, 5.48),
    measured("lab-n48-r20", false, 18.0, 25.0, 5.42),
    measured("lab-n32-r50-64k", false, 10.2, 15.8, 5.15),
    measured("lab-n32-r50-4m", false, 19.7, 27.2, 6.77),
    measured("lab-n32-r50-flood", false, 19.6, 26.3, 5.52),
    measured("lab-n32-r50-no-idontwant", false, 16.5, 24.3, 8.69),
    measured("lab-n32-r50-no-gossip", false, 12.7, 17.3, 4.71),
    measured("lab-n32-r50-best", false, 8.2, 12.7, 2.27),
];

/// Vac's figures for v1.2, read from charts to about 5 %: latency in ms, which statistic is not
/// said, and total traffic in GB.
const VAC: &[(&str, f64, f64)] = &[
    ("vac-s2-200k", 870.0, 17.0),
    ("vac-s2-600k", 3060.0, 53.0),
    ("vac-s2-1000k", 5750.0, 103.0),
    ("vac-s2-1400k", 9060.0, 169.0),
    ("vac-s2-1800k", 12_560.0, 237.0),
];

pub(crate) fn run(args: &Validate) -> Result<ExitCode> {
    let mut scenarios =
        MEASURED.iter().map(|row| load(row.scenario)).collect::<Result<Vec<_>>>()?;
    for scenario in &mut scenarios {
        scenario.seeds = (1..=args.seeds).collect();
    }
    if args.vac {
        for builtin in BUILTIN.iter().filter(|builtin| builtin.name.starts_with("vac-")) {
            let mut scenario = builtin.scenario()?;
            scenario.protocols = vec!["gossipsub-mesh".to_owned()];
            scenario.seeds = vec![1];
            scenarios.push(scenario);
        }
    }
    let results = Results::create(args.json.as_deref())?;
    let groups = run_all(&scenarios, args.threads)?;
    results.write(groups.iter().flat_map(|group| group.runs.iter().map(|run| &run.record)))?;
    let (lab, vac) = groups.split_at(MEASURED.len());
    let agrees = print_lab(lab, args.seeds)?;
    if args.vac {
        print_vac(vac)?;
    }
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the table; returns whether what must agree does.
fn print_lab(groups: &[Group], seeds: u64) -> Result<bool> {
    let mut rows = Vec::new();
    let mut agrees = true;
    for (measured, group) in MEASURED.iter().zip(groups) {
        let [p50, p99, received] = modelled(group);
        let pairs = [(p50, measured.p50), (p99, measured.p99), (received, measured.received)];
        let inside = pairs.iter().all(|(model, real)| (model / real - 1.0).abs() <= TOLERANCE);
        agrees &= inside || !measured.required;
        let mut cells = vec![measured.scenario.to_owned()];
        for (model, real) in pairs {
            cells.push(format!("{real:.2}"));
            cells.push(number(model, 2));
            cells.push(format!("{:+.0} %", (model / real - 1.0) * 100.0));
        }
        let verdict = match (measured.required, inside) {
            (true, true) => "yes",
            (true, false) => "NO",
            (false, true) => "(yes)",
            (false, false) => "(no)",
        };
        cells.push(verdict.to_owned());
        rows.push(cells);
    }
    let header = [
        "times over S/R",
        "p50 real",
        "model",
        "",
        "p99 real",
        "model",
        "",
        "rx/S real",
        "model",
        "",
        "within 30 %",
    ];
    let mut text = table(&header, &rows);
    line(
        &mut text,
        &format!(
            "Real: libp2p-gossipsub 0.50.1 over shaped links, a run of five messages. Model: the \
             median of {seeds} such runs; what must agree is without brackets."
        ),
    );
    print(&text)?;
    Ok(agrees)
}

/// Returns p50 and p99 over S/R, and bytes received per byte: of a run as one was measured, the median
/// of the seeds.
fn modelled(group: &Group) -> [f64; 3] {
    let mbps = group.scenario.publisher_mbps as f64;
    let unit_ms = group.scenario.message_bytes as f64 * 8.0 / (mbps * 1000.0);
    let mid = |value: fn(&Done) -> f64| median(group.runs.iter().map(value));
    [
        mid(|run| infinite(run.record.p50_ms)) / unit_ms,
        mid(|run| infinite(run.record.p99_ms)) / unit_ms,
        mid(|run| run.kinds.values().iter().sum()),
    ]
}

fn print_vac(groups: &[Group]) -> Result<()> {
    let rows = VAC.iter().zip(groups).map(|((name, latency_ms, gigabytes), group)| {
        let time = |value: fn(&sim::record::RunRecord) -> Option<f64>| {
            number(median(group.runs.iter().filter_map(|run| value(&run.record))), 0)
        };
        let nodes = group.scenario.topology.nodes() as f64;
        let published = (group.scenario.message_bytes * group.scenario.publishers as u64) as f64;
        let traffic = median(group.runs.iter().map(|run| run.kinds.values().iter().sum()));
        vec![
            (*name).to_owned(),
            number(*latency_ms, 0),
            time(|record| record.p50_ms),
            time(|record| record.p99_ms),
            time(|record| record.max_ms),
            number(*gigabytes, 0),
            number(traffic * nodes * published / 1e9, 0),
        ]
    });
    let header = ["ms and GB", "Vac", "p50", "p99", "last", "Vac GB", "GB"];
    let mut text = table(&header, &rows.collect::<Vec<_>>());
    line(&mut text, "Vac: nim-libp2p v1.2 in Shadow; an order of magnitude, read from charts.");
    print(&format!("\n{text}"))
}
