//! Where and when a benchmark ran, and its section of a document.
#![forbid(unsafe_code)]

use std::path::Path;

use anyhow::{Context, Result};

/// Replaces the section between `<!-- name -->` and `<!-- /name -->` in the file at `path`.
///
/// # Errors
///
/// When the file cannot be read or written, or has no such section.
pub fn write_section(path: &Path, name: &str, text: &str) -> Result<()> {
    let (before, after) = around_section(path, name)?;
    let whole = format!("{before}<!-- {name} -->\n{text}{after}");
    std::fs::write(path, whole).with_context(|| format!("{} cannot be written", path.display()))
}

/// Checks that [`write_section`] will find its section: who measures for long wants to know before.
///
/// # Errors
///
/// When the file cannot be read, or has no such section.
pub fn check_section(path: &Path, name: &str) -> Result<()> {
    around_section(path, name).map(|_| ())
}

/// Returns what stands before the section and what follows it, with the mark at its end.
fn around_section(path: &Path, name: &str) -> Result<(String, String)> {
    let held = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let (Some(from), Some(to)) = (held.find(&begin), held.find(&end)) else {
        anyhow::bail!("{} has no section between {begin} and {end}", path.display());
    };
    anyhow::ensure!(from < to, "in {}, {end} comes before {begin}", path.display());
    Ok((held[..from].to_owned(), held[to..].to_owned()))
}

/// Returns the day, in UTC.
pub fn date() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    output.map_or_else(
        |_| "an unknown day".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Returns the name of the processor.
pub fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    name.unwrap_or("an unknown processor").to_owned()
}

/// Returns how many cores this process may use, and of which processor.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores of {}", processor())
}

/// Returns the release of the kernel.
pub fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let directory = std::env::temp_dir().join(format!("report-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("document.md");
        std::fs::write(&path, "before\n<!-- a -->\nold\n<!-- /a -->\nafter\n").unwrap();
        write_section(&path, "a", "new\n").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "before\n<!-- a -->\nnew\n<!-- /a -->\nafter\n");
        check_section(&path, "a").unwrap();
        assert!(check_section(&path, "b").is_err());
        let error = write_section(&path, "b", "new\n").unwrap_err().to_string();
        assert!(error.ends_with("has no section between <!-- b --> and <!-- /b -->"), "{error}");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
