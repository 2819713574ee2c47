//! `auth.yml`, which keeps a login.

use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::Error;

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How often a lock that another process holds is tried.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// A login as it is kept: the keys are those of the contract, section 4.3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuthFile {
    /// The bearer token.
    pub(crate) token: String,
    /// What a new one is got with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
    /// Until when the token holds.
    pub(crate) expires_at: Timestamp,
}

impl AuthFile {
    /// Reads a file; none if it is not there.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be read or has no login in it.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, Error> {
        let Some(text) = read(path)? else { return Ok(None) };
        let kept: Self = yaml_serde::from_str(&text).map_err(|error| {
            Error::Login(format!(
                "{} is no login: {error}\n  log in again: mump2p login (or mump2p logout to remove it)",
                path.display()
            ))
        })?;
        Ok(Some(kept))
    }

    /// Writes the file, which only its owner may read, in one step.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be written.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        let yaml = yaml_serde::to_string(self).map_err(|error| Error::Failed(error.to_string()))?;
        write(path, yaml.as_bytes())
    }

    /// Returns how long the token still holds; nothing if it does not.
    pub(crate) fn remaining(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.expires_at.duration_since(now)).unwrap_or_default()
    }
}

/// Returns where the login is kept: as it is given, `~/` expanded, else `~/.mump2p/auth.yml`.
///
/// # Errors
///
/// Returns an error if the home folder is needed and not known.
pub(crate) fn path(given: Option<&Path>) -> Result<PathBuf, Error> {
    let given = given.unwrap_or(Path::new("~/.mump2p/auth.yml"));
    let Ok(rest) = given.strip_prefix("~") else { return Ok(given.to_owned()) };
    let home = env::home_dir().filter(|home| !home.as_os_str().is_empty()).ok_or_else(|| {
        Error::Usage(
            "HOME is not set; say where the login is kept with --auth-path FILE".to_owned(),
        )
    })?;
    Ok(home.join(rest))
}

/// Returns the folder of the file, where other files are kept beside it.
pub(crate) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads a file of ours; none if it is not there.
///
/// # Errors
///
/// Returns an error if it cannot be read, or is longer than any of ours.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::Failed(format!("cannot read {}: {error}", path.display()))
    };
    let bytes = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    if bytes > FILE_BYTES_MAX {
        return Err(failed(&format!("{bytes} bytes are no file of mump2p")));
    }
    fs::read_to_string(path).map(Some).map_err(|error| failed(&error))
}

/// Writes a file of ours in one step: whoever reads it sees the old or the new one.
///
/// # Errors
///
/// Returns an error if it cannot be written.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let folder = folder(path);
    let written = make_folder(folder).and_then(|()| {
        // Only its owner may read it (0600).
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    });
    written.map_err(|error| Error::Failed(format!("cannot write {}: {error}", path.display())))
}

/// Takes the lock of a file, which the kernel gives up with the process that holds it: one that was
/// left behind means nothing. Waits for another process as long as `limit`.
///
/// # Errors
///
/// Returns an error if the file cannot be made, or the other process keeps it.
pub(crate) async fn lock(path: &Path, limit: Duration) -> std::io::Result<File> {
    make_folder(folder(path))?;
    let lock =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let end = Instant::now() + limit;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            // Not by waiting in the kernel: Ctrl-C is to be heard meanwhile.
            Err(TryLockError::WouldBlock) if Instant::now() < end => sleep(LOCK_INTERVAL).await,
            Err(TryLockError::WouldBlock) => {
                let text = format!("another process keeps the lock {}", path.display());
                return Err(std::io::Error::new(ErrorKind::TimedOut, text));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Makes a folder that only its owner may enter. One that is there is left as it is.
pub(crate) fn make_folder(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Removes a file; tells whether it was there.
///
/// # Errors
///
/// Returns an error if it is there and stays.
pub(crate) fn remove(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::Failed(format!("cannot remove {}: {error}", path.display()))),
    }
}

/// Tells whether others than the owner may read a file.
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> AuthFile {
        AuthFile {
            token: "a.b.c".to_owned(),
            refresh_token: Some("r".to_owned()),
            expires_at: "2026-01-02T03:04:05Z".parse().expect("a time"),
        }
    }

    #[test]
    fn a_login_is_kept_where_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/auth.yml");
        assert_eq!(AuthFile::load(&path).expect("nothing is wrong"), None);
        sample().save(&path).expect("written");
        assert_eq!(AuthFile::load(&path).expect("readable"), Some(sample()));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("new"))), (0o600, 0o700));
        assert!(!is_open_to_others(&path));
        assert!(remove(&path).expect("removed") && !remove(&path).expect("gone"));
    }

    #[test]
    fn a_file_of_the_original_is_read() {
        let text = "token: a.b.c\nrefresh_token: r\nexpires_at: 2026-01-02T04:04:05.5+01:00\n";
        let kept: AuthFile = yaml_serde::from_str(text).expect("a login");
        assert_eq!(kept.expires_at.to_string(), "2026-01-02T03:04:05.5Z");
        let bare: AuthFile =
            yaml_serde::from_str("expires_at: \"2026-01-02T03:04:05Z\"\ntoken: t\n").expect("one");
        assert_eq!(bare.refresh_token, None);
        let written = yaml_serde::to_string(&sample()).expect("YAML");
        assert_eq!(written, "token: a.b.c\nrefresh_token: r\nexpires_at: 2026-01-02T03:04:05Z\n");
    }

    #[test]
    fn a_broken_file_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("auth.yml");
        for broken in ["", "\u{0}", "token: [", "just text", "token: t\nexpires_at: never\n"] {
            fs::write(&path, broken).expect("written");
            let error = AuthFile::load(&path).expect_err(broken);
            let text = error.to_string();
            assert!(
                text.contains("auth.yml is no login") && text.contains("mump2p login"),
                "{text}"
            );
            assert_eq!(error.exit_code(), 4);
        }
        fs::write(&path, vec![b'a'; 2 << 20]).expect("written");
        assert!(AuthFile::load(&path).is_err(), "too long");
    }

    #[test]
    fn a_tilde_is_the_home_folder_and_other_paths_are_as_they_are() {
        assert_eq!(path(Some(Path::new("a/auth.yml"))).expect("a path"), Path::new("a/auth.yml"));
        let home = env::home_dir().expect("a home");
        assert_eq!(path(Some(Path::new("~/x.yml"))).expect("a path"), home.join("x.yml"));
        assert_eq!(path(None).expect("a path"), home.join(".mump2p/auth.yml"));
        assert_eq!(folder(Path::new("auth.yml")), Path::new("."));
    }

    #[test]
    fn a_token_holds_until_its_time_and_not_below_zero() {
        let kept = sample();
        let before = "2026-01-02T03:03:05Z".parse().expect("a time");
        assert_eq!(kept.remaining(before), Duration::from_secs(60));
        let after = "2026-01-02T03:05:05Z".parse().expect("a time");
        assert_eq!(kept.remaining(after), Duration::ZERO);
    }
}
