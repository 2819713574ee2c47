//! Publishes on a topic through a node's sidecar, or prints what comes.
#![forbid(unsafe_code)]

use std::{process::ExitCode, time::Duration};

use api::go_duration;
use cli::{
    client::{Commands, ConnectError, Sidecar},
    clock::unix_ns,
    flags::{Flags, Parsed},
    go_text, output, program,
    publisher::{Publisher, Series},
    subscriber::{Ended, Subscriber, read_all},
    topic::required_topic,
};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    program::run(&flags(), |parsed, stop| async move {
        match run(&parsed, &stop).await {
            Ok(code) => code,
            Err(problem) => output::fatal(&problem),
        }
    })
}

fn flags() -> Flags {
    program::flags("publishes on a topic through a node's sidecar, or prints what comes")
        .text("addr", "localhost:33212", "sidecar gRPC address")
        .text("mode", "subscribe", "mode: subscribe or publish")
        .text("topic", "", "topic name")
        .text("msg", "", "message to publish; required when count is 1")
        .integer("count", 1, "number of messages to publish")
        .duration("sleep", Duration::ZERO, "pause after each publish (e.g. 500ms, 1s)")
}

/// Returns why there is nothing to run as an error.
async fn run(parsed: &Parsed, stop: &CancellationToken) -> Result<ExitCode, String> {
    let (topic, address) = (required_topic(parsed)?, parsed.text("addr"));
    let connecting = || output::note(&format!("Connecting to node at: {address}…"));
    match parsed.text("mode") {
        "subscribe" => {
            connecting();
            subscribe(address, topic, stop).await
        }
        "publish" => {
            let count = count(parsed)?;
            connecting();
            let series = Series { topic, count, pause: parsed.duration("sleep"), poisson: false };
            publish(address, series, parsed.text("msg"), stop).await
        }
        other => Err(format!("unknown mode {}", go_text::quote(other))),
    }
}

/// Returns how many messages are to be published.
fn count(parsed: &Parsed) -> Result<u64, String> {
    let count = u64::try_from(parsed.integer("count")).ok().filter(|count| *count > 0);
    let count = count.ok_or("-count must be >= 1")?;
    if count == 1 && parsed.text("msg").is_empty() {
        return Err("-msg is required in publish mode".to_owned());
    }
    Ok(count)
}

/// Returns what was connected, or none if the program was told to end before.
async fn connected<T>(
    stop: &CancellationToken,
    connect: impl Future<Output = Result<T, ConnectError>>,
) -> Result<Option<T>, String> {
    match stop.run_until_cancelled(connect).await {
        Some(Ok(stream)) => Ok(Some(stream)),
        Some(Err(error)) => Err(format!("failed to connect to node {error} (-addr)")),
        None => {
            output::tell("\nshutting down…");
            Ok(None)
        }
    }
}

async fn subscribe(
    address: &str,
    topic: &str,
    stop: &CancellationToken,
) -> Result<ExitCode, String> {
    let open = async { Sidecar::connect(address).await?.listen().await };
    let Some(mut commands) = connected(stop, open).await? else { return Ok(ExitCode::SUCCESS) };
    output::note(&format!("Trying to subscribe to topic {topic}…"));
    commands.subscribe(topic).await.map_err(|closed| format!("send subscribe: {closed}"))?;
    Ok(receive(&mut commands, topic, stop).await)
}

async fn receive(commands: &mut Commands, topic: &str, stop: &CancellationToken) -> ExitCode {
    let quoted = go_text::quote(topic);
    output::tell(&format!("Subscribed to topic {quoted}, waiting for messages…"));
    let mut subscriber = Subscriber::default();
    let ended = read_all(commands, stop, |response| subscriber.take(response)).await;
    let (code, why) = match ended {
        Ended::Stopped => {
            output::tell("\nshutting down…");
            (ExitCode::SUCCESS, "Context canceled.")
        }
        Ended::Closed => (ExitCode::SUCCESS, "Stream closed."),
        Ended::Failed(reason) => {
            output::log(format!("recv error: {reason}"));
            (ExitCode::FAILURE, "Stream closed.")
        }
        Ended::Unwritable(error) => return output::unprinted(&error),
    };
    output::log(format!("{why} Total messages received: {}", subscriber.received));
    code
}

async fn publish(
    address: &str,
    series: Series<'_>,
    message: &str,
    stop: &CancellationToken,
) -> Result<ExitCode, String> {
    let open = Publisher::open(address);
    let Some(publisher) = connected(stop, open).await? else { return Ok(ExitCode::SUCCESS) };
    let topic = go_text::quote(series.topic);
    let payload = |number| payload(unix_ns(), number, series.count, message).into_bytes();
    let sending = publisher.publish_all(series, stop, payload, |payload, took| {
        let text = go_text::quote(&String::from_utf8_lossy(payload));
        let took = go_duration::written(took);
        // Who does not want to read that wants the messages published all the same.
        output::tell(&format!("Published {text} to {topic} (took {took})"));
        Ok(())
    });
    sending.await.map_err(|error| format!("send publish: {error}"))?;
    if stop.is_cancelled() {
        output::tell("\nshutting down…");
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns what is published: the message as given when it is one, else a numbered line.
fn payload(now_unix_ns: i64, number: u64, count: u64, message: &str) -> String {
    if count == 1 {
        return format!("[{now_unix_ns} {}] {message}", message.len());
    }
    format!("[{now_unix_ns} 8] {number} - {:08x} XXX", rand::random::<u32>())
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
