//! Publishes random messages on a topic through the sidecars of many nodes at once.
#![forbid(unsafe_code)]

use std::{process::ExitCode, sync::Arc, time::Duration};

use api::go_duration;
use cli::{
    flags::{Flags, Parsed},
    go_text,
    multi::{self, WorkerError},
    output, program,
    publisher::{Publisher, Series},
    tsv::Tsv,
};
use rand::Rng as _;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

/// The longest message that is made; any node takes much less.
const DATA_BYTES_MAX: i64 = 1 << 30;

fn main() -> ExitCode {
    program::run(&flags(), run)
}

fn flags() -> Flags {
    multi::process_flags("publishes random messages through the sidecars of many nodes at once")
        .integer("count", 1, "number of messages to publish to each node")
        .integer("datasize", 100, "bytes of each message, without the address before them")
        .duration("sleep", Duration::from_millis(50), "pause between two messages of a node")
        .switch("poisson", "pauses of a Poisson process, -sleep being their mean")
        .text("output", "", "file (TSV) for the hash of each message that was sent")
}

/// What every worker does.
struct Work {
    topic: String,
    count: u64,
    data_bytes: usize,
    pause: Duration,
    poisson: bool,
    sent: Tsv,
}

async fn run(parsed: Parsed, stop: CancellationToken) -> ExitCode {
    let (count, data_bytes) = (parsed.integer("count"), parsed.integer("datasize"));
    if count < 1 {
        return output::fatal("-count must be >= 1");
    }
    if data_bytes < 1 {
        return output::fatal("-datasize must be >= 1");
    }
    if data_bytes > DATA_BYTES_MAX {
        return output::fatal(&format!("-datasize must be <= {DATA_BYTES_MAX}"));
    }
    // What cannot be written is told before anything is published.
    let header = ["sender", "size", "sha256(msg)"];
    let ready = multi::targets(&parsed).and_then(|addresses| {
        Ok((addresses, multi::records(&parsed, "output", &header, Tsv::Nowhere)?))
    });
    let (addresses, sent) = match ready {
        Ok(ready) => ready,
        Err(code) => return code,
    };
    let work = Arc::new(Work {
        topic: parsed.text("topic").to_owned(),
        count: count.unsigned_abs(),
        data_bytes: data_bytes as usize,
        pause: parsed.duration("sleep"),
        poisson: parsed.switch("poisson"),
        sent,
    });
    let worker = |address, stop| publish(Arc::clone(&work), address, stop);
    let code = multi::run("publish", addresses, stop, worker).await;
    multi::end(code, &[&work.sent])
}

async fn publish(
    work: Arc<Work>,
    address: String,
    stop: CancellationToken,
) -> Result<(), WorkerError> {
    let Some(publisher) = stop.run_until_cancelled(Publisher::open(&address)).await else {
        return Ok(());
    };
    let publisher = publisher?;
    output::note(&format!("Connected to node at: {address}…"));
    let topic = go_text::quote(&work.topic);
    let Work { count, pause, poisson, .. } = *work;
    let series = Series { topic: &work.topic, count, pause, poisson };
    let payload = |_number| payload(&address, work.data_bytes);
    let sending = publisher.publish_all(series, &stop, payload, |payload, took| {
        let (bytes, took) = (payload.len(), go_duration::written(took));
        output::tell(&format!("[{address}] published {bytes} bytes to {topic} (took {took})"));
        let hash = hex::encode(Sha256::digest(payload));
        work.sent.record(&[&address, &bytes.to_string(), &hash])
    });
    Ok(sending.await?)
}

/// Returns random bytes in hexadecimal digits, about `data_bytes` of these, behind who sends them.
fn payload(address: &str, data_bytes: usize) -> Vec<u8> {
    let mut random = vec![0; (data_bytes / 2).max(1)];
    rand::rng().fill_bytes(&mut random);
    format!("{address}-{}", hex::encode(random)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_who_sends_it_and_random_digits() {
        for (data_bytes, digits) in [(1, 2), (2, 2), (3, 2), (100, 100), (101, 100)] {
            let payload = payload("a:1", data_bytes);
            let payload = String::from_utf8(payload).expect("text");
            let hexadecimal = payload.strip_prefix("a:1-").expect("who sends it");
            assert_eq!(hexadecimal.len(), digits);
            assert!(hexadecimal.bytes().all(|digit| b"0123456789abcdef".contains(&digit)));
        }
        assert_ne!(payload("a:1", 100), payload("a:1", 100));
    }
}
