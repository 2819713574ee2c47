//! Publishes on a topic through a node's sidecar, or prints what comes.
#![forbid(unsafe_code)]

use std::{process::ExitCode, time::Duration};

use api::go_duration;
use cli::{
    client::{Closed, Commands, Sidecar},
    flags::{Exit, Flags, Parsed},
    go_text, output,
    subscriber::{Subscriber, unix_ns},
};
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{SignalKind, signal};

/// How long to wait for the node's word that it published the last message.
const PUBLISHED_LIMIT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let parsed = match parse() {
        Ok(parsed) => parsed,
        Err(exit) => return output::exit(&exit),
    };
    if parsed.text("topic").is_empty() {
        return output::fatal("-topic is required");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(&parsed)),
        Err(error) => output::fatal(&error.to_string()),
    }
}

fn parse() -> Result<Parsed, Exit> {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    Flags::new(&program)
        .text("addr", "localhost:33212", "sidecar gRPC address")
        .text("mode", "subscribe", "mode: subscribe or publish")
        .text("topic", "", "topic name")
        .text("msg", "", "message to publish; required when count is 1")
        .integer("count", 1, "number of messages to publish")
        .duration("sleep", Duration::ZERO, "pause after each publish (e.g. 500ms, 1s)")
        .parse(arguments)
}

async fn run(parsed: &Parsed) -> ExitCode {
    let address = parsed.text("addr");
    let mode = parsed.text("mode");
    output::note(&format!("Connecting to node at: {address}…"));
    let connected = async { Sidecar::connect(address).await?.listen().await };
    let commands = match connected.await {
        Ok(commands) => commands,
        Err(error) => return output::fatal(&format!("failed to connect to node {error}")),
    };
    match mode {
        "subscribe" => subscribe(commands, parsed.text("topic")).await,
        "publish" if parsed.integer("count") == 1 && parsed.text("msg").is_empty() => {
            output::fatal("-msg is required in publish mode")
        }
        "publish" => match publish(commands, parsed).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(Closed) => output::fatal("send publish: the node closed the stream"),
        },
        other => output::fatal(&format!("unknown mode {}", go_text::quote(other))),
    }
}

async fn subscribe(mut commands: Commands, topic: &str) -> ExitCode {
    let signals = signal(SignalKind::interrupt())
        .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    let (mut interrupt, mut terminate) = match signals {
        Ok(signals) => signals,
        Err(error) => return output::fatal(&error.to_string()),
    };
    output::note(&format!("Trying to subscribe to topic {topic}…"));
    if commands.subscribe(topic).await.is_err() {
        return output::fatal("send subscribe: the node closed the stream");
    }
    let quoted = go_text::quote(topic);
    output::line(&format!("Subscribed to topic {quoted}, waiting for messages…"));
    let mut subscriber = Subscriber::default();
    let why = loop {
        tokio::select! {
            response = commands.responses.message() => match response {
                Ok(Some(response)) => subscriber.take(&response),
                Ok(None) => break "Stream closed.".to_owned(),
                Err(status) => {
                    output::log(&format!("recv error: {status}"));
                    break "Stream closed.".to_owned();
                }
            },
            _ = interrupt.recv() => {
                output::interrupted();
                break "Context canceled.".to_owned();
            }
            _ = terminate.recv() => {
                output::interrupted();
                break "Context canceled.".to_owned();
            }
        }
    };
    output::log(&format!("{why} Total messages received: {}", subscriber.received));
    ExitCode::SUCCESS
}

async fn publish(commands: Commands, parsed: &Parsed) -> Result<(), Closed> {
    let (topic, count) = (parsed.text("topic"), parsed.integer("count"));
    let mut last = String::new();
    for index in 1..=count {
        let payload = payload(unix_ns(), index, count, parsed.text("msg"));
        let took = commands.publish(topic, payload.clone().into_bytes()).await?;
        output::line(&format!(
            "Published {} to {} (took {})",
            go_text::quote(&payload),
            go_text::quote(topic),
            go_duration::written(took),
        ));
        last = payload;
        if !parsed.duration("sleep").is_zero() {
            tokio::time::sleep(parsed.duration("sleep")).await;
        }
    }
    if count > 0 {
        let id = hex::encode(Sha256::digest(last));
        commands.finish(&id, PUBLISHED_LIMIT).await;
    }
    Ok(())
}

/// Returns what is published: the message as given when it is one, else a numbered line.
fn payload(now_unix_ns: u128, index: i64, count: i64, message: &str) -> String {
    if count == 1 {
        return format!("[{now_unix_ns} {}] {message}", message.len());
    }
    format!("[{now_unix_ns} 8] {index} - {:08x} XXX", rand::random::<u32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_is_published_as_given_behind_time_and_length() {
        assert_eq!(payload(42, 1, 1, "héllo"), "[42 6] héllo");
    }

    #[test]
    fn several_messages_are_numbered_from_one_and_differ() {
        let (first, again) = (payload(42, 1, 3, "ignored"), payload(42, 1, 3, "ignored"));
        assert!(first.starts_with("[42 8] 1 - ") && first.ends_with(" XXX"), "{first}");
        assert_eq!(first.len(), "[42 8] 1 - 01234567 XXX".len());
        assert_ne!(first, again);
    }
}
