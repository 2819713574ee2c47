//! The file that keeps the counters, `<subject>_usage.json` beside the login.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::Counters;
use crate::{Error, auth::file, output};

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Returns where the counters of a subject are; `default` for none.
pub(crate) fn path(auth: &Path, subject: Option<&str>) -> PathBuf {
    let subject = subject.filter(|subject| !subject.is_empty()).unwrap_or("default");
    // It comes out of a token: it must not lead elsewhere, nor be longer than a name may be.
    let name: String =
        subject.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
    let mut end = name.len().min(200);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    file::folder(auth).join(format!("{}_usage.json", &name[..end]))
}

/// Reads the counters, rolled to `now`, and leaves everything as it is.
///
/// # Errors
///
/// Returns an error if the file is there and cannot be read.
pub(crate) fn look(path: &Path, now: Timestamp) -> Result<Counters, Error> {
    let failed =
        |error: std::io::Error| Error::Failed(format!("cannot read {}: {error}", path.display()));
    let mut counters = match File::open(path) {
        Ok(mut file) => {
            // Whoever writes empties it first.
            file.lock_shared().map_err(failed)?;
            read(&mut file, path).map_err(failed)?
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Counters::default(),
        Err(error) => return Err(failed(error)),
    };
    counters.roll(now);
    Ok(counters)
}

/// Reads the counters, rolled to `now`, changes them and writes them back, while no other process
/// does.
///
/// # Errors
///
/// Returns an error if the file cannot be read or written.
pub(crate) fn update<T>(
    path: &Path,
    now: Timestamp,
    change: impl FnOnce(&mut Counters) -> T,
) -> Result<T, Error> {
    let failed = |error: std::io::Error| {
        Error::Failed(format!("cannot count in {}: {error}", path.display()))
    };
    file::make_folder(file::folder(path)).map_err(failed)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    // The kernel gives it up with the file, also when the process is killed.
    file.lock().map_err(failed)?;
    let mut counters = read(&mut file, path).map_err(failed)?;
    counters.roll(now);
    let result = change(&mut counters);
    let json = serde_json::to_string(&counters).map_err(|error| failed(error.into()))?;
    file.rewind()
        .and_then(|()| file.set_len(0))
        .and_then(|()| file.write_all(json.as_bytes()))
        .map_err(failed)?;
    Ok(result)
}

fn read(file: &mut File, path: &Path) -> std::io::Result<Counters> {
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    if text.trim_ascii().is_empty() {
        return Ok(Counters::default());
    }
    Ok(serde_json::from_slice(&text).unwrap_or_else(|error| {
        output::note(&format!("{} is broken ({error}); counting begins anew", path.display()));
        Counters::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_kept_between_runs_and_a_broken_file_begins_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = path(&folder.path().join("sub/auth.yml"), Some("auth0|u1"));
        assert!(path.ends_with("sub/auth0|u1_usage.json"));
        let now = Timestamp::from_second(1_700_000_000).expect("a time");
        for expected in 1..=3 {
            let count = update(&path, now, |counters| {
                counters.published(7, now);
                counters.publish_count
            });
            assert_eq!(count.expect("counted"), expected);
        }
        assert_eq!(look(&path, now).expect("readable").publish_count, 3);
        std::fs::write(&path, "{\"PublishCount\":").expect("written");
        assert_eq!(update(&path, now, |counters| counters.publish_count).expect("anew"), 0);
    }

    #[test]
    fn a_look_leaves_no_file_behind_and_names_one_that_cannot_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sub/default_usage.json");
        let now = Timestamp::from_second(1_700_000_000).expect("a time");
        assert_eq!(look(&path, now).expect("none is sound").last_reset, now);
        assert!(!path.exists() && !folder.path().join("sub").exists());
        let error = look(folder.path(), now).expect_err("a folder").to_string();
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
    }

    #[test]
    fn a_subject_does_not_lead_to_another_folder() {
        let auth = Path::new("/home/u/.mump2p/auth.yml");
        let name = |subject| path(auth, subject).display().to_string();
        assert_eq!(name(None), "/home/u/.mump2p/default_usage.json");
        assert_eq!(name(Some("../../etc/x")), "/home/u/.mump2p/.._.._etc_x_usage.json");
        assert!(name(Some(&"é".repeat(4000))).len() < 255);
    }
}
