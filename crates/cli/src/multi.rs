//! What the clients of many nodes share: their flags, their nodes, and a worker for each.

use std::{fmt::Display, io, process::ExitCode};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    client::ConnectError,
    flags::{Flags, Parsed},
    output, program,
    publisher::PublishError,
    targets,
    topic::required_topic,
    tsv::Tsv,
};

/// Why a worker ended before its work did.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No stream.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Not everything was published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The node ended the stream.
    #[error("{address}: {reason}")]
    Ended {
        /// Which node.
        address: String,
        /// What is known of it.
        reason: String,
    },
    /// A result cannot be written.
    #[error("cannot write: {0}")]
    Unwritable(io::Error),
}

/// Adds the flags that name topic and nodes.
#[must_use]
pub fn flags(flags: Flags) -> Flags {
    flags
        .text("topic", "", "topic name")
        .text("ipfile", "", "file with a sidecar address (host:port) a line")
        .integer("start-index", 0, "first address of the file to use, counted from 0")
        .integer("end-index", 10_000, "address of the file to stop before")
}

/// Returns the nodes that the flags name, and prints them.
///
/// # Errors
///
/// Returns the exit code of a program that was told what is wrong.
pub fn targets(parsed: &Parsed) -> Result<Vec<String>, ExitCode> {
    required_topic(parsed).map_err(|error| output::fatal(&error))?;
    let path = parsed.text("ipfile");
    if path.is_empty() {
        return Err(output::fatal("-ipfile is required"));
    }
    let (start, end) = (parsed.integer("start-index"), parsed.integer("end-index"));
    let targets = targets::read(path, start, end).map_err(|error| complain(&error))?;
    let (listed, addresses) = (targets.listed, targets.addresses);
    output::tell(&format!("numip {listed}  index {end}"));
    output::tell(&format!("Found {} IPs: [{}]", addresses.len(), addresses.join(" ")));
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        output::log(format!("the limit of open files stays as it is: {error}"));
    }
    Ok(addresses)
}

/// Makes the file that a flag names; without one records go to `otherwise`.
///
/// # Errors
///
/// Returns the exit code of a program that was told what is wrong.
pub fn records(
    parsed: &Parsed,
    flag: &str,
    header: &[&str],
    otherwise: Tsv,
) -> Result<Tsv, ExitCode> {
    let path = parsed.text(flag);
    if path.is_empty() {
        return Ok(otherwise);
    }
    Tsv::create(path, header).map_err(|error| complain(&format!("{error} (-{flag})")))
}

/// What is wrong with a file is told on stdout, as readers of these programs expect.
fn complain(what: &str) -> ExitCode {
    output::tell(&format!("Error: {what}"));
    ExitCode::FAILURE
}

/// Runs a worker for each node to the end of all of them. The first that fails ends the others.
pub async fn run<F>(
    what: &str,
    addresses: Vec<String>,
    stop: CancellationToken,
    worker: impl Fn(String, CancellationToken) -> F,
) -> ExitCode
where
    F: Future<Output = Result<(), WorkerError>> + Send + 'static,
{
    let cancel = stop.child_token();
    let mut workers = JoinSet::new();
    for address in addresses {
        workers.spawn(worker(address, cancel.clone()));
    }
    let mut code = ExitCode::SUCCESS;
    let (mut told, mut failed) = (false, false);
    loop {
        let joined = tokio::select! {
            // First of all: workers that were told to end may have done so already.
            biased;
            () = stop.cancelled(), if !told => {
                told = true;
                output::tell("\nShutting down gracefully…");
                continue;
            }
            joined = workers.join_next() => joined,
        };
        let problem: Box<dyn Display> = match joined {
            None => return code,
            Some(Ok(Ok(()))) => continue,
            Some(Ok(Err(error))) if is_reader_gone(&error) => {
                cancel.cancel();
                continue;
            }
            Some(Ok(Err(error))) => Box::new(error),
            Some(Err(panic)) => Box::new(panic),
        };
        // Those that end because of the first would say the same again and again.
        if !failed {
            output::log(format!("{what} worker error: {problem}"));
        }
        (failed, code) = (true, ExitCode::FAILURE);
        cancel.cancel();
    }
}

/// Whether nobody reads the results any more: no failure, and nothing left to do.
fn is_reader_gone(error: &WorkerError) -> bool {
    let unwritable = match error {
        WorkerError::Unwritable(error) | WorkerError::Publish(PublishError::Unwritable(error)) => {
            error
        }
        WorkerError::Connect(_)
        | WorkerError::Publish(PublishError::Ended { .. } | PublishError::Refused { .. })
        | WorkerError::Ended { .. } => return false,
    };
    unwritable.kind() == io::ErrorKind::BrokenPipe
}

/// Ends a program: what it wrote down is to be on the disk.
pub fn end(code: ExitCode, records: &[&Tsv]) -> ExitCode {
    let mut any = false;
    for tsv in records {
        match tsv.flush() {
            Ok(is_file) => any |= is_file,
            Err(error) => return output::fatal(&format!("cannot write the records: {error}")),
        }
    }
    if any {
        output::tell("All data flushed to disk");
    }
    code
}

/// Returns the flags of this process with those that name topic and nodes.
///
/// `about` says what it does.
pub fn process_flags(about: &'static str) -> Flags {
    flags(program::flags(about))
}
