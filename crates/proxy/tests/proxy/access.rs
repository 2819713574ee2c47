//! Tokens, limits, sessions, and state that proxies share.

use access::{AccessConfig, AuthConfig, OnFailure, RedisConfig};
use api::proxy::SessionRequest;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};
use servers::{
    issuer::{AUDIENCE, ISSUER, Key, Server, claims, unix_seconds, with},
    redis::RedisServer,
};
use service::jwks::{Keys, Rules};
use token::Algorithm;
use tokio_tungstenite::tungstenite::{
    client::IntoClientRequest as _, protocol::frame::coding::CloseCode,
};
use tonic::Code;

use crate::{
    harness::{Proxy, Socket, config, until},
    puppet::Puppet,
};

struct Guarded {
    node: Puppet,
    proxy: Proxy,
    key: Key,
    _issuer: Server,
}

async fn guarded() -> Guarded {
    let key = Key::new("k1");
    let issuer = Server::start(&[&key]).await;
    let node = Puppet::start().await;
    let mut settings = config(&[&node]);
    settings.access.auth = Some(AuthConfig {
        jwks: issuer.url().to_owned(),
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
    });
    let proxy = Proxy::start(settings).await;
    Guarded { node, proxy, key, _issuer: issuer }
}

impl Guarded {
    async fn post(&self, path: &str, token: &str, body: Value) -> (u16, Option<String>, String) {
        let request = self.proxy.request(path).header(AUTHORIZATION, format!("Bearer {token}"));
        let answer = request.body(body.to_string()).send().await.expect("an answer");
        let retry =
            answer.headers().get("retry-after").map(|v| v.to_str().expect("text").to_owned());
        (answer.status().as_u16(), retry, answer.text().await.expect("a body"))
    }

    async fn socket(&self, token: &str) -> Socket {
        let url = format!("ws://{}/api/v1/ws?client_id=whoever", self.proxy.running.http_address());
        let mut request = url.into_client_request().expect("a request");
        let value = format!("Bearer {token}").parse().expect("a header");
        request.headers_mut().insert("authorization", value);
        Socket(tokio_tungstenite::connect_async(request).await.expect("a WebSocket").0)
    }
}

#[tokio::test]
async fn with_authentication_on_a_token_says_who_a_client_is_and_some_pages_stay_open() {
    let guarded = guarded().await;
    let subscribe = json!({"topic": "t"});
    let token = guarded.key.token(&claims());
    let (status, _, answer) = guarded.post("/api/v1/subscribe", &token, subscribe.clone()).await;
    assert_eq!((status, &*answer), (200, r#"{"client":"auth0|u1","status":"subscribed"}"#));
    let inactive = guarded.key.token(&with("is_active", json!(false)));
    let expired = guarded.key.token(&with("exp", json!(unix_seconds() - 600)));
    let other = guarded.key.token(&with("aud", json!("else")));
    let stranger = Key::new("k1").token(&claims());
    for (token, code) in [(&inactive, 403), (&expired, 401), (&other, 401), (&stranger, 401)] {
        let (status, _, answer) = guarded.post("/api/v1/subscribe", token, subscribe.clone()).await;
        assert_eq!(status, code, "{answer}");
    }
    for path in ["/api/v1/topics", "/api/v1/node-countries", "/api/v1/tracer/stream", "/api/v1/ws"]
    {
        assert_eq!(guarded.proxy.get(path).await.0, 401, "{path}");
    }
    for path in ["/api/v1/health", "/api/v1/version", "/metrics", "/livez"] {
        assert_eq!(guarded.proxy.get(path).await.0, 200, "{path}");
    }
    let (mut socket, node) = (guarded.socket(&token).await, &guarded.node);
    until("the source", async || node.is_source()).await;
    node.report("t", b"x");
    assert_eq!(socket.message().await.message, "x");
    let mut grpc = guarded.proxy.grpc().await;
    let exposed = api::proxy::ExposeNodesRequest::default();
    let refused = grpc.expose_nodes(exposed).await.expect_err("no token");
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn limits_of_a_token_are_kept_and_a_refused_message_claims_nothing() {
    let guarded = guarded().await;
    let mut limited = with("max_publish_per_sec", json!(1));
    limited["max_message_size"] = json!(10);
    let token = guarded.key.token(&limited);
    guarded.post("/api/v1/subscribe", &token, json!({"topic": "t"})).await;
    let publish = async |message: &str| {
        guarded.post("/api/v1/publish", &token, json!({"topic": "t", "message": message})).await
    };
    let (status, _, answer) = publish("longer than ten").await;
    assert_eq!((status, answer.contains("message size exceeds limit of 10 bytes")), (413, true));
    until("a second is over twice within one", async || {
        publish("a").await;
        let second = publish("b").await;
        if second.0 == 200 {
            return false;
        }
        assert_eq!((second.0, second.1.as_deref()), (429, Some("1")), "{}", second.2);
        assert!(second.2.contains("per-second limit reached (1/sec)"), "{}", second.2);
        true
    })
    .await;
    until("it may be tried again", async || publish("b").await.2.contains("published")).await;
}

#[tokio::test]
async fn a_busy_stream_of_grpc_ends_with_its_token_and_a_call_without_one_is_not_read() {
    let guarded = guarded().await;
    let token = guarded.key.token(&with("exp", json!(unix_seconds() - 28)));
    guarded.post("/api/v1/subscribe", &token, json!({"topic": "t"})).await;
    let value: tonic::metadata::MetadataValue<_> =
        format!("Bearer {token}").parse().expect("a header");
    let (_open, sent) = tokio::sync::mpsc::channel::<api::proxy::ProxyMessage>(1);
    let messages = tokio_stream::wrappers::ReceiverStream::new(sent);
    let first = futures::stream::iter([api::proxy::ProxyMessage::default()]);
    let mut request = tonic::Request::new(futures::StreamExt::chain(first, messages));
    request.metadata_mut().insert("authorization", value);
    let stream = guarded.proxy.grpc().await.client_stream(request).await;
    let mut stream = stream.expect("a stream").into_inner();
    let node = guarded.node.clone();
    let busy = tokio::spawn(async move {
        for number in 0_u64.. {
            node.report("t", &number.to_be_bytes());
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    });
    let status = loop {
        if let Err(status) = stream.message().await {
            break status;
        }
    };
    busy.abort();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the token expired"));
    let publish = api::proxy::PublishRequest::default();
    let refused = guarded.proxy.grpc().await.publish(publish).await.expect_err("no token");
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn connections_end_with_their_token() {
    let guarded = guarded().await;
    let token = guarded.key.token(&with("exp", json!(unix_seconds() - 28)));
    // Clocks may be 30 s apart: it holds for two more.
    let mut socket = guarded.socket(&token).await;
    let close = socket.close().await;
    assert_eq!((close.code, close.reason.as_str()), (CloseCode::Policy, "the token expired"));
}

#[tokio::test]
async fn a_session_names_nodes_with_tickets_that_the_served_keys_verify() {
    let nodes = [Puppet::start().await, Puppet::start().await];
    let mut settings = config(&[&nodes[0], &nodes[1]]);
    settings.advertised[0] = "localhost:1".parse().expect("an address");
    let proxy = Proxy::start(settings).await;
    let wish =
        json!({"client_id": "c", "topics": ["t"], "capabilities": ["publish"], "expose_amount": 5});
    let (status, answer) = proxy.post("/api/v1/session", wish.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    let session: Value = serde_json::from_str(&answer).expect("JSON");
    let listed = session["nodes"].as_array().expect("a list");
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().any(|node| node["address"] == "localhost:1"), "{answer}");
    let jwks = proxy.get("/.well-known/jwks.json").await.1;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), jwks).expect("written");
    let path = file.path().to_string_lossy().into_owned();
    let keys = Keys::new(&path, &[Algorithm::EdDSA]).await.expect("sound keys");
    for node in listed {
        assert!(node["score"].as_f64().is_some_and(|score| score > 0.0 && score <= 1.0));
        assert_eq!((&node["transport"], &node["region"]), (&json!("grpc"), &json!("Iceland")));
        let ticket = node["ticket"].as_str().expect("text");
        let claims = keys.verify(ticket, &Rules::default()).await.expect("valid");
        assert_eq!((&claims["sub"], &claims["aud"]), (&json!("c"), &node["id"]));
    }
    let mut grpc = proxy.sessions().await;
    let wish =
        SessionRequest { client_id: "c".to_owned(), expose_amount: 1, ..SessionRequest::default() };
    let over_grpc = grpc.create_session(wish).await.expect("a session").into_inner();
    assert_eq!((over_grpc.nodes.len(), over_grpc.session_id.len()), (1, 36));
    assert!(over_grpc.nodes[0].score > 0.0 && over_grpc.expires_at > over_grpc.refresh_after);
    let (_, one) = proxy
        .post("/api/v1/session", json!({"client_id": "c", "expose_amount": 1}).to_string())
        .await;
    assert_eq!(one.matches("\"ticket\"").count(), 1);
}

#[tokio::test]
async fn proxies_that_share_a_redis_are_one_service() {
    let Some(mut redis) = RedisServer::start().await else {
        println!("skipped: redis-server is missing; apt-get install redis-server");
        return;
    };
    let node = Puppet::start().await;
    let url = redis.url().to_owned();
    let shared = || {
        let mut settings = config(&[&node]);
        let url = url.clone();
        let redis = Some(RedisConfig { url, on_failure: OnFailure::Open });
        settings.access = AccessConfig { redis, ..AccessConfig::default() };
        settings
    };
    let (one, two) = (Proxy::start(shared()).await, Proxy::start(shared()).await);
    until("the source", async || node.is_source()).await;
    one.subscribe("c", "t", 0.1).await;
    let mut socket = two.socket("c").await;
    node.report("t", b"first");
    assert_eq!(socket.message().await.message, "first");
    one.subscribe("c", "u", 0.1).await;
    until("the other knows", async || node.topics().contains("u")).await;
    until("it is delivered", async || {
        two.get("/api/v1/topics?client_id=c").await.1.contains("\"u\"")
    })
    .await;
    assert_eq!(one.publish("c", "t", "once").await.1["status"], "published");
    assert_eq!(two.publish("c", "t", "once").await.1["status"], "deduplicated");
    redis.kill();
    assert_eq!(one.publish("c", "t", "while it is away").await.0, 200);
    one.subscribe("c", "v", 0.1).await;
    redis.start_again().await;
    until("what was subscribed meanwhile is known where the client is", async || {
        two.get("/api/v1/topics?client_id=c").await.1.contains("\"v\"")
    })
    .await;
    // It came back empty: what connected clients want is told to it again.
    let three = Proxy::start(shared()).await;
    until("the subscription is shared again", async || {
        three.get("/api/v1/topics?client_id=c").await.1.contains("\"t\"")
    })
    .await;
}
