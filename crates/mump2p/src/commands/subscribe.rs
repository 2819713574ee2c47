//! `mump2p subscribe`.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;

use super::{account, publish};
use crate::{
    Context, Error,
    arguments::Global,
    debug_line, direct,
    http::Service,
    mode::{self, Mode, ModeArgs},
    output,
    persist::Persist,
    proxy::{grpc, rest, socket},
    received::{Protocol, Sink},
    signals::or_interrupted,
    usage,
    webhook::{Settings, Webhook},
};

/// Nodes that a session for subscribing names unless it is told otherwise.
const EXPOSE_AMOUNT: u32 = 3;

/// The share of nodes that must report a message unless it is told otherwise.
const THRESHOLD: f64 = 0.1;

/// Print, keep or pass on the messages of a topic.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which topic.
    #[arg(long)]
    pub topic: String,
    /// Append messages to this file, or to messages.log in this folder.
    #[arg(long, value_name = "PATH")]
    pub persist: Option<PathBuf>,
    /// Post each message to this address.
    #[arg(long, value_name = "URL")]
    pub webhook: Option<String>,
    /// A template that makes the JSON to post.
    #[arg(
        long,
        value_name = "TEMPLATE",
        requires = "webhook",
        help = "Template of Go's text/template that makes the JSON to post, of .Message, .Timestamp, \
                .Topic, .ClientID and .MessageID; quotes in a message are not escaped, except by \
                {{json .Message}}"
    )]
    pub webhook_schema: Option<String>,
    /// Messages that may wait for the webhook; more are dropped, and told.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub webhook_queue_size: u32,
    /// Seconds that the webhook may take.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub webhook_timeout: u64,
    /// Share of the active nodes that must report a message, 0 to 1 [default: 0.1]; 0 is the
    /// proxy's default.
    #[arg(long, value_parser = share)]
    pub threshold: Option<f64>,
    /// Messages of the proxy's gRPC that may wait to be printed.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub grpc_buffer_size: u32,
    /// Which way.
    #[command(flatten)]
    pub mode: ModeArgs,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a number from 0 to 1 is needed".to_owned())
}

/// Receives until Ctrl-C.
///
/// # Errors
///
/// Returns an error if it ends otherwise.
pub(crate) async fn run(args: Args, global: &Global, context: &Context) -> Result<(), Error> {
    let proxy_flag = args.threshold.map(|_| "--threshold");
    let mode = args.mode.mode(proxy_flag, mode::variable().as_deref())?;
    publish::check_topic(&args.topic)?;
    let mut sink = sink(&args, mode, context)?;
    if let Some(path) = account::counters(global, context)? {
        let now = Timestamp::now();
        let noted = usage::file::update(&path, now, |counters| counters.last_sub_time = now);
        match or_interrupted(noted).await {
            // Nothing depends on it.
            Err(error) if !error.is_silent() => output::note(&format!("not counted: {error}")),
            done => done?,
        }
    }
    let done = match mode {
        Mode::Http => by_socket(&args, context, &mut sink).await,
        Mode::Grpc => by_grpc(&args, context, &mut sink).await,
        Mode::Direct => {
            let amount = args.mode.expose_amount.unwrap_or(EXPOSE_AMOUNT);
            let sessions = publish::sessions(global, context, &args.topic, "subscribe", amount)?;
            direct::subscribe::subscribe(&sessions, &args.topic, &mut sink).await
        }
    };
    sink.finish().await;
    done
}

fn sink(args: &Args, mode: Mode, context: &Context) -> Result<Sink, Error> {
    let debug = context.debug.then(|| debug_line::own_address(&context.service_url));
    let protocol = match mode {
        Mode::Http => Protocol::WebSocket,
        Mode::Grpc => Protocol::Grpc,
        Mode::Direct => Protocol::Direct,
    };
    let mut sink = Sink::new(&args.topic, context.client()?, context.output, debug, protocol);
    if let Some(path) = &args.persist {
        let persist = Persist::open(path)?;
        sink.status(&format!("Persisting messages to {}", persist.path().display()))?;
        sink.keep(persist);
    }
    if let Some(url) = &args.webhook {
        sink.pass_on(Webhook::start(Settings {
            url: url.clone(),
            schema: args.webhook_schema.clone(),
            queue: args.webhook_queue_size as usize,
            timeout: Duration::from_secs(args.webhook_timeout),
        })?);
        sink.status(&format!("Forwarding messages to webhook {url}"))?;
    }
    Ok(sink)
}

fn listening(topic: &str) -> String {
    format!("Listening for messages on topic '{topic}'... Press Ctrl+C to exit")
}

async fn by_socket(args: &Args, context: &Context, sink: &mut Sink) -> Result<(), Error> {
    let service = Service::new(context)?;
    let client_id = context.client()?;
    sink.status(&format!("Using HTTP service URL: {}", service.base()))?;
    sink.status("Sending HTTP POST subscription request...")?;
    let threshold = args.threshold.unwrap_or(THRESHOLD);
    let open = async {
        let answer = rest::subscribe(&service, client_id, &args.topic, threshold).await?;
        answer.ok_of(service.base(), "HTTP POST subscribe error")?;
        sink.status(&format!("HTTP POST subscription successful: {}", answer.body.trim_end()))?;
        sink.status("Opening WebSocket connection...")?;
        socket::open(context, service.base(), client_id).await
    };
    let socket = or_interrupted(Box::pin(open)).await?;
    sink.status(&listening(&args.topic))?;
    socket::read(socket, sink).await
}

async fn by_grpc(args: &Args, context: &Context, sink: &mut Sink) -> Result<(), Error> {
    let url = grpc::address(&context.service_url, args.mode.grpc_address.as_deref())?;
    let client_id = context.client()?;
    sink.status(&format!("Using gRPC service URL: {url}"))?;
    let threshold = args.threshold.unwrap_or(THRESHOLD);
    let open = async {
        let mut proxy = grpc::Proxy::connect(context, &url).await?;
        proxy.subscribe(client_id, &args.topic, threshold).await?;
        proxy.stream(client_id).await
    };
    let deliveries =
        or_interrupted(open).await.map_err(|error| error.during("gRPC subscribe failed"))?;
    sink.status(&listening(&args.topic))?;
    grpc::read(deliveries, sink, args.grpc_buffer_size as usize).await
}
