//! The session that is kept between runs, `session.json` beside the login, and the lock that lets one
//! process at a time ask for a new one.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Session, Wish};
use crate::{Error, auth::file, http::Service, output};

/// How long another process may hold the lock: as long as it may take to ask the proxy, and a bit.
const LOCK_MAX: Duration = Duration::from_secs(12);

/// A session and what it was asked for (the contract, section 4.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    proxy_url: String,
    client_id: String,
    topics: Vec<String>,
    capabilities: Vec<String>,
    expose_amount: u32,
    session: Session,
}

/// Where sessions come from.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    service: Service,
    wish: Wish,
    path: PathBuf,
}

impl Sessions {
    /// Sessions of a proxy, kept beside the login that `auth` names.
    pub(crate) fn new(service: Service, wish: Wish, auth: &Path) -> Self {
        Self { service, wish, path: json_path(auth) }
    }

    /// Returns the session that is kept, if it will do, and whether it is that; else a new one.
    ///
    /// # Errors
    ///
    /// Returns an error if the proxy gives none.
    pub(crate) async fn kept_or_new(&self) -> Result<(Session, bool), Error> {
        let _lock = lock(&self.path).await;
        if let Some(kept) = load(&self.path)
            && kept.will_do(self.service.base(), &self.wish, Timestamp::now())
        {
            return Ok((kept.session, true));
        }
        Ok((self.ask().await?, false))
    }

    /// Returns a new session.
    ///
    /// # Errors
    ///
    /// Returns an error if the proxy gives none.
    pub(crate) async fn new_one(&self) -> Result<Session, Error> {
        let _lock = lock(&self.path).await;
        self.ask().await
    }

    async fn ask(&self) -> Result<Session, Error> {
        let session = self.wish.ask(&self.service).await?;
        let Wish { client_id, topics, capabilities, expose_amount } = self.wish.clone();
        let proxy_url = self.service.base().to_owned();
        let session_kept = session.clone();
        let kept = Kept {
            proxy_url,
            client_id,
            topics,
            capabilities,
            expose_amount,
            session: session_kept,
        };
        let json =
            serde_json::to_vec_pretty(&kept).map_err(|error| Error::Failed(error.to_string()))?;
        // Without the file the next run asks again: no reason to fail.
        if let Err(error) = file::write(&self.path, &json) {
            output::note(&format!("the session is not kept: {error}"));
        }
        Ok(session)
    }
}

impl Kept {
    /// Tells whether it serves a wish.
    fn will_do(&self, proxy_url: &str, wish: &Wish, now: Timestamp) -> bool {
        let names_enough = self.expose_amount >= wish.expose_amount
            || self.session.nodes.len() >= wish.expose_amount as usize;
        self.proxy_url == proxy_url
            && self.client_id == wish.client_id
            && self.capabilities == wish.capabilities
            && wish.topics.iter().all(|topic| self.topics.contains(topic))
            && names_enough
            && !self.session.nodes.is_empty()
            && self.session.is_fresh(now)
    }
}

/// Forgets the session that is kept.
///
/// # Errors
///
/// Returns an error if a file stays.
pub(crate) fn forget(auth: &Path) -> Result<(), Error> {
    let path = json_path(auth);
    file::remove(&path)?;
    file::remove(&path.with_extension("lock"))?;
    Ok(())
}

fn json_path(auth: &Path) -> PathBuf {
    file::folder(auth).join("session.json")
}

/// Reads the file. A broken one is as good as none.
fn load(path: &Path) -> Option<Kept> {
    serde_json::from_str(&file::read(path).ok()??).ok()
}

/// Takes the lock. Without it, two processes may ask the proxy at once, which does no harm.
async fn lock(path: &Path) -> Option<File> {
    file::lock(&path.with_extension("lock"), LOCK_MAX).await.ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{OpenOptions, TryLockError};

    use super::*;
    use crate::direct::session::tests::session;

    fn wish() -> Wish {
        Wish {
            client_id: "c".to_owned(),
            topics: vec!["t".to_owned()],
            capabilities: vec!["publish".to_owned()],
            expose_amount: 2,
        }
    }

    fn kept() -> Kept {
        let Wish { client_id, topics, capabilities, expose_amount } = wish();
        let proxy_url = "http://p".to_owned();
        Kept { proxy_url, client_id, topics, capabilities, expose_amount, session: session(2) }
    }

    #[test]
    fn a_session_serves_again_only_for_the_same_proxy_client_use_topic_and_enough_nodes() {
        let now = "2026-01-02T03:00:00Z".parse().expect("a time");
        let will_do = |wish: &Wish| kept().will_do("http://p", wish, now);
        assert!(will_do(&wish()));
        assert!(will_do(&Wish { expose_amount: 1, ..wish() }), "more than enough");
        assert!(!will_do(&Wish { expose_amount: 3, ..wish() }));
        assert!(!will_do(&Wish { client_id: "d".to_owned(), ..wish() }));
        assert!(!will_do(&Wish { topics: vec!["t".to_owned(), "u".to_owned()], ..wish() }));
        assert!(!will_do(&Wish { capabilities: vec!["subscribe".to_owned()], ..wish() }));
        assert!(!kept().will_do("http://q", &wish(), now));
        let late = "2026-01-02T03:50:00Z".parse().expect("a time");
        assert!(!kept().will_do("http://p", &wish(), late));
        let few = Kept { session: session(1), ..kept() };
        assert!(few.will_do("http://p", &wish(), now), "the proxy has no more");
    }

    #[tokio::test]
    async fn a_lock_that_was_left_behind_is_no_lock_and_one_that_is_held_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/session.json");
        file::make_folder(&folder.path().join("new")).expect("made");
        std::fs::write(path.with_extension("lock"), "12345").expect("left behind");
        let held = lock(&path).await.expect("nobody holds it");
        let other =
            OpenOptions::new().write(true).open(path.with_extension("lock")).expect("there");
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        assert!(other.try_lock().is_ok());
    }

    #[test]
    fn a_broken_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("session.json");
        assert_eq!(load(&path), None);
        std::fs::write(&path, "{\"proxy_url\":").expect("written");
        assert_eq!(load(&path), None);
        std::fs::write(&path, serde_json::to_vec(&kept()).expect("JSON")).expect("written");
        assert_eq!(load(&path), Some(kept()));
    }
}
