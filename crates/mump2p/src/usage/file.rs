//! The file that keeps the counters, `<subject>_usage.json` beside the login.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::Counters;
use crate::{Error, auth::file, output};

/// How long another process may hold the lock, which it takes for one reading and writing.
const LOCK_MAX: Duration = Duration::from_secs(5);

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
    let mut counters = match file::read(path)? {
        Some(text) if !text.trim().is_empty() => {
            serde_json::from_str(&text).unwrap_or_else(|error| {
                let path = path.display();
                output::note(&format!("{path} is broken ({error}); counting begins anew"));
                Counters::default()
            })
        }
        _ => Counters::default(),
    };
    counters.roll(now);
    Ok(counters)
}

/// Reads the counters, rolled to `now`, changes them and writes them back in one step, while no other
/// process does: a lock beside the file sees to that.
///
/// # Errors
///
/// Returns an error if the file cannot be read or written, or another process keeps the lock.
pub(crate) async fn update<T>(
    path: &Path,
    now: Timestamp,
    change: impl FnOnce(&mut Counters) -> T,
) -> Result<T, Error> {
    let failed = |error: std::io::Error| {
        Error::Failed(format!("cannot count in {}: {error}", path.display()))
    };
    let _lock = file::lock(&path.with_extension("lock"), LOCK_MAX).await.map_err(failed)?;
    let mut counters = look(path, now)?;
    let result = change(&mut counters);
    let json = serde_json::to_string(&counters).map_err(|error| failed(error.into()))?;
    file::write(path, json.as_bytes())?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn counters_are_kept_between_runs_and_a_broken_file_begins_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = path(&folder.path().join("sub/auth.yml"), Some("auth0|u1"));
        assert!(path.ends_with("sub/auth0|u1_usage.json"));
        let now = Timestamp::from_second(1_700_000_000).expect("a time");
        for expected in 1..=3 {
            let count = update(&path, now, |counters| {
                counters.published(7, now);
                counters.publish_count
            })
            .await;
            assert_eq!(count.expect("counted"), expected);
        }
        assert_eq!(look(&path, now).expect("readable").publish_count, 3);
        std::fs::write(&path, "{\"PublishCount\":").expect("written");
        assert_eq!(update(&path, now, |counters| counters.publish_count).await.expect("anew"), 0);
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
