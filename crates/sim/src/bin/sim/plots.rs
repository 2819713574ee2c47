//! Which plots there are of what was run.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    chart::{Axis, Bars, Lines, Series},
    runner::{Done, Group, Kinds},
    summary::{Row, kinds, median},
};

/// Points of a distribution; more would not be seen.
const POINTS: usize = 200;

/// Makes the folder, before anything runs.
pub(crate) fn prepare(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// Writes all plots of the scenarios.
pub(crate) fn write(folder: &Path, groups: &[Group]) -> Result<()> {
    for group in groups {
        let name = &group.scenario.name;
        save(folder, &format!("{name}-arrival"), &arrival(group).svg())?;
        save(folder, &format!("{name}-bytes"), &bytes(group).svg())?;
    }
    let sizes = of(groups, "size-", |group| group.scenario.message_bytes as f64 / 1024.0);
    if let Some(chart) = over(sizes, "p99 against the length of a message", "KiB") {
        save(folder, "size", &chart.svg())?;
    }
    let growth = of(groups, "growth-", |group| group.scenario.topology.nodes() as f64);
    if let Some(chart) = over(growth, "p99 against the number of nodes", "nodes") {
        save(folder, "growth", &chart.svg())?;
    }
    Ok(())
}

/// Writes one plot.
pub(crate) fn save(folder: &Path, name: &str, svg: &str) -> Result<()> {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' };
    let path = folder.join(format!("{}.svg", name.chars().map(safe).collect::<String>()));
    fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))
}

/// Adds a point to the line of a name.
pub(crate) fn add_point(lines: &mut Vec<Series>, name: &str, x: f64, y: f64) {
    match lines.iter_mut().find(|line| line.name == name) {
        Some(line) => line.points.push((x, y)),
        None => lines.push(Series { name: name.to_owned(), points: vec![(x, y)] }),
    }
}

/// The share of nodes that have the message, over time, all seeds together.
fn arrival(group: &Group) -> Lines {
    let series = group.protocols().into_iter().map(|protocol| {
        let mut times: Vec<f64> =
            group.of(protocol).flat_map(|run: &Done| run.times_ms.iter().copied()).collect();
        times.sort_unstable_by(f64::total_cmp);
        let rank = |point: usize| (point * times.len()).div_ceil(POINTS);
        let points = (1..=POINTS).filter_map(|point| {
            let rank = rank(point);
            let time = *times.get(rank.checked_sub(1)?)?;
            Some((time, 100.0 * rank as f64 / times.len() as f64))
        });
        Series { name: protocol.to_owned(), points: points.collect() }
    });
    Lines {
        title: format!("{}: who has the message", group.scenario.name),
        x: Axis::log("ms since it was published"),
        y: Axis::linear("% of nodes"),
        series: series.collect(),
        marks: vec![("bound of p99".to_owned(), bound(group))],
    }
}

fn bytes(group: &Group) -> Bars {
    let protocols = group.protocols().into_iter();
    Bars {
        title: format!("{}: bytes received by a node", group.scenario.name),
        label: "per byte of all messages, mean of nodes".to_owned(),
        parts: Kinds::NAMES.map(str::to_owned).to_vec(),
        rows: protocols.map(|name| (name.to_owned(), kinds(group, name).to_vec())).collect(),
    }
}

fn bound(group: &Group) -> f64 {
    median(group.runs.iter().map(|run| run.record.bound_ms))
}

/// The scenarios whose names begin so, each with its place on the axis.
fn of<'a>(groups: &'a [Group], begin: &str, x: fn(&Group) -> f64) -> Vec<(f64, &'a Group)> {
    let mut chosen: Vec<(f64, &Group)> = groups
        .iter()
        .filter(|group| group.scenario.name.starts_with(begin))
        .map(|group| (x(group), group))
        .collect();
    chosen.sort_by(|a, b| a.0.total_cmp(&b.0));
    chosen
}

/// p99 of each protocol, and the bound; `None` for less than two places.
fn over(groups: Vec<(f64, &Group)>, title: &str, label: &str) -> Option<Lines> {
    if groups.len() < 2 {
        return None;
    }
    let mut series = Vec::new();
    for (x, group) in groups {
        for protocol in group.protocols() {
            add_point(&mut series, protocol, x, Row::of(group, protocol).times_ms[3]);
        }
        add_point(&mut series, "bound", x, bound(group));
    }
    Some(Lines {
        title: title.to_owned(),
        x: Axis::log(label),
        y: Axis::log("p99, ms"),
        series,
        marks: Vec::new(),
    })
}
