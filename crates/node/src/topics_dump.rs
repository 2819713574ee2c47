//! `topics.dump` in `IDENTITY_DIR`: what the node is subscribed to for good, across restarts. A
//! checksum, framed as that of the key file, then a JSON array of topics.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use gossip::Topic;
use tokio::sync::watch;
use tracing::{info, warn};

const FILE_NAME: &str = "topics.dump";

/// Where a file goes that cannot be read.
const KEPT_ASIDE: &str = "topics.dump.corrupt";

/// Reads the topics of `folder`. Whatever is wrong is logged, and the node starts all the same: a
/// file that is not sound is kept aside under another name.
pub(crate) fn load(folder: &Path) -> BTreeSet<Topic> {
    let path = folder.join(FILE_NAME);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            info!(path = %path.display(), "no topics are kept from an earlier run");
            return BTreeSet::new();
        }
        Err(error) => {
            warn!(path = %path.display(), %error, "the topics of the earlier run cannot be read");
            return BTreeSet::new();
        }
    };
    decode(&bytes).unwrap_or_else(|problem| {
        let aside = folder.join(KEPT_ASIDE);
        let renamed = fs::rename(&path, &aside);
        warn!(
            path = %path.display(), problem, kept_aside = %aside.display(), ?renamed,
            "the topics of the earlier run are lost: the file is not sound"
        );
        BTreeSet::new()
    })
}

fn decode(bytes: &[u8]) -> Result<BTreeSet<Topic>, String> {
    let json = identity::unframe(bytes).map_err(|error| error.to_string())?;
    let names: Vec<String> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let filled = names.iter().filter(|name| !name.trim().is_empty());
    filled.map(|name| Topic::new(name).map_err(|error| error.to_string())).collect()
}

fn encode(topics: &BTreeSet<Topic>) -> Vec<u8> {
    let names: Vec<_> = topics.iter().map(Topic::as_str).collect();
    identity::frame(serde_json::Value::from(names).to_string().as_bytes())
}

/// Keeps the file as the newest set of topics is.
#[derive(Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    failures: Arc<AtomicU64>,
}

impl Writer {
    /// Writes into `folder`; what goes wrong is counted in `failures`.
    pub(crate) fn new(folder: &Path, failures: Arc<AtomicU64>) -> Self {
        Self { path: folder.join(FILE_NAME), failures }
    }

    /// Writes whenever the topics changed, the newest only, until the other end is dropped. What
    /// could not be written is tried again with the next change and at the end.
    pub(crate) async fn run(self, mut topics: watch::Receiver<BTreeSet<Topic>>) {
        let mut is_missing = false;
        loop {
            let changed = topics.changed().await.is_ok();
            if changed || is_missing {
                let bytes = encode(&topics.borrow_and_update());
                is_missing = !self.write(bytes).await;
            }
            if !changed {
                return;
            }
        }
    }

    async fn write(&self, bytes: Vec<u8>) -> bool {
        let path = self.path.clone();
        let write = move || identity::write_atomically(&path, &bytes);
        let written = tokio::task::spawn_blocking(write)
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        if let Err(error) = &written {
            self.failures.fetch_add(1, Ordering::Relaxed);
            warn!(path = %self.path.display(), %error, "the topics are not kept for the next run");
        }
        written.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(names: &[&str]) -> BTreeSet<Topic> {
        names.iter().map(|name| Topic::new(name).expect("a topic")).collect()
    }

    /// Writes the last of several changes and ends.
    async fn write(folder: &Path, changes: &[&[&str]]) -> u64 {
        let failures = Arc::new(AtomicU64::new(0));
        let writer = Writer::new(folder, Arc::clone(&failures));
        let sender = watch::Sender::new(BTreeSet::new());
        let receiver = sender.subscribe();
        for names in changes {
            sender.send_replace(topics(names));
        }
        drop(sender);
        writer.run(receiver).await;
        failures.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn what_was_subscribed_at_last_is_there_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(load(folder.path()), topics(&[]), "a missing file is no problem");
        assert_eq!(write(folder.path(), &[&["a"], &["b", "a \"quoted\" one"]]).await, 0);
        assert_eq!(load(folder.path()), topics(&["b", "a \"quoted\" one"]));
        let bytes = fs::read(folder.path().join(FILE_NAME)).expect("written");
        assert_eq!(bytes, identity::frame(br#"["a \"quoted\" one","b"]"#));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing beside it");
    }

    #[test]
    fn blank_entries_are_skipped() {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = identity::frame(br#"["", " ", "a"]"#);
        fs::write(folder.path().join(FILE_NAME), bytes).expect("written");
        assert_eq!(load(folder.path()), topics(&["a"]));
    }

    #[test]
    fn an_unsound_file_is_kept_aside() {
        for bytes in [&b"short"[..], b"12345678[]", &identity::frame(b"{}")] {
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join(FILE_NAME), bytes).expect("written");
            assert_eq!(load(folder.path()), topics(&[]));
            assert!(!folder.path().join(FILE_NAME).exists());
            assert_eq!(fs::read(folder.path().join(KEPT_ASIDE)).expect("aside"), bytes);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_counted_and_tried_again_at_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let absent = folder.path().join("absent");
        assert_eq!(write(&absent, &[&["a"]]).await, 2);
    }
}
