//! How many messages a second clients can publish that wait for the answer to each.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use api::proxy::PublishRequest;
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::{
    TOPIC,
    comparison::{Comparison, Effort, Figures, by_turns, median_of, verdict},
    faces, profile,
    server::{Programs, Server, System},
    statistics::percentile,
    usage::{Cores, Meter},
    wire::{
        http1,
        http2::{self, Event},
        nats::{self, Line},
    },
};

/// Connections, each with one message under way.
const CONNECTIONS: usize = 16;

/// Bytes of a message.
const MESSAGE_BYTES: usize = 100;

/// An answer does not take longer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What REST is asked for.
const TARGET_PER_SECOND: f64 = 10_000.0;

/// How the proxy is published to. NATS has one way: its protocol, with an answer to each command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `POST /api/v1/publish` on a kept connection.
    Rest,
    /// The unary call `Publish`.
    Grpc,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Rest => "REST, keep-alive",
            Self::Grpc => "gRPC Publish",
        }
    }
}

/// What clients reached.
#[derive(Clone, Copy, Debug)]
struct Rate {
    per_second: f64,
    median_ms: f64,
    p99_ms: f64,
    cores: Cores,
}

impl Figures for Rate {
    fn median(all: &[Self]) -> Self {
        let cores: Vec<Cores> = all.iter().map(|one| one.cores).collect();
        Self {
            per_second: median_of(all, |one| one.per_second),
            median_ms: median_of(all, |one| one.median_ms),
            p99_ms: median_of(all, |one| one.p99_ms),
            cores: Cores::median(&cores),
        }
    }
}

/// Returns a message of letters and digits that no other client and no other round has.
fn text(client: usize, round: u64) -> String {
    let mut text = format!("client {client} round {round} ");
    text.extend(std::iter::repeat_n('x', MESSAGE_BYTES.saturating_sub(text.len())));
    text
}

/// A client that publishes and waits.
enum Client {
    Rest(http1::Connection),
    Grpc { stream: TcpStream, frames: http2::Frames, next: u32 },
    Nats { stream: TcpStream, lines: nats::Lines },
}

impl Client {
    async fn open(server: &Server, way: Way) -> Result<Self> {
        match (server.system, way) {
            (System::Proxy, Way::Rest) => {
                Ok(Self::Rest(http1::Connection::open(server.web).await?))
            }
            (System::Proxy, Way::Grpc) => {
                let mut stream = TcpStream::connect(server.stream).await?;
                stream.set_nodelay(true)?;
                stream.write_all(&http2::hello()).await?;
                Ok(Self::Grpc { stream, frames: http2::Frames::new(), next: 1 })
            }
            (System::Nats, _) => {
                let mut stream = TcpStream::connect(server.stream).await?;
                stream.set_nodelay(true)?;
                stream.write_all(nats::connect(true).as_bytes()).await?;
                let mut lines = nats::Lines::new();
                until_done(&mut stream, &mut lines).await?;
                Ok(Self::Nats { stream, lines })
            }
        }
    }

    /// Publishes one message, and waits until the server has it.
    async fn publish(&mut self, message: String) -> Result<()> {
        match self {
            Self::Rest(connection) => {
                let body =
                    format!(r#"{{"client_id":"c0","message":"{message}","topic":"{TOPIC}"}}"#);
                let request = http1::post("/api/v1/publish", &body);
                ensure_published(&connection.expect_success(&request).await?)
            }
            Self::Grpc { stream, frames, next } => {
                let request = PublishRequest {
                    client_id: "c0".to_owned(),
                    topic: TOPIC.to_owned(),
                    message: message.into(),
                };
                let mut call = Vec::new();
                let path = "/proto.ProxyStream/Publish";
                http2::write_call(*next, path, &request.encode_to_vec(), true, &mut call);
                // Calls of a client have odd numbers.
                *next += 2;
                stream.write_all(&call).await?;
                ensure_published(&answer_of_call(stream, frames).await?)
            }
            Self::Nats { stream, lines } => {
                let mut command = Vec::new();
                nats::write_publish(message.as_bytes(), &mut command);
                stream.write_all(&command).await?;
                until_done(stream, lines).await
            }
        }
    }
}

/// Every message is new, so a proxy that says it had it already is wrong.
fn ensure_published(answer: &[u8]) -> Result<()> {
    let is_published = memchr::memmem::find(answer, b"published").is_some();
    ensure!(is_published, "not published: {}", String::from_utf8_lossy(answer));
    Ok(())
}

async fn answer_of_call(stream: &mut TcpStream, frames: &mut http2::Frames) -> Result<Vec<u8>> {
    let (mut message, mut is_over) = (Vec::new(), false);
    let mut buffer = [0; 4096];
    while !is_over {
        let bytes = stream.read(&mut buffer).await?;
        ensure!(bytes > 0, "the server closed the connection");
        let mut answers = Vec::new();
        frames.feed(&buffer[..bytes], &mut answers, |event| {
            match event {
                Event::Message(part) => message.extend_from_slice(part.body),
                Event::End => is_over = true,
                Event::Headers => {}
            }
            Ok(())
        })?;
        stream.write_all(&answers).await?;
    }
    ensure!(!message.is_empty(), "the call failed");
    Ok(message)
}

async fn until_done(stream: &mut TcpStream, lines: &mut nats::Lines) -> Result<()> {
    let mut is_done = false;
    let mut buffer = [0; 4096];
    while !is_done {
        let bytes = stream.read(&mut buffer).await?;
        ensure!(bytes > 0, "the server closed the connection");
        let mut answers = Vec::new();
        lines.feed(&buffer[..bytes], &mut answers, |part| {
            is_done |= part.head == Line::Done;
            Ok(())
        })?;
        stream.write_all(&answers).await?;
    }
    Ok(())
}

/// Publishes until the time is over; returns the microseconds that each took since the beginning.
async fn publish_until(
    mut client: Client,
    number: usize,
    begin: Instant,
    end: Instant,
) -> Result<Vec<u32>> {
    let mut times = Vec::new();
    for round in 0.. {
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        let published = timeout(ANSWER_LIMIT, client.publish(text(number, round))).await;
        published.context("no answer comes")?.with_context(|| format!("client {number}"))?;
        if sent >= begin {
            times.push(sent.elapsed().as_micros() as u32);
        }
    }
    Ok(times)
}

async fn publish(server: &Server, way: Way, settle: Duration, time: Duration) -> Result<Rate> {
    faces::subscribe_all(server, 1).await?;
    let begin = Instant::now() + settle;
    let end = begin + time;
    let mut clients = JoinSet::new();
    for number in 0..CONNECTIONS {
        let client = Client::open(server, way).await?;
        clients.spawn_local(publish_until(client, number, begin, end));
    }
    tokio::time::sleep_until(begin.into()).await;
    let meter = Meter::start(server)?;
    let mut times = Vec::new();
    while let Some(more) = clients.join_next().await {
        match more {
            Ok(more) => times.extend(more?),
            Err(error) => bail!(error),
        }
    }
    let (seconds, cores) = meter.stop(server)?;
    times.sort_unstable();
    let milliseconds = |share| f64::from(percentile(&times, share)) / 1e3;
    Ok(Rate {
        per_second: times.len() as f64 / seconds,
        median_ms: milliseconds(0.5),
        p99_ms: milliseconds(0.99),
        cores,
    })
}

/// Returns where the proxy's core goes when it is published to by REST.
pub(crate) async fn profile(
    programs: &Programs,
    settle: Duration,
    time: Duration,
) -> Result<String> {
    profile::of(programs, "publish by REST", async |server| {
        publish(server, Way::Rest, settle, time).await.map(drop)
    })
    .await
}

/// Measures both ways; returns a table, and what failed.
pub(crate) async fn measure(
    effort: Effort<'_>,
    programs: &Programs,
    settle: Duration,
    time: Duration,
) -> (String, Vec<String>) {
    let mut text = format!(
        "**Publishing.** {CONNECTIONS} connections, each with one message of {MESSAGE_BYTES} B under \
         way, all different, on a topic that is subscribed; {time:?}. NATS is published to by its \
         protocol over TCP with an answer to each message (`verbose`), and passes on nothing.\n\n\
         | way | proxy messages/s | NATS | ratio | p50 ms, proxy / NATS | p99 ms | server cores | \
         generator | others | target |\n\
         |---|---|---|---|---|---|---|---|---|---|\n"
    );
    let mut failures = Vec::new();
    for way in [Way::Rest, Way::Grpc] {
        let what = format!("publish by {}", way.name());
        let comparison = by_turns(effort, &what, async |system| {
            let server = Server::start(system, programs).await?;
            let rate = publish(&server, way, settle, time).await;
            rate.map_err(|error| server.explain(&error))
        })
        .await;
        failures.extend(comparison.failures().map(|failure| format!("{what}, {failure}")));
        text.push_str(&row(way, &comparison));
    }
    (text, failures)
}

fn row(way: Way, comparison: &Comparison<Rate>) -> String {
    let target = match way {
        Way::Rest => {
            let is_reached = comparison.ours().map(|ours| ours.per_second >= TARGET_PER_SECOND);
            format!("{TARGET_PER_SECOND}/s {}", verdict(is_reached))
        }
        Way::Grpc => String::new(),
    };
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {target} |\n",
        way.name(),
        comparison.cells(0, |one| one.per_second),
        comparison.pair(2, |one| one.median_ms),
        comparison.pair(2, |one| one.p99_ms),
        comparison.pair(2, |one| one.cores.server),
        comparison.pair(2, |one| one.cores.generator),
        comparison.pair(2, |one| one.cores.others),
    )
}
