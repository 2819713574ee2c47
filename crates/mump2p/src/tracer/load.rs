//! `mump2p tracer load`: random messages, which the proxy makes.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::{Context, Error, http::Service, output, progress, proxy::rest};

/// Who publishes where nobody said so.
const CLIENT_ID: &str = "mump2p-tracer";

/// Publish random messages.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A second proxy, which every other message goes to.
    #[arg(long, value_name = "URL")]
    pub endpoint2: Option<String>,
    /// Which topic.
    #[arg(long, default_value = "demo")]
    pub topic: String,
    /// Size of each message in bytes.
    #[arg(long, default_value_t = 850_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub size: u64,
    /// How many messages.
    #[arg(long, default_value_t = 50)]
    pub count: u64,
    /// Milliseconds between two of them.
    #[arg(long, default_value_t = 500)]
    pub interval_ms: u64,
}

/// Publishes them.
///
/// # Errors
///
/// Returns an error if the proxy takes none of them.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let client_id = context.client_id.as_deref().unwrap_or(CLIENT_ID);
    let mut proxies = vec![Service::new(context)?];
    if let Some(second) = &args.endpoint2 {
        proxies.push(Service::at(second, context)?);
    }
    // Nobody else may have subscribed the topic, and then no proxy takes anything for it.
    let subscribed = rest::subscribe(&proxies[0], client_id, &args.topic, 0.0).await?;
    subscribed.ok("subscribe error")?;
    let mut pace = interval(Duration::from_millis(args.interval_ms.max(1)));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let bar = progress::messages(args.count, "load");
    let (mut failed, mut last) = (0, None);
    for number in 0..args.count {
        pace.tick().await;
        let proxy = &proxies[number as usize % proxies.len()];
        let published = rest::publish_random(proxy, client_id, &args.topic, args.size).await;
        if let Err(error) = published.and_then(|answer| answer.ok("publish error")) {
            failed += 1;
            bar.suspend(|| output::note(&format!("message {}: {error}", number + 1)));
            last = Some(error);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    match last {
        Some(error) if failed == args.count => Err(error),
        _ if failed > 0 => output::line(&format!(
            "load generation completed, {failed} of {} not taken",
            args.count
        )),
        _ => output::line("load generation completed"),
    }
}
