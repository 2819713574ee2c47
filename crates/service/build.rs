//! Tells the program which release and commit it is built from: what `BUILD_VERSION` and `BUILD_COMMIT`
//! say (where there is no repository, as in an image), else what git says.

use std::{env, process::Command};

fn main() {
    let commit = given("BUILD_COMMIT").or_else(|| git(&["rev-parse", "--short=7", "HEAD"]));
    let version =
        given("BUILD_VERSION").or_else(|| git(&["describe", "--tags", "--exact-match", "HEAD"]));
    println!("cargo::rustc-env=BUILD_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    println!("cargo::rustc-env=BUILD_VERSION={}", version.as_deref().unwrap_or("dev"));
    if let Some(path) = git(&["rev-parse", "--git-path", "HEAD"]) {
        println!("cargo::rerun-if-changed={path}");
    }
    if let Some(path) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={path}");
    }
}

fn given(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
