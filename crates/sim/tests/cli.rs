//! The program as a user meets it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use sim::record::RunRecord;
use tempfile::TempDir;

const SMALL: &str = "
name = 'small'
about = 'A small network.'
message_bytes = 65536
payload_scale = 16
seeds = [1, 2]
protocols = ['gossipsub', 'documented']

[topology]
kind = 'uniform'
nodes = 20
mbps = 50
latency_ms = 10
";

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output().expect("it starts")
}

fn written(folder: &TempDir, name: &str, text: &str) -> String {
    let path: PathBuf = folder.path().join(name);
    fs::write(&path, text).expect("the folder takes it");
    path.to_str().expect("UTF-8").to_owned()
}

fn out(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn records(path: &Path) -> Vec<RunRecord> {
    serde_json::from_str(&fs::read_to_string(path).expect("it was written")).expect("an array")
}

#[test]
fn a_run_leaves_a_table_results_and_plots() {
    let folder = TempDir::new().expect("a folder");
    let file = written(&folder, "small.toml", SMALL);
    let json = folder.path().join("small.json");
    let plots = folder.path().join("plots");
    let (json_argument, plots_argument) =
        (json.to_str().expect("UTF-8"), plots.to_str().expect("UTF-8"));
    let output = sim(&["run", &file, "--json", json_argument, "--plots", plots_argument]);
    let text = out(&output);
    assert!(text.contains("gossipsub") && text.contains("documented"), "{text}");
    assert!(text.contains("postal model"), "{text}");
    let records = records(&json);
    assert_eq!(records.len(), 4);
    for record in &records {
        assert!((record.delivered - 1.0).abs() < 1e-9, "{record:?}");
        assert!(record.p99_ms.expect("all came") >= record.bound_ms, "{record:?}");
        assert_eq!(record.honest_convicted, 0);
    }
    assert!(
        fs::read_to_string(plots.join("small-arrival.svg"))
            .expect("a plot")
            .contains("bound of p99")
    );
    assert!(plots.join("small-bytes.svg").exists());
}

#[test]
fn equal_runs_give_equal_results_however_many_run_at_a_time() {
    let folder = TempDir::new().expect("a folder");
    let file = written(&folder, "small.toml", SMALL);
    let run = |threads: &str| {
        let json = folder.path().join(threads);
        out(&sim(&["run", &file, "--threads", threads, "--json", json.to_str().expect("UTF-8")]));
        records(&json)
    };
    assert_eq!(run("1"), run("3"));
}

#[test]
fn tuned_settings_have_a_row_of_their_own() {
    let folder = TempDir::new().expect("a folder");
    let protocols = "['adaptive', 'adaptive-tuned', 'committed']";
    let plain = SMALL.replace("['gossipsub', 'documented']", protocols);
    let file = written(&folder, "plain.toml", &plain);
    let tuned = format!("{plain}\n[coded.tuned]\nfragments_target = 8\n");
    let tuned = written(&folder, "tuned.toml", &tuned);
    let json = folder.path().join("tuned.json");
    let json_argument = json.to_str().expect("UTF-8");
    let run = |file: &str| {
        let text = out(&sim(&["run", file, "--seeds", "1", "--json", json_argument]));
        (text, records(&json))
    };
    let (text, records) = run(&file);
    assert!(!text.contains("adaptive-tuned") && records.len() == 2, "{text}");
    let (text, records) = run(&tuned);
    assert!(text.contains("adaptive-tuned") && records.len() == 3, "{text}");
    let names: Vec<(&str, bool)> =
        records.iter().map(|record| (record.protocol.as_str(), record.tuned)).collect();
    assert_eq!(names, [("adaptive", false), ("adaptive", true), ("committed", false)]);
    let retagged = RunRecord { tuned: true, ..records[0].clone() };
    assert_ne!(retagged, records[1], "fewer fragments pass otherwise");
}

#[test]
fn results_protocols_and_scenarios_are_compared() {
    let folder = TempDir::new().expect("a folder");
    let file = written(&folder, "small.toml", SMALL);
    let json = folder.path().join("small.json");
    let json = json.to_str().expect("UTF-8");
    out(&sim(&["run", &file, "--json", json]));
    let same = out(&sim(&["compare", json, json]));
    assert!(same.contains("small gossipsub") && same.contains("1.000"), "{same}");
    let both = out(&sim(&["compare", "gossipsub-mesh", "documented", "--scenario", &file]));
    assert!(both.contains("A = gossipsub-mesh, B = documented"), "{both}");
    let text = complaint(&sim(&["compare", json, &file]));
    assert!(text.contains("not of one kind"), "{text}");
}

#[test]
fn a_sweep_has_a_row_for_each_value_and_protocol() {
    let folder = TempDir::new().expect("a folder");
    let file = written(&folder, "small.toml", SMALL);
    let text = out(&sim(&["sweep", &file, "topology.nodes=10,20", "--seeds", "1"]));
    let table = text.rsplit("\n\n").next().expect("the last table");
    assert_eq!(table.lines().count(), 5, "{text}");
}

#[test]
fn what_is_wrong_is_said() {
    let folder = TempDir::new().expect("a folder");
    let unknown = written(&folder, "unknown.toml", &SMALL.replace("seeds", "seed"));
    let text = complaint(&sim(&["run", &unknown]));
    assert!(text.contains("unknown.toml") && text.contains("unknown field `seed`"), "{text}");
    let file = written(&folder, "small.toml", SMALL);
    for (arguments, expected) in [
        (vec!["run", "no-such"], "no built-in scenario \"no-such\""),
        (vec!["run", &file, "--protocols", "x"], "there is no protocol \"x\""),
        (vec!["run", &file, "--set", "nodes"], "must be KEY=VALUE"),
        (vec!["run", &file, "--set", "faults.droppers=2"], "must be 0 to 0.95"),
        (vec!["run", &file, "--json", "/no/such/folder/x.json"], "cannot write results to"),
        (vec!["sweep", &file, "publishers=0"], "must be 1 to 20"),
        (vec!["suite", "--only", "size-4m"], "no scenario without --full"),
    ] {
        let text = complaint(&sim(&arguments));
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sim"))
        .arg("list")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert!(output.stderr.is_empty());
}

#[test]
fn the_model_of_gossipsub_agrees_with_real_nodes() {
    let text = out(&sim(&["validate", "--seeds", "2"]));
    assert!(text.contains("lab-n16-r50") && text.contains("lab-n32-r20"), "{text}");
}
