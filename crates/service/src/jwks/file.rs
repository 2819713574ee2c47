//! Keys from a file, read again when it changes.

use std::{io, path::PathBuf, sync::Arc, time::SystemTime};

use token::{Algorithm, Head};
use tokio::sync::Mutex;
use tracing::warn;

use super::{
    KEYS_BYTES_MAX, KeysError,
    set::{Key, KeySet, Missing},
};

/// The file's time and length.
type Stamp = (Option<SystemTime>, u64);

#[derive(Debug)]
pub(super) struct FileKeys {
    path: PathBuf,
    algorithms: &'static [Algorithm],
    /// What was read, and the stamp then.
    read: Mutex<(Stamp, KeySet)>,
}

impl FileKeys {
    pub(super) async fn new(
        path: PathBuf,
        algorithms: &'static [Algorithm],
    ) -> Result<Self, KeysError> {
        let read = Mutex::new(read(&path, algorithms).await?);
        Ok(Self { path, algorithms, read })
    }

    pub(super) async fn find(&self, head: &Head) -> Result<Arc<Key>, Missing> {
        let mut current = self.read.lock().await;
        let is_changed = stamp(&self.path).await.is_ok_and(|stamp| stamp != current.0);
        if is_changed {
            match read(&self.path, self.algorithms).await {
                Ok(read) => *current = read,
                Err(error) => {
                    let path = self.path.display();
                    warn!(%path, %error, "a file of keys is broken; the old ones stay");
                }
            }
        }
        current.1.choose(head)
    }
}

async fn stamp(path: &PathBuf) -> io::Result<Stamp> {
    let metadata = tokio::fs::metadata(path).await?;
    Ok((metadata.modified().ok(), metadata.len()))
}

async fn read(
    path: &PathBuf,
    algorithms: &'static [Algorithm],
) -> Result<(Stamp, KeySet), KeysError> {
    let failed = |error| KeysError::Read { path: path.display().to_string(), error };
    // The time first: a change during the read is seen as one the next time.
    let stamp = stamp(path).await.map_err(failed)?;
    if stamp.1 > KEYS_BYTES_MAX as u64 {
        return Err(KeysError::TooLong);
    }
    let json = tokio::fs::read(path).await.map_err(failed)?;
    Ok((stamp, KeySet::parse(&json, algorithms)?))
}
