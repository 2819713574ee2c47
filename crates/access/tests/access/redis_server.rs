//! The store of a proxy on a Redis of the test's own.

use std::time::Duration;

use access::{OnFailure, RedisConfig, Store};
use redis::aio::MultiplexedConnection;
pub(crate) use servers::redis::RedisServer;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns from a test, and says so, where there is no Redis; script/test.sh makes it a failure of
/// CI.
macro_rules! redis_or_skip {
    () => {
        $crate::redis_server::redis_or_skip!($crate::redis_server::RedisServer::start())
    };
    ($start:expr) => {
        match $start.await {
            Some(server) => $crate::redis_server::Shared(server),
            None => {
                println!("skipped: redis-server is missing; apt-get install redis-server");
                return;
            }
        }
    };
}
pub(crate) use redis_or_skip;

/// A Redis that stores share.
pub(crate) struct Shared(pub(crate) RedisServer);

impl Shared {
    pub(crate) fn config(&self, on_failure: OnFailure) -> RedisConfig {
        RedisConfig { url: self.0.url().to_owned(), on_failure }
    }

    /// The store of a proxy.
    pub(crate) fn store(&self, on_failure: OnFailure) -> Store {
        Store::shared(&self.config(on_failure), "c").expect("a URL")
    }

    /// A connection of the test's own.
    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.0.url()).expect("a URL");
        client.get_multiplexed_async_connection().await.expect("it listens")
    }
}

/// Calls until Redis answers the store again.
pub(crate) async fn until_it_is_back(store: &Store) {
    let answered = async {
        loop {
            // Whatever the answer is.
            drop(store.subscriptions("nobody").await);
            if store.counts().redis_is_there == Some(true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("it is asked again");
}
