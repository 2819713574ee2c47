//! Subscribes a topic at the sidecars of many nodes at once, and records what comes.
#![forbid(unsafe_code)]

use std::{io, process::ExitCode, sync::Arc};

use api::{
    Delivery,
    sidecar::{Response, ResponseType},
    trace::TraceEvent,
};
use cli::{
    client::Sidecar,
    flags::{Flags, Parsed},
    go_text,
    multi::{self, WorkerError},
    output, program,
    subscriber::{Ended, read_all},
    trace_text,
    tsv::Tsv,
};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

/// The longest sender that is recorded: a payload without one may be long.
const SENDER_BYTES_MAX: usize = 256;

fn main() -> ExitCode {
    program::run(&flags(), run)
}

fn flags() -> Flags {
    multi::process_flags("subscribes a topic at the sidecars of many nodes and records what comes")
        .text("output-data", "", "file (TSV) for the hash of each message that came")
        .text("output-trace", "", "file (TSV) for trace events; without it they go to stdout")
}

/// What every worker does.
struct Work {
    topic: String,
    data: Tsv,
    trace: Tsv,
}

async fn run(parsed: Parsed, stop: CancellationToken) -> ExitCode {
    let header = ["receiver", "sender", "size", "sha256(msg)"];
    let ready = multi::targets(&parsed).and_then(|addresses| {
        let data = multi::records(&parsed, "output-data", &header, Tsv::Nowhere)?;
        let trace = multi::records(&parsed, "output-trace", &[], Tsv::Stdout)?;
        Ok((addresses, Work { topic: parsed.text("topic").to_owned(), data, trace }))
    });
    let (addresses, work) = match ready {
        Ok(ready) => ready,
        Err(code) => return code,
    };
    let work = Arc::new(work);
    let worker = |address, stop| subscribe(Arc::clone(&work), address, stop);
    let code = multi::run("subscribe", addresses, stop, worker).await;
    multi::end(code, &[&work.data, &work.trace])
}

async fn subscribe(
    work: Arc<Work>,
    address: String,
    stop: CancellationToken,
) -> Result<(), WorkerError> {
    output::tell(&format!("IP -  {address}"));
    let open = async { Sidecar::connect(&address).await?.listen().await };
    let Some(commands) = stop.run_until_cancelled(open).await else { return Ok(()) };
    let mut commands = commands?;
    output::note(&format!("Connected to node at: {address}…"));
    output::note(&format!("Trying to subscribe to topic {}…", work.topic));
    let ended = |reason: String| WorkerError::Ended { address: address.clone(), reason };
    commands.subscribe(&work.topic).await.map_err(|closed| ended(closed.to_string()))?;
    let quoted = go_text::quote(&work.topic);
    output::tell(&format!("Subscribed to topic {quoted}, waiting for messages…"));
    let mut received = 0_u64;
    let why = read_all(&mut commands, &stop, |response| {
        received += u64::from(response.command() == ResponseType::Message);
        work.take(&address, response)
    });
    let why = why.await;
    output::log(format!("[{address}] stream closed. Total messages received: {received}"));
    match why {
        Ended::Stopped | Ended::Closed => Ok(()),
        Ended::Failed(reason) => Err(ended(reason)),
        Ended::Unwritable(error) => Err(WorkerError::Unwritable(error)),
    }
}

impl Work {
    /// Records one response of the node at `address`.
    fn take(&self, address: &str, response: &Response) -> io::Result<()> {
        let event = match response.command() {
            ResponseType::Message => return self.message(address, &response.data),
            ResponseType::MessageTraceMumP2p => TraceEvent::decode(&response.data[..]),
            ResponseType::MessageTraceGossipSub => api::gossipsub_trace_event(&response.data),
            ResponseType::Unknown => {
                output::log(format!("Unknown response command: {}", response.command));
                return Ok(());
            }
        };
        match event {
            Ok(event) => {
                let fields = trace_text::fields(&event);
                self.trace.record(&fields.each_ref().map(String::as_str))
            }
            Err(error) => {
                output::log(format!("[{address}] trace decode error: {error}"));
                Ok(())
            }
        }
    }

    fn message(&self, receiver: &str, json: &[u8]) -> io::Result<()> {
        let payload = match Delivery::from_json(json) {
            Ok(delivery) => delivery.message,
            Err(error) => {
                output::log(format!("Error unmarshalling message: {error}"));
                return Ok(());
            }
        };
        let hash = hex::encode(Sha256::digest(&payload));
        self.data.record(&[receiver, &sender(&payload), &payload.len().to_string(), &hash])
    }
}

/// Returns who a payload says sent it: what stands before the first dash.
fn sender(payload: &[u8]) -> String {
    let end = payload.iter().position(|byte| *byte == b'-').unwrap_or(payload.len());
    String::from_utf8_lossy(&payload[..end.min(SENDER_BYTES_MAX)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_stands_before_the_first_dash_of_a_payload_whatever_it_is() {
        for (payload, expected) in [
            (&b"127.0.0.1:1-00ff-x"[..], "127.0.0.1:1"),
            (b"-x", ""),
            (b"", ""),
            (b"no dash", "no dash"),
            (b"\xff-", "\u{fffd}"),
        ] {
            assert_eq!(sender(payload), expected);
        }
        assert_eq!(sender(&[b'x'; 1000]).len(), SENDER_BYTES_MAX);
    }
}
