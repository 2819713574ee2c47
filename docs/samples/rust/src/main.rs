//! Subscribes a topic over gRPC through one proxy, publishes through another, and prints what
//! arrives. The crate `api` is made from `proxy_stream.proto`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "what a sample is for")]

use std::{env, time::Duration};

use anyhow::Context as _;
use api::proxy::{
    ProxyMessage, PublishRequest, SubscribeRequest, proxy_stream_client::ProxyStreamClient,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

const TOPIC: &str = "samples-rust";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tokio::time::timeout(Duration::from_secs(30), run()).await?
}

async fn run() -> anyhow::Result<()> {
    let here = env::var("PROXY_GRPC").unwrap_or_else(|_| "localhost:50051".to_owned());
    let there = env::var("PROXY_2_GRPC").unwrap_or_else(|_| "localhost:50052".to_owned());
    // A message may be longer than the library's default of 4 MiB.
    let connected = ProxyStreamClient::connect(format!("http://{here}")).await;
    let mut here = connected.context(here)?.max_decoding_message_size(usize::MAX);
    let connected = ProxyStreamClient::connect(format!("http://{there}")).await;
    let mut there = connected.context(there)?;

    // Two of four nodes must have the message before it is given to us.
    let client_id = "rust".to_owned();
    here.subscribe(SubscribeRequest {
        client_id: client_id.clone(),
        topic: TOPIC.to_owned(),
        threshold: 0.5,
        ..SubscribeRequest::default()
    })
    .await?;
    // The first message says who we are; what comes after it is for us. The stream up stays open.
    let first = tokio_stream::once(ProxyMessage { client_id, ..ProxyMessage::default() });
    let up = tokio_stream::StreamExt::chain(first, tokio_stream::pending());
    let mut deliveries = here.client_stream(up).await?.into_inner();

    let answer = there.publish(PublishRequest {
        client_id: "sender".to_owned(),
        topic: TOPIC.to_owned(),
        message: format!("Hello from {}", std::process::id()).into(),
    });
    let answer = answer.await?.into_inner();
    println!("{} {}", answer.status, answer.message_id);

    while let Some(message) = deliveries.message().await? {
        let delivery: serde_json::Value = serde_json::from_slice(&message.message)?;
        if message.r#type == "lost" {
            // We read too slowly.
            println!("lost: {delivery}");
            continue;
        }
        let payload = delivery["message"].as_str().context("a delivery has a message")?;
        let payload = String::from_utf8(BASE64_STANDARD.decode(payload)?)?;
        println!("received {payload} on {TOPIC}");
        return Ok(());
    }
    anyhow::bail!("the proxy ended the stream")
}
