//! A stack of processes under a load in which everything happens that a panel shows.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use e2e::{
    node_process::{NodeProcess, cluster},
    proxy_process::{ProxyCommand, ProxyProcess},
    reader::Reader,
};
use serde_json::{Value, json};
use servers::{
    issuer::{AUDIENCE, ISSUER, Key, Server, with},
    redis::RedisServer,
};

/// The topic of the coded cluster; that of the other one.
const TOPICS: [&str; 2] = ["load", "plain"];

/// Between two rounds of the load.
const ROUND: Duration = Duration::from_millis(100);

/// Nodes in both modes, proxies without and with authentication.
pub(crate) struct Stack {
    coded: Vec<NodeProcess>,
    plain: Vec<NodeProcess>,
    open: ProxyProcess,
    guarded: ProxyProcess,
    key: Key,
    /// None where Redis is not installed.
    redis: Option<RedisServer>,
    _issuer: Server,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        let place = [("GEO_LATITUDE", "52.52"), ("GEO_LONGITUDE", "13.405")];
        let coded = cluster(4, |node| {
            place.iter().fold(node.with("GEO_COUNTRY_ISO", "DE"), |node, (k, v)| node.with(k, v))
        });
        let coded = coded.await;
        let plain =
            cluster(2, |node| node.with("CLUSTER_ID", "e2e-plain").with("NODE_MODE", "gossipsub"));
        let plain = plain.await;
        let key = Key::new("k1");
        let issuer = Server::start(&[&key]).await;
        let redis = RedisServer::start().await;
        let open = ProxyCommand::new(&coded).start().await;
        let guarded = ProxyCommand::new(&coded)
            .with("ENABLE_AUTH", "true")
            .with("AUTH0_AUDIENCE", AUDIENCE)
            .with("JWT_ISSUER", ISSUER)
            .with("JWKS_URL", issuer.url());
        let guarded = match &redis {
            Some(redis) => guarded.with("REDIS_URL", redis.url()),
            None => guarded,
        };
        let guarded = guarded.start().await;
        for proxy in [&open, &guarded] {
            proxy.until_nodes(coded.len()).await;
        }
        Self { coded, plain, open, guarded, key, redis, _issuer: issuer }
    }

    pub(crate) fn has_redis(&self) -> bool {
        self.redis.is_some()
    }

    /// Returns where the metrics of the nodes are.
    pub(crate) fn nodes(&self) -> Vec<SocketAddr> {
        self.coded.iter().chain(&self.plain).map(|node| node.api).collect()
    }

    /// Returns where the metrics of the proxies are.
    pub(crate) fn proxies(&self) -> Vec<SocketAddr> {
        vec![self.open.http, self.guarded.http]
    }

    /// Publishes and reads for ever.
    pub(crate) async fn load(&self) {
        let mut plain = Vec::new();
        for node in &self.plain {
            plain.push(Reader::subscribed(node.sidecar, TOPICS[1]).await);
        }
        let direct = Reader::subscribed(self.coded[0].sidecar, TOPICS[0]).await;
        for (client, threshold) in [("socket", 0.7), ("stream", 1.0), ("nobody", 0.1)] {
            self.open.subscribe(client, TOPICS[0], threshold).await;
        }
        let (mut socket, mut stream) =
            (self.open.socket("socket").await, self.open.stream("stream").await);
        let read = async {
            loop {
                tokio::join!(socket.text(), stream.text());
            }
        };
        let publish = async {
            let mut round = tokio::time::interval(ROUND);
            for number in 0_u64.. {
                round.tick().await;
                self.publish(number).await;
                self.refused().await;
                let sent = Bytes::from(format!("direct {number} {}", "y".repeat(2000)));
                direct.publish(TOPICS[0], &sent).await;
                direct.publish(TOPICS[0], &Bytes::new()).await;
                plain[0].publish(TOPICS[1], &sent).await;
            }
        };
        tokio::join!(read, publish);
    }

    /// Publishes at both proxies what is to be taken.
    async fn publish(&self, number: u64) {
        let text = format!("message {number} {}", "x".repeat(5000));
        let (status, answer) = self.open.publish("publisher", TOPICS[0], &text).await;
        assert_eq!(status, 200, "{answer}");
        // One a second is within the limits of this account, the others are not.
        let token = self.key.token(&with("max_publish_per_sec", 1.into()));
        let body = json!({"topic": TOPICS[0], "message": format!("account's {number}")});
        self.guarded.post_with_token("/api/v1/publish", &body, &token).await;
    }

    /// Publishes what is to be refused.
    async fn refused(&self) {
        let post = async |body: Value| self.open.post("/api/v1/publish", &body).await;
        let refused = [
            self.open.publish("publisher", "nobody's", "x").await,
            self.open.publish("publisher", TOPICS[0], "").await,
            post(json!("no object")).await,
            // Longer than the nodes take.
            post(json!({"client_id": "p", "topic": TOPICS[0], "message_length": 3 << 20})).await,
        ];
        for (status, answer) in refused {
            assert!((400..500).contains(&status), "{status}: {answer}");
        }
    }
}
