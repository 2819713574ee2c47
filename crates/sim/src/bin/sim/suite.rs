//! Runs scenarios and leaves tables, results and plots.

use std::process::ExitCode;

use anyhow::{Result, bail};
use sim::scenario::Scenario;

use crate::{
    args::{Common, Run, Suite},
    builtin::{BUILTIN, load},
    output::{Results, print},
    plots, report,
    runner::{Group, adjusted, run_all},
};

/// Returns a scenario with keys set to other values.
pub(crate) fn load_with(name: &str, sets: &[String]) -> Result<Scenario> {
    let mut scenario = load(name)?;
    for set in sets {
        let Some((key, value)) = set.split_once('=') else {
            bail!("--set {set:?}: must be KEY=VALUE");
        };
        scenario = scenario.with(key, value)?;
    }
    Ok(scenario)
}

/// One scenario.
pub(crate) fn run_one(args: &Run) -> Result<ExitCode> {
    run_groups(vec![load_with(&args.scenario, &args.set)?], &args.common)?;
    Ok(ExitCode::SUCCESS)
}

/// The built-in scenarios.
pub(crate) fn run(args: &Suite) -> Result<ExitCode> {
    let wanted = |name: &str| {
        args.only.is_empty() || args.only.iter().any(|begin| name.starts_with(begin.as_str()))
    };
    let chosen = BUILTIN.iter().filter(|builtin| wanted(builtin.name));
    let scenarios = chosen.filter_map(|builtin| builtin.in_suite(args.full).transpose());
    let scenarios = scenarios.collect::<Result<Vec<_>>>()?;
    if scenarios.is_empty() {
        let hint = if args.full { "" } else { " without --full" };
        bail!(
            "no scenario{hint} begins with {}; `sim list` shows what there is",
            args.only.join(" or ")
        );
    }
    run_groups(scenarios, &args.common)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs scenarios, prints what came of each, and writes what was asked for.
pub(crate) fn run_groups(scenarios: Vec<Scenario>, common: &Common) -> Result<Vec<Group>> {
    let scenarios =
        scenarios.into_iter().map(|one| adjusted(one, common)).collect::<Result<Vec<_>>>()?;
    let results = Results::create(common.json.as_deref())?;
    if let Some(folder) = &common.plots {
        plots::prepare(folder)?;
    }
    let groups = run_all(&scenarios, common.threads)?;
    results.write(groups.iter().flat_map(|group| group.runs.iter().map(|run| &run.record)))?;
    if let Some(folder) = &common.plots {
        plots::write(folder, &groups)?;
    }
    for group in &groups {
        print(&report::scenario(group))?;
        print("\n")?;
    }
    Ok(groups)
}
