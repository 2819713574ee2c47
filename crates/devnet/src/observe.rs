//! Watches every node through its public face, and keeps the picture of the cluster.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::anyhow;
use api::StreamOptions;
use cli::client::{Commands, Sidecar};
use node::{Handle, PeerStatus, Status};
use tokio::{sync::watch, task::JoinSet, time::MissedTickBehavior};
use tracing::warn;

use crate::{
    cluster::Cluster,
    picture::{
        Picture, Standing,
        sighting::{self, Names},
    },
};

/// The topic of the first message, which every node subscribes.
pub(crate) const TOPIC: &str = "devnet";

/// How often nodes are asked how they stand.
const STANDING_INTERVAL: Duration = Duration::from_millis(500);

/// The picture, and whoever wants to know when it changes.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    picture: Mutex<Picture>,
    version: watch::Sender<u64>,
}

impl Watched {
    /// Looks at the picture.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Picture) -> T) -> T {
        at(&self.picture.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns a receiver of the picture's versions.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut Picture)) {
        let mut picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut picture);
        let version = picture.version();
        drop(picture);
        self.version.send_if_modified(|known| {
            let newer = *known != version;
            *known = version;
            newer
        });
    }
}

/// The tasks that watch; they end with it.
#[derive(Debug)]
pub(crate) struct Observers {
    _tasks: JoinSet<()>,
}

impl Observers {
    /// Opens a stream at every node, subscribes [`TOPIC`], and watches from then on.
    ///
    /// # Errors
    ///
    /// Returns an error if a node does not let itself be watched.
    pub(crate) async fn of(cluster: &Cluster, watched: &Arc<Watched>) -> anyhow::Result<Self> {
        let members = cluster.members();
        let ids = members.iter().map(|member| (member.running.peer_id().to_bytes(), member.number));
        let names: Arc<Names> = Arc::new(ids.collect());
        let mut tasks = JoinSet::new();
        for member in members {
            let address = member.running.sidecar_address().to_string();
            let commands = open(&address);
            let commands =
                commands.await.map_err(|why| anyhow!("node {}: {why}", member.number))?;
            let (watched, names) = (Arc::clone(watched), Arc::clone(&names));
            tasks.spawn(watch_stream(member.number, commands, names, watched));
        }
        let handles = members.iter().map(|member| (member.number, member.running.handle().clone()));
        tasks.spawn(watch_standing(handles.collect(), names, Arc::clone(watched)));
        Ok(Self { _tasks: tasks })
    }
}

async fn open(address: &str) -> anyhow::Result<Commands> {
    let options = StreamOptions { payloads: false, losses: true, ..StreamOptions::default() };
    let commands = Sidecar::connect(address).await?.listen_with(&options).await?;
    let subscribed = commands.subscribe(TOPIC).await;
    subscribed.map_err(|_| anyhow!("the node closed the stream"))?;
    Ok(commands)
}

async fn watch_stream(
    number: u16,
    mut commands: Commands,
    names: Arc<Names>,
    watched: Arc<Watched>,
) {
    loop {
        match commands.responses.message().await {
            Ok(Some(response)) => {
                if let Some(sighting) = sighting::read(&response, &names) {
                    watched.change(|picture| picture.see(number, sighting));
                }
            }
            Ok(None) => return,
            Err(error) => {
                warn!(node = number, %error, "a node can be watched no more");
                return;
            }
        }
    }
}

async fn watch_standing(handles: BTreeMap<u16, Handle>, names: Arc<Names>, watched: Arc<Watched>) {
    let mut interval = tokio::time::interval(STANDING_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        for (number, handle) in &handles {
            let Ok(status) = handle.status().await else { return };
            watched.change(|picture| picture.stands(*number, standing(status, &names)));
        }
    }
}

fn standing(status: Status, names: &Names) -> Standing {
    let mut standing = Standing {
        peers: status.peers.len(),
        topics: status.topics.into_iter().collect(),
        ..Standing::default()
    };
    for PeerStatus { peer, mesh, .. } in status.peers {
        let Some(number) = names.get(&peer.to_bytes()) else { continue };
        for topic in mesh {
            standing.mesh.entry(topic).or_default().insert(*number);
        }
    }
    standing
}
