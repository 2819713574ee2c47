//! A temporary folder that a later devnet removes where this one could not, because it was killed.
//!
//! Whoever uses it holds a lock on a file in it for as long as it lives. A folder whose lock is free is
//! nobody's.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use tempfile::TempDir;

/// What the names of such folders begin with.
const PREFIX: &str = "devnet-scratch-";

/// Its lock.
const LOCK: &str = "lock";

/// The lock before it is held.
const NEW_LOCK: &str = "new-lock";

/// Such a folder; removed when dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes one among the temporary files of the system.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no room for it.
    pub(crate) fn new() -> io::Result<Self> {
        Self::within(&std::env::temp_dir())
    }

    fn within(parent: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let (new, held) = (folder.path().join(NEW_LOCK), folder.path().join(LOCK));
        let lock = File::create(&new)?;
        lock.try_lock().map_err(io::Error::from)?;
        // It has its name when it is held, so that nobody takes it for a free one.
        fs::rename(new, held)?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders of this user that nobody uses any more. What cannot be removed stays.
pub(crate) fn remove_left() {
    remove_left_within(&std::env::temp_dir());
}

fn remove_left_within(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let is_one = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_one && is_left(&entry.path()).unwrap_or(false) {
            let _kept = fs::remove_dir_all(entry.path());
        }
    }
}

/// Others write among the temporary files too: nothing of theirs is opened.
fn is_left(folder: &Path) -> io::Result<bool> {
    let (lock, own) = (folder.join(LOCK), rustix::process::geteuid().as_raw());
    let (found, locked) = (fs::symlink_metadata(folder)?, fs::symlink_metadata(&lock)?);
    let is_own = found.is_dir() && locked.is_file() && [found.uid(), locked.uid()] == [own; 2];
    Ok(is_own && File::open(lock)?.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_any_more_is_removed() {
        let parent = tempfile::tempdir().expect("a folder");
        let used = Scratch::within(parent.path()).expect("room");
        let left = Scratch::within(parent.path()).expect("room");
        fs::write(left.path().join("data"), "x").expect("room");
        // Killed: the lock goes with the process, the folder stays.
        let Scratch { folder, _lock: lock } = left;
        let left = folder.keep();
        drop(lock);
        let just_made = parent.path().join(format!("{PREFIX}just-made"));
        let other = parent.path().join("other");
        for folder in [&just_made, &other] {
            fs::create_dir(folder).expect("room");
        }
        fs::write(other.join(LOCK), "").expect("room");
        std::os::unix::fs::symlink(&other, parent.path().join(format!("{PREFIX}link")))
            .expect("room");
        remove_left_within(parent.path());
        assert!(!left.exists());
        assert!(used.path().exists() && just_made.exists() && other.join(LOCK).exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }
}
