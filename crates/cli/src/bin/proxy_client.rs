//! Subscribes a topic at a proxy, prints what is delivered, and publishes some messages.
#![forbid(unsafe_code)]

use std::{
    process::ExitCode,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use cli::{
    client::{Server, check_address, status_text},
    flags::{Flags, Parsed},
    output, program,
    proxy::{Delivered, Deliveries, Rest},
    topic::required_topic,
};

/// How long deliveries are waited for after the last publish.
const GRACE: Duration = Duration::from_secs(3);

/// What is published, with the time behind it.
const WORDS: [&str; 9] =
    ["hello", "ping", "update", "broadcast", "status", "message", "event", "data", "note"];

fn main() -> ExitCode {
    program::run(&flags(), |parsed, stop| async move {
        let Some(result) = stop.run_until_cancelled(run(&parsed)).await else {
            output::log("[INTERRUPTED] shutting down...");
            return ExitCode::SUCCESS;
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => output::fatal(&problem),
        }
    })
}

fn flags() -> Flags {
    program::flags("subscribes a topic at a proxy, prints what comes, and publishes messages")
        .text("topic", "demo", "topic name")
        .number("threshold", 0.1, "share of the nodes that must have a message: 0.0 to 1.0")
        .switch("subscribeOnly", "only subscribe and receive messages")
        .integer("count", 5, "number of messages to publish")
        .duration("delay", Duration::from_secs(2), "pause between two messages")
        .text("proxy", "localhost:50051", "proxy gRPC address")
        .text("rest", "http://localhost:8081", "proxy REST base URL")
}

/// What is to be done.
struct Work<'a> {
    client: String,
    topic: &'a str,
    /// None to only subscribe.
    count: Option<i64>,
    delay: Duration,
    rest: Rest,
    /// Messages that the proxy was given so far, or refused.
    done: AtomicI64,
}

async fn run(parsed: &Parsed) -> Result<(), String> {
    let topic = required_topic(parsed)?;
    let threshold = parsed.number("threshold");
    if !(0.0..=1.0).contains(&threshold) {
        return Err(format!("-threshold must be between 0 and 1, and is {threshold}"));
    }
    let count = (!parsed.switch("subscribeOnly")).then(|| parsed.integer("count"));
    if count.is_some_and(|count| count < 1) {
        return Err("-count must be >= 1".to_owned());
    }
    let address = parsed.text("proxy");
    check_address(address, Server::Proxy).map_err(|error| format!("-proxy: {error}"))?;
    let rest = Rest::new(parsed.text("rest")).map_err(|error| format!("-rest: {error}"))?;
    let client = format!("client_{:08x}", rand::random::<u32>());

    output::log(format!("[INFO] Client ID: {client} | Topic: {topic} | Threshold: {threshold:.2}"));
    output::log(format!("[INFO] Proxy: {address} (gRPC) | {} (REST)", parsed.text("rest")));
    let subscribed = rest.subscribe(&client, topic, threshold).await;
    subscribed.map_err(|error| format!("subscribe error: {error} (-rest)"))?;
    let deliveries = Deliveries::open(address, &client).await;
    let deliveries = deliveries.map_err(|error| format!("stream error: {error} (-proxy)"))?;
    output::log("[INFO] Subscribed, waiting for messages");
    let delay = parsed.duration("delay");
    let work = Work { client, topic, count, delay, rest, done: AtomicI64::new(0) };
    tokio::select! {
        received = receive(deliveries) => received.and_then(|()| work.check_done()),
        published = work.publish() => published,
    }
}

/// Prints what is delivered until the stream ends.
async fn receive(mut deliveries: Deliveries) -> Result<(), String> {
    loop {
        match deliveries.next().await {
            Ok(Some(Delivered::Message(delivery))) => {
                let head = format!("[RECEIVED] Topic: {} | Message: ", delivery.topic);
                output::log([head.as_bytes(), &output::for_stderr(&delivery.message)].concat());
            }
            Ok(Some(Delivered::Lost(messages))) => output::log(format!(
                "[LOST] {messages} messages were given up because this client reads too slowly"
            )),
            Ok(None) => {
                output::log("[CLOSED] gRPC stream closed by server");
                return Ok(());
            }
            Err(status) => {
                return Err(format!("[ERROR] stream receive: {}", status_text(&status)));
            }
        }
    }
}

impl Work<'_> {
    /// Tells what is missing when the proxy ended before everything was published.
    fn check_done(&self) -> Result<(), String> {
        let done = self.done.load(Ordering::Relaxed);
        match self.count {
            Some(count) if done < count => Err(format!(
                "the proxy closed the stream after {done} of {count} messages; check that it still runs"
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Publishes, and gives the deliveries time to come. Without a count it never ends.
    async fn publish(&self) -> Result<(), String> {
        let Some(count) = self.count else { return std::future::pending().await };
        let mut failed = 0;
        let begin = rand::random::<u16>();
        for number in 1..=count {
            let message = message(usize::from(begin).wrapping_add(number as usize));
            output::log(format!("[PUBLISH] Message: {message}"));
            if let Err(error) = self.rest.publish(&self.client, self.topic, &message).await {
                output::log(format!("[ERROR] publish failed: {error}"));
                failed += 1;
            }
            self.done.store(number, Ordering::Relaxed);
            if number < count {
                // The pause that -delay asks for.
                tokio::time::sleep(self.delay).await;
            }
        }
        tokio::time::sleep(GRACE).await;
        if failed == 0 {
            Ok(())
        } else {
            Err(format!("{failed} of {count} messages were not published"))
        }
    }
}

/// Returns a message: a word and the time. Numbers that follow each other give different ones, which a
/// proxy would not take for one message published again.
fn message(number: usize) -> String {
    format!("{} @ {}", WORDS[number % WORDS.len()], jiff::Zoned::now().strftime("%H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_word_and_the_time_and_the_next_is_another() {
        let message = message(17);
        let (word, time) = message.split_once(" @ ").expect("both");
        assert_eq!(word, WORDS[8], "{message}");
        assert_eq!(time.bytes().filter(|byte| *byte == b':').count(), 2, "{message}");
        assert_eq!(time.len(), 8, "{message}");
        assert!(super::message(18).starts_with(WORDS[0]));
    }
}
