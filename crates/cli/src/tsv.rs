//! Files of tab-separated values, one record a line.

use std::{
    fs::File,
    io::{self, LineWriter, Write as _},
    path::Path,
    sync::{Mutex, PoisonError},
};

use crate::output;

/// Where records go. A record is written as a whole, and at once.
#[derive(Debug)]
pub enum Tsv {
    /// A file.
    File(Mutex<LineWriter<File>>),
    /// The program's stdout.
    Stdout,
    /// Nowhere.
    Nowhere,
}

impl Tsv {
    /// Makes a file, in place of what is there, with the names of its columns, if it is to have any.
    ///
    /// # Errors
    ///
    /// Returns a text with `path` if it cannot be written.
    pub fn create(path: &str, header: &[&str]) -> Result<Self, String> {
        let create = || {
            let tsv = Self::File(Mutex::new(LineWriter::new(File::create(Path::new(path))?)));
            if !header.is_empty() {
                tsv.record(header)?;
            }
            Ok(tsv)
        };
        create().map_err(|error: io::Error| format!("cannot write {path}: {error}"))
    }

    /// Writes a record.
    ///
    /// # Errors
    ///
    /// Returns the error of the file, or of stdout.
    pub fn record(&self, fields: &[&str]) -> io::Result<()> {
        let line = fields.iter().map(|field| clean(field)).collect::<Vec<_>>().join("\t");
        match self {
            Self::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.write_all(format!("{line}\n").as_bytes())
            }
            Self::Stdout => output::line(line),
            Self::Nowhere => Ok(()),
        }
    }

    /// Makes sure that everything is on the disk; returns whether there is a file.
    ///
    /// # Errors
    ///
    /// Returns the error of the file.
    pub fn flush(&self) -> io::Result<bool> {
        let Self::File(file) = self else { return Ok(false) };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush()?;
        match file.get_ref().sync_all() {
            // Pipes and devices are no disk.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(true),
            synced => synced.map(|()| true),
        }
    }
}

/// A field that cannot end itself or its record.
fn clean(field: &str) -> String {
    field.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_follow_the_names_of_their_columns_and_fields_stay_fields() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.tsv");
        let path = path.to_str().expect("UTF-8");
        let tsv = Tsv::create(path, &["a", "b"]).expect("writable");
        tsv.record(&["", "1\t2\n"]).expect("written");
        let content = std::fs::read_to_string(path).expect("at once");
        assert_eq!(content, "a\tb\n\t1\u{fffd}2\u{fffd}\n");
        assert!(tsv.flush().expect("flushed"));
        assert!(!Tsv::Nowhere.flush().expect("nothing to do"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = Tsv::create("/nowhere/at/all.tsv", &[]).expect_err("no such folder");
        assert!(error.starts_with("cannot write /nowhere/at/all.tsv: "), "{error}");
    }
}
