//! Receiving straight from a node.

use std::time::{Duration, Instant};

use api::{
    Delivery, StreamOptions, go_duration,
    sidecar::{Response, ResponseType},
};

use super::{Session, SessionNode, cache::Sessions, node::Stream, publish::rounded};
use crate::{Error, output, received::Sink, signals};

/// Sessions in a row whose nodes all fail before it is given up, once messages came.
const ROUNDS_MAX: u32 = 6;

/// The pause after the first of them; it doubles.
const PAUSE: Duration = Duration::from_secs(1);

/// A stream that lasted as long was a good one; a node that does not take the ticket ends it sooner.
const GOOD_MIN: Duration = Duration::from_secs(5);

/// Why the stream of a node ended.
enum End {
    /// Ctrl-C.
    Interrupted,
    /// The node failed before it was of use.
    Refused(Error),
    /// The node failed after it was.
    Lost(Error),
    /// The sink failed: no other node helps.
    Sink(Error),
}

/// Receives from the best node, and from the next when it fails, until Ctrl-C.
///
/// # Errors
///
/// Returns an error if no node is left, or the sink fails.
pub(crate) async fn subscribe(
    sessions: &Sessions,
    topic: &str,
    sink: &mut Sink,
) -> Result<(), Error> {
    let (mut session, mut may_ask) = signals::or_interrupted(sessions.kept_or_new()).await?;
    let mut rounds = 0;
    loop {
        let mut was_subscribed = false;
        for place in 0..session.nodes.len() {
            match from(&session, place, topic, sink).await {
                End::Interrupted => return Ok(()),
                End::Sink(error) => return Err(error),
                End::Refused(error) => failed(&session.nodes[place], &error),
                End::Lost(error) => {
                    was_subscribed = true;
                    failed(&session.nodes[place], &error);
                }
            }
        }
        // Who never was connected is told at once, unless the session was an old one.
        (may_ask, rounds) = if was_subscribed { (true, 1) } else { (may_ask, rounds + 1) };
        if !may_ask || rounds > ROUNDS_MAX {
            let count = session.nodes.len();
            return Err(Error::Failed(format!("all {count} node(s) failed to subscribe")));
        }
        may_ask = rounds > 1 || was_subscribed;
        output::note("asking the proxy for other nodes");
        match renewed(sessions, rounds).await? {
            Some(renewed) => session = renewed,
            None => return Ok(()),
        }
    }
}

fn failed(node: &SessionNode, error: &Error) {
    output::note(&format!("  Node {} failed: {error}", node.address));
}

/// Asks for a new session until the proxy gives one, as often as rounds are left; none for Ctrl-C.
async fn renewed(sessions: &Sessions, first_round: u32) -> Result<Option<Session>, Error> {
    let mut round = first_round;
    loop {
        let pause = PAUSE * 2_u32.pow(round.min(ROUNDS_MAX) - 1);
        let asked = async {
            tokio::time::sleep(pause).await;
            sessions.new_one().await
        };
        match signals::or_interrupted(asked).await {
            Ok(session) => return Ok(Some(session)),
            Err(Error::Interrupted(_)) => return Ok(None),
            Err(error) if round >= ROUNDS_MAX => return Err(error),
            Err(error) => output::note(&format!("no session: {error}")),
        }
        round += 1;
    }
}

/// Receives from one node of a session.
async fn from(session: &Session, place: usize, topic: &str, sink: &mut Sink) -> End {
    let node = &session.nodes[place];
    let begin = Instant::now();
    let options = StreamOptions {
        traces: sink.has_debug(),
        topics: Some([topic.to_owned()].into()),
        losses: true,
        ..StreamOptions::default()
    };
    let opened = Stream::subscribed(node, &options, topic);
    let mut stream = match signals::or_interrupted(opened).await {
        Ok(stream) => stream,
        Err(Error::Interrupted(_)) => return End::Interrupted,
        Err(error) => return End::Refused(error),
    };
    if let Err(error) = announce(session, place, topic, begin.elapsed(), sink) {
        return End::Sink(error);
    }
    let mut interrupted = std::pin::pin!(signals::interrupted());
    let mut received = false;
    loop {
        let response = tokio::select! {
            response = stream.next() => response,
            _ = &mut interrupted => return End::Interrupted,
        };
        match response {
            Ok(response) => {
                received = true;
                if let Err(error) = take(response, sink) {
                    return End::Sink(error);
                }
            }
            Err(error) if received || begin.elapsed() > GOOD_MIN => return End::Lost(error),
            Err(error) => return End::Refused(error),
        }
    }
}

fn announce(
    session: &Session,
    place: usize,
    topic: &str,
    took: Duration,
    sink: &Sink,
) -> Result<(), Error> {
    let node = &session.nodes[place];
    let backups = &session.nodes[place + 1..];
    sink.status(&format!(
        "Subscribed to '{topic}' on {} ({}) in {} — {} backup nodes ready",
        node.address,
        node.region(),
        go_duration::written(rounded(took)),
        backups.len()
    ))?;
    for backup in backups {
        sink.status(&format!("  backup: {} ({})", backup.address, backup.region()))?;
    }
    Ok(())
}

fn take(response: Response, sink: &mut Sink) -> Result<(), Error> {
    match ResponseType::try_from(response.command) {
        Ok(ResponseType::Message) => sink.take(&Delivery::of_frame(response.data)),
        Ok(ResponseType::Unknown) => {
            if let Some(messages) = api::lost_messages(&response.data).filter(|lost| *lost > 0) {
                sink.lost(messages);
            }
            Ok(())
        }
        Ok(ResponseType::MessageTraceMumP2p | ResponseType::MessageTraceGossipSub) => {
            if sink.has_debug() {
                trace(&response.data);
            }
            Ok(())
        }
        Err(_) => Ok(()),
    }
}

/// Says that a trace event came.
fn trace(data: &bytes::Bytes) {
    use prost::Message as _;
    if let Ok(event) = api::trace::TraceEvent::decode(data.clone()) {
        output::note(&format!("Trace:\t{}", event.r#type().as_str_name()));
    }
}
