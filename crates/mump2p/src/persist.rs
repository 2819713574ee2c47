//! The file that `--persist` keeps messages in.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::Error;

/// The name of the file in a folder.
const NAME: &str = "messages.log";

/// An open file, appended to.
#[derive(Debug)]
pub(crate) struct Persist {
    path: PathBuf,
    file: File,
}

impl Persist {
    /// Opens it: `path`, or `messages.log` in it if it is a folder or ends with a slash. Folders that
    /// are missing are made.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be written.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let path = file_of(path);
        let opened = (|| {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                fs::create_dir_all(folder)?;
            }
            OpenOptions::new().append(true).create(true).mode(0o644).open(&path)
        })();
        match opened {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(Error::Failed(format!(
                "cannot write to {} (--persist): {error}; it must be a file or a folder that you may write",
                path.display()
            ))),
        }
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a message as a line of its own, with the topic where one is given.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be written.
    pub(crate) fn append(
        &mut self,
        now: Timestamp,
        topic: Option<&str>,
        payload: &[u8],
    ) -> Result<(), Error> {
        let line = line(now, topic, payload);
        self.file.write_all(&line).map_err(|error| {
            Error::Failed(format!("cannot write to {} (--persist): {error}", self.path.display()))
        })
    }
}

fn file_of(path: &Path) -> PathBuf {
    let ends_with_slash = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    if ends_with_slash || path.is_dir() { path.join(NAME) } else { path.to_owned() }
}

fn line(now: Timestamp, topic: Option<&str>, payload: &[u8]) -> Vec<u8> {
    let topic = topic.map(|topic| format!("[{topic}] ")).unwrap_or_default();
    let second = now.strftime("%Y-%m-%dT%H:%M:%SZ");
    [format!("[{second}] {topic}").as_bytes(), payload, b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_time_perhaps_topic_and_message() {
        let now = "2026-01-02T03:04:05.678Z".parse().expect("a time");
        assert_eq!(line(now, Some("t"), b"hi"), b"[2026-01-02T03:04:05Z] [t] hi\n");
        assert_eq!(line(now, None, b"\xff"), b"[2026-01-02T03:04:05Z] \xff\n");
    }

    #[test]
    fn messages_are_appended_to_a_file_or_in_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let given = folder.path().join("new/");
        for _ in 0..2 {
            let mut persist = Persist::open(&given).expect("writable");
            persist.append(Timestamp::now(), None, b"hi").expect("written");
        }
        let text = fs::read_to_string(folder.path().join("new/messages.log")).expect("there");
        assert_eq!(text.matches("] hi\n").count(), 2);
        assert_eq!(file_of(folder.path()), folder.path().join(NAME));
        assert_eq!(file_of(&folder.path().join("x.log")), folder.path().join("x.log"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = Persist::open(Path::new("/proc/nowhere/x")).expect_err("not writable");
        assert!(error.to_string().contains("/proc/nowhere/x (--persist)"), "{error}");
    }
}
