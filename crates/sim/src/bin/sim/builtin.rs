//! The scenarios that come with the program; their files are `crates/sim/scenarios`.

use std::{fmt::Write as _, path::Path, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use sim::{protocols::PROTOCOLS, scenario::Scenario};

use crate::output::print;

/// A built-in scenario.
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    /// Whether it is only in the full suite.
    pub(crate) full: bool,
    text: &'static str,
}

macro_rules! builtin {
    ($($full:literal: $($name:literal)*;)*) => {
        &[$($(Builtin {
            name: $name,
            full: $full,
            text: include_str!(concat!("../../../scenarios/", $name, ".toml")),
        },)*)*]
    };
}

/// All of them, in the order of reports.
pub(crate) const BUILTIN: &[Builtin] = builtin! {
    false: "small-4k" "size-256k" "size-1m";
    true: "size-4m" "size-10m";
    false: "publishers-20" "lossless" "loss-1" "loss-3" "loss-1-cc" "loss-3-cc" "droppers-30"
        "growth-100" "growth-300" "growth-1000";
    true: "growth-2000" "growth-5000";
    false: "rounds-0" "rounds-0.1" "rounds-0.2" "rounds-0.5" "rounds-0.7" "rounds-1" "rounds-1.5"
        "lab-n16-r50" "lab-n32-r20" "lab-n32-r50";
    true: "lab-n32-r50-64k" "lab-n32-r50-4m" "lab-n48-r20" "lab-n32-r50-flood"
        "lab-n32-r50-no-idontwant" "lab-n32-r50-no-gossip" "lab-n32-r50-best"
        "vac-s2-200k" "vac-s2-600k" "vac-s2-1000k" "vac-s2-1400k" "vac-s2-1800k";
};

impl Builtin {
    pub(crate) fn scenario(&self) -> Result<Scenario> {
        Scenario::parse(self.text).with_context(|| format!("built-in scenario {}", self.name))
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
    let mut text = String::from("scenarios (* only in the full suite)\n");
    for builtin in BUILTIN {
        let mark = if builtin.full { '*' } else { ' ' };
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
    fn every_scenario_file_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let files = std::fs::read_dir(folder).expect("the folder is there");
        assert_eq!(files.count(), BUILTIN.len());
    }
}
