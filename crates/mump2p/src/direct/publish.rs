//! Publishing straight at a node.

use std::time::Instant;

use api::{StreamOptions, go_duration};
use bytes::Bytes;

use super::{Session, SessionNode, cache::Sessions, node::Stream};
use crate::{Error, output, progress};

/// Where a message was published, and how long that took.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) node: SessionNode,
    pub(crate) took: std::time::Duration,
}

impl Published {
    /// The line for people; the end of it is the beginning of the message's id.
    pub(crate) fn line(&self, message_id: &str) -> String {
        format!(
            "Published to {} ({}) in {} [msg: {:.8}]",
            self.node.address,
            self.node.region(),
            go_duration::written(rounded(self.took)),
            message_id
        )
    }
}

/// Rounded to what people care for.
pub(super) fn rounded(duration: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_micros(duration.as_micros() as u64 / 10 * 10)
}

/// Publishes at the best node that takes it.
///
/// # Errors
///
/// Returns an error if no node does.
pub(crate) async fn publish(
    sessions: &Sessions,
    topic: &str,
    payload: &Bytes,
) -> Result<Published, Error> {
    let (session, is_kept) = sessions.kept_or_new().await?;
    let failed = match at_any(&session, topic, payload).await {
        Ok(published) => return Ok(published),
        Err(error) => error,
    };
    if !is_kept {
        return Err(failed);
    }
    // What was kept may be about nodes that are gone.
    output::note("asking the proxy for other nodes");
    at_any(&sessions.new_one().await?, topic, payload).await
}

async fn at_any(session: &Session, topic: &str, payload: &Bytes) -> Result<Published, Error> {
    for node in &session.nodes {
        let begin = Instant::now();
        let spinner = progress::spinner(payload.len(), format!("publishing to {}", node.address));
        let done = at(node, topic, payload.clone()).await;
        spinner.finish_and_clear();
        match done {
            Ok(()) => return Ok(Published { node: node.clone(), took: begin.elapsed() }),
            Err(error) => output::note(&format!("  Node {} failed: {error}", node.address)),
        }
    }
    Err(Error::Failed(format!("all {} node(s) failed to publish", session.nodes.len())))
}

async fn at(node: &SessionNode, topic: &str, payload: Bytes) -> Result<(), Error> {
    // Only the answer to this publish is of interest, and no topic is called so.
    let options = StreamOptions {
        traces: false,
        topics: Some([String::new()].into()),
        payloads: false,
        losses: true,
        ..StreamOptions::default()
    };
    Stream::publish(node, &options, topic, payload).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_node_place_time_and_message() {
        let node = SessionNode { address: "n:1".to_owned(), ..SessionNode::default() };
        let published = Published { node, took: std::time::Duration::from_nanos(12_345_678) };
        let line = published.line(&"ab".repeat(32));
        assert_eq!(line, "Published to n:1 (unknown) in 12.34ms [msg: abababab]");
    }
}
