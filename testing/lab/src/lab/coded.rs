//! p2pnode as a node: spoken to through its sidecar, on the loopback device of its namespace, which
//! is not shaped and not counted.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read as _, Write as _},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use api::{
    DeliveryHead, StreamOptions,
    sidecar::{
        Command as Order, Request, Response, ResponseType,
        command_stream_client::CommandStreamClient,
    },
};
use hyper_util::rt::TokioIo;
use lab::namespace::Namespace;
use rand::Rng as _;
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    sync::mpsc,
    task::JoinSet,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Endpoint};

use crate::{
    network::address,
    node::{Event, Node, PORT, Publish, Start, now},
};

const TOPIC: &str = "lab";
const SIDECAR_PORT: u16 = 33212;
const API_PORT: u16 = 9090;

/// How long a node may take to start.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How often a node is asked while it is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The numbers of messages by their ids: readers are given ids and no payloads, since encoding those
/// is no work of the protocol.
pub(crate) type Numbers = Arc<Mutex<HashMap<[u8; 32], u64>>>;

pub(crate) async fn start(start: Start<'_>, profile: &str) -> Result<Node> {
    let mut child = spawn(&start, profile)?;
    let Start { node, network, folder, events, peers, numbers, .. } = start;
    let namespace = network.namespace(node).clone();
    let (requests, responses) = match open(&mut child, &namespace, node).await {
        Ok(stream) => stream,
        Err(error) => {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            return Err(error.context(format!("its log: {}", log.trim())));
        }
    };
    let (publish, orders) = mpsc::channel(1);
    let mut tasks = JoinSet::new();
    tasks.spawn(send(requests, orders, numbers.clone(), events.clone()));
    tasks.spawn(receive(node, responses, numbers, events.clone()));
    tasks.spawn(watch_peers(node, namespace, peers, events));
    Node::new(child, publish, tasks)
}

fn spawn(start: &Start<'_>, profile: &str) -> Result<Child> {
    let log = File::create(start.folder.join("log"))?;
    let mut command: Command =
        start.network.namespace(start.node).command(&crate::program("p2pnode")?).into();
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .env_clear()
        .env("PATH", path)
        .env("CLUSTER_ID", "lab")
        .env("BIND_ADDRESS", address(start.node).to_string())
        .env("OPTIMUM_PORT", PORT.to_string())
        .env("SIDECAR_PORT", SIDECAR_PORT.to_string())
        .env("API_PORT", API_PORT.to_string())
        .env("IDENTITY_DIR", start.folder)
        .env("BOOTSTRAP_PEERS", start.dials.join(","))
        .env("OPTIMUM_PROFILE", profile)
        .env("OPTIMUM_TRACE", "none")
        .env("OPTIMUM_MAX_MSG_SIZE", start.bytes_max.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true);
    Ok(command.spawn()?)
}

type Stream = (mpsc::Sender<Request>, Streaming<Response>);

/// Opens a stream to the sidecar and subscribes, as soon as the node has one.
async fn open(child: &mut Child, namespace: &Arc<Namespace>, node: usize) -> Result<Stream> {
    let limit = Instant::now() + START_LIMIT;
    let sidecar = SocketAddr::from((address(node), SIDECAR_PORT));
    let socket = loop {
        if let Some(status) = child.try_wait()? {
            bail!("p2pnode ended with {status}");
        }
        match connect(namespace, sidecar) {
            Ok(socket) => break socket,
            Err(error) if Instant::now() > limit => {
                return Err(error.context("its sidecar does not answer"));
            }
            Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
        }
    };
    socket.set_nonblocking(true)?;
    let mut socket = Some(TokioIo::new(tokio::net::TcpStream::from_std(socket)?));
    let connector = tower::service_fn(move |_| {
        let socket = socket.take();
        async { socket.ok_or(std::io::ErrorKind::NotConnected).map_err(std::io::Error::from) }
    });
    let channel = Endpoint::from_static("http://node").connect_with_connector(connector).await?;
    let (requests, stream) = mpsc::channel(1);
    let mut call = tonic::Request::new(ReceiverStream::new(stream));
    let options = StreamOptions { traces: false, payloads: false, ..StreamOptions::default() };
    options.write_to(call.metadata_mut())?;
    let mut client = CommandStreamClient::new(channel);
    let responses = client.listen_commands(call).await?.into_inner();
    let subscribe =
        Request { command: Order::Subscribe as i32, topic: TOPIC.to_owned(), ..Request::default() };
    requests.send(subscribe).await?;
    Ok((requests, responses))
}

fn connect(namespace: &Namespace, to: SocketAddr) -> Result<std::net::TcpStream> {
    let socket = namespace.enter(|| std::net::TcpStream::connect_timeout(&to, ANSWER_LIMIT))??;
    socket.set_nodelay(true)?;
    Ok(socket)
}

async fn send(
    requests: mpsc::Sender<Request>,
    mut orders: mpsc::Receiver<Publish>,
    numbers: Numbers,
    events: mpsc::UnboundedSender<Event>,
) {
    while let Some(Publish { number, bytes }) = orders.recv().await {
        let mut data = vec![0; bytes];
        rand::rng().fill_bytes(&mut data);
        let id = gossip::message_id(&data);
        numbers.lock().unwrap_or_else(PoisonError::into_inner).insert(id.0, number);
        let request = Request {
            command: Order::Publish as i32,
            topic: TOPIC.to_owned(),
            data: data.into(),
            ..Request::default()
        };
        // From here on it counts, so the way through the sidecar does too.
        let published = Event::Published { number, at: now() };
        // That the node ended is told by who receives.
        if events.send(published).is_err() || requests.send(request).await.is_err() {
            return;
        }
    }
}

async fn receive(
    node: usize,
    mut responses: Streaming<Response>,
    numbers: Numbers,
    events: mpsc::UnboundedSender<Event>,
) {
    let why = loop {
        let response = match responses.message().await {
            Ok(Some(response)) => response,
            Ok(None) => break "its stream ended".to_owned(),
            Err(status) => break status.to_string(),
        };
        if response.command() != ResponseType::Message {
            continue;
        }
        let at = now();
        let Ok(head) = DeliveryHead::from_json(&response.data) else {
            break "it delivers what is no message".to_owned();
        };
        let numbers = numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(&number) = numbers.get(&head.message_id) else {
            break "it delivers a message that nobody published".to_owned();
        };
        if events.send(Event::Arrived { node, number, at }).is_err() {
            return;
        }
    };
    // Nobody listens any more at the end of a run.
    let _over = events.send(Event::Failed { node, why });
}

/// Tells how many peers there are until there are enough.
async fn watch_peers(
    node: usize,
    namespace: Arc<Namespace>,
    wanted: (usize, usize),
    events: mpsc::UnboundedSender<Event>,
) {
    loop {
        let asked = namespace.clone();
        let snapshot = tokio::task::spawn_blocking(move || {
            let page = http(&asked, node, "/api/v1/p2p-snapshot")?;
            anyhow::Ok(serde_json::from_str(&page)?)
        });
        // A node without its pages up is asked again; what waits for it has a limit.
        if let Ok(Ok(snapshot)) = snapshot.await {
            let (connected, mesh) = peers(&snapshot);
            let told = events.send(Event::Peers { node, connected, mesh });
            if told.is_err() || (connected >= wanted.0 && mesh >= wanted.1) {
                return;
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Returns how many peers a snapshot shows, and how many in the mesh.
fn peers(snapshot: &Value) -> (usize, usize) {
    let peers = snapshot["connected_peers"].as_array().map(Vec::as_slice).unwrap_or_default();
    (peers.len(), peers.iter().filter(|peer| peer["mesh"] == true).count())
}

/// Returns a page of a node, from inside its namespace.
pub(crate) fn http(namespace: &Namespace, node: usize, path: &str) -> Result<String> {
    let mut socket = connect(namespace, SocketAddr::from((address(node), API_PORT)))?;
    socket.set_read_timeout(Some(ANSWER_LIMIT))?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    ensure!(head.contains(" 200 "), "{path}: {}", head.lines().next().unwrap_or_default());
    Ok(body.to_owned())
}

/// Returns the last lines of a node's log.
pub(crate) fn log_tail(folder: &Path) -> String {
    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_of_the_mesh_are_counted_among_all_peers() {
        let snapshot = serde_json::json!({
            "connected_peers": [{"mesh": true}, {"mesh": false}, {"mesh": true}]
        });
        assert_eq!(peers(&snapshot), (3, 2));
        assert_eq!(peers(&Value::Null), (0, 0));
    }
}
