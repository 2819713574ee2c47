//! Standard output and error, and files.

use std::{
    fs::File,
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use sim::record::RunRecord;

/// Prints text as it is.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Says what went wrong; if nobody hears it there is nothing left to do.
pub(crate) fn complain(error: &anyhow::Error) {
    let told = writeln!(io::stderr(), "sim: {error:#}");
    drop(told);
}

/// Whether the reader of standard output is gone, which is no error.
pub(crate) fn nobody_reads(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// A JSON file of results. It is made before anything runs, so that a wrong path is told at once.
pub(crate) struct Results(Option<(PathBuf, File)>);

impl Results {
    pub(crate) fn create(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self(None)) };
        let file = File::create(path)
            .with_context(|| format!("cannot write results to {}", path.display()))?;
        Ok(Self(Some((path.to_owned(), file))))
    }

    pub(crate) fn write<'a>(self, records: impl Iterator<Item = &'a RunRecord>) -> Result<()> {
        let Some((path, mut file)) = self.0 else { return Ok(()) };
        let records: Vec<&RunRecord> = records.collect();
        let mut text = serde_json::to_string_pretty(&records)?;
        text.push('\n');
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Reads a JSON file of results.
pub(crate) fn read_results(path: &Path) -> Result<Vec<RunRecord>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read results from {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is no array of results", path.display()))
}
