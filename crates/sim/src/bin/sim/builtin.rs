//! The scenarios that come with the program; their files are `crates/sim/scenarios`.

use std::{fmt::Write as _, path::Path, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use sim::{protocols::PROTOCOLS, scenario::Scenario};

use crate::output::print;

/// A built-in scenario.
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    /// How it is part of the suite.
    pub(crate) part: Part,
    text: &'static str,
}

/// How a scenario is part of the suite that is not the full one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// As it is.
    Whole,
    /// With so many nodes: with as many as it has it would be most of the suite's time.
    Nodes(usize),
    /// Not at all.
    FullOnly,
}

macro_rules! builtin {
    ($($part:expr; $($name:literal)*,)*) => {
        &[$($(Builtin {
            name: $name,
            part: $part,
            text: include_str!(concat!("../../../scenarios/", $name, ".toml")),
        },)*)*]
    };
}

/// All of them, in the order of reports.
pub(crate) const BUILTIN: &[Builtin] = builtin! {
    Part::Whole; "small-4k" "size-256k" "size-1m",
    Part::FullOnly; "size-4m" "size-10m",
    Part::Nodes(100); "publishers-20",
    Part::Whole; "lossless" "loss-1" "loss-3",
    Part::Nodes(300); "loss-1-cc" "loss-3-cc",
    Part::Whole; "droppers-30" "growth-100" "growth-300" "growth-1000",
    Part::FullOnly; "growth-2000" "growth-5000",
    Part::Nodes(200); "rounds-0" "rounds-0.1" "rounds-0.2" "rounds-0.5" "rounds-0.7" "rounds-1"
        "rounds-1.5",
    Part::Whole; "lab-n16-r50" "lab-n32-r20" "lab-n32-r50",
    Part::FullOnly; "lab-n32-r50-64k" "lab-n32-r50-4m" "lab-n48-r20" "lab-n32-r50-flood"
        "lab-n32-r50-no-idontwant" "lab-n32-r50-no-gossip" "lab-n32-r50-best"
        "vac-s2-200k" "vac-s2-600k" "vac-s2-1000k" "vac-s2-1400k" "vac-s2-1800k",
};

impl Builtin {
    pub(crate) fn scenario(&self) -> Result<Scenario> {
        Scenario::parse(self.text).with_context(|| format!("built-in scenario {}", self.name))
    }

    /// Returns the scenario as the suite runs it, or the full one; `None` if that does not.
    pub(crate) fn in_suite(&self, full: bool) -> Result<Option<Scenario>> {
        Ok(match self.part {
            Part::FullOnly if !full => None,
            Part::Nodes(nodes) if !full => {
                Some(self.scenario()?.with("topology.nodes", &nodes.to_string())?)
            }
            Part::Whole | Part::Nodes(_) | Part::FullOnly => Some(self.scenario()?),
        })
    }
}

/// Returns the scenario of a file, or the built-in one of a name.
pub(crate) fn load(name: &str) -> Result<Scenario> {
    if let Some(builtin) = BUILTIN.iter().find(|builtin| builtin.name == name) {
        return builtin.scenario();
    }
    let path = Path::new(name);
    if !path.exists() {
        bail!("there is no file and no built-in scenario {name:?}; `sim list` shows what there is");
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    Scenario::parse(&text).with_context(|| name.to_owned())
}

/// Prints what there is.
pub(crate) fn list() -> Result<ExitCode> {
    let mut text =
        String::from("scenarios (* only in the full suite, - with fewer nodes in the other)\n");
    for builtin in BUILTIN {
        let mark = match builtin.part {
            Part::Whole => ' ',
            Part::Nodes(_) => '-',
            Part::FullOnly => '*',
        };
        writeln!(text, " {mark} {:<26} {}", builtin.name, builtin.scenario()?.about)?;
    }
    text.push_str("\nprotocols\n");
    for protocol in PROTOCOLS {
        writeln!(text, "   {:<26} {}", protocol.name, protocol.about)?;
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_is_sound_and_called_as_its_file() {
        for builtin in BUILTIN {
            let scenario = builtin.scenario().expect("sound");
            assert_eq!(scenario.name, builtin.name);
            assert!(!scenario.about.is_empty(), "{}", builtin.name);
        }
    }

    #[test]
    fn the_suite_has_fewer_nodes_where_it_says_so_and_the_full_one_all() {
        for builtin in BUILTIN {
            let whole = builtin.scenario().expect("sound");
            let [brief, full] =
                [false, true].map(|full| builtin.in_suite(full).expect("sound with fewer nodes"));
            assert_eq!(full.as_ref(), Some(&whole), "{}", builtin.name);
            match builtin.part {
                Part::Whole => assert_eq!(brief, full, "{}", builtin.name),
                Part::FullOnly => assert_eq!(brief, None, "{}", builtin.name),
                Part::Nodes(nodes) => {
                    let brief = brief.expect("it is in both");
                    assert_eq!(brief.topology.nodes(), nodes, "{}", builtin.name);
                    assert!(nodes < whole.topology.nodes(), "{}", builtin.name);
                    assert_eq!(brief.name, whole.name);
                }
            }
        }
    }

    #[test]
    fn every_scenario_file_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let files = std::fs::read_dir(folder).expect("the folder is there");
        assert_eq!(files.count(), BUILTIN.len());
    }
}
