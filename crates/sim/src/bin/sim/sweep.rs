//! One scenario for each value of a key.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::{
    args::Sweep,
    chart::{Axis, Lines, Series},
    output::print,
    plots,
    report::{number, table},
    suite::{load_with, run_groups},
    summary::Row,
};

pub(crate) fn run(args: &Sweep) -> Result<ExitCode> {
    let base = load_with(&args.scenario, &args.set)?;
    let Some((key, values)) = args.values.split_once('=') else {
        bail!("{:?}: must be KEY=V1,V2,…", args.values);
    };
    let values: Vec<&str> = values.split(',').filter(|value| !value.is_empty()).collect();
    if values.is_empty() {
        bail!("{:?} has no values: must be KEY=V1,V2,…", args.values);
    }
    let mut scenarios = Vec::new();
    for value in &values {
        let mut scenario = base.with(key, value).with_context(|| format!("{key} = {value}"))?;
        scenario.name = format!("{} {key}={value}", base.name);
        scenarios.push(scenario);
    }
    let groups = run_groups(scenarios, &args.common)?;
    let header =
        [key, "protocol", "p50 ms", "p99", "p99/bound", "delivered", "received", "publisher"];
    let mut rows = Vec::new();
    let mut lines: Vec<Series> = Vec::new();
    for (value, group) in values.iter().zip(&groups) {
        for protocol in group.protocols() {
            let row = Row::of(group, protocol);
            if let Ok(value) = value.parse() {
                plots::add_point(&mut lines, protocol, value, row.times_ms[3]);
            }
            rows.push(vec![
                (*value).to_owned(),
                row.protocol,
                number(row.times_ms[0], 0),
                number(row.times_ms[3], 0),
                number(row.to_bound, 2),
                format!("{:.2} %", row.delivered * 100.0),
                number(row.received[0], 2),
                number(row.publisher_egress, 2),
            ]);
        }
    }
    print(&table(&header, &rows))?;
    if let (Some(folder), false) = (&args.common.plots, lines.is_empty()) {
        let chart = Lines {
            title: format!("{}: p99 against {key}", base.name),
            x: Axis::linear(key),
            y: Axis::linear("p99, ms"),
            series: lines,
            marks: Vec::new(),
        };
        plots::save(folder, &format!("{}-sweep", base.name), &chart.svg())?;
    }
    Ok(ExitCode::SUCCESS)
}
