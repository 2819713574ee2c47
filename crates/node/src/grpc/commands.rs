//! Reads the commands of one stream, in order.

use std::{
    error::Error as _,
    pin::pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use api::{command::Command as Asked, sidecar::Request};
use futures::{Stream, StreamExt as _};
use gossip::Topic;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::{debug, warn};

use crate::{
    handle::{Closed, Handle, ReplyTo},
    hub::{Hub, StreamId},
    tickets::{Accepted, Tickets},
};

/// How long a stream that has sent nothing yet is held: a publisher's first response must be the
/// answer to its publish, so nothing else is sent before its first command is known.
const FIRST_COMMAND_WAIT: Duration = Duration::from_millis(250);

/// How long a stream that only published stays open after the client has sent its last.
const OPEN_AFTER_LAST: Duration = Duration::from_secs(15);

/// One stream's commands.
pub(super) struct Commands {
    pub(super) stream: StreamId,
    pub(super) handle: Handle,
    pub(super) hub: Arc<Hub>,
    pub(super) stop: CancellationToken,
    /// Who holds what this stream subscribes; without, that is for good.
    pub(super) holder: Option<String>,
    /// Checks the tickets of commands; none takes every command.
    pub(super) tickets: Option<Arc<Tickets>>,
    pub(super) accepted: Accepted,
    pub(super) refusal: Refusal,
}

/// Why a stream's commands are taken no more, if that is so; its client is told at the end.
pub(super) type Refusal = Arc<OnceLock<Status>>;

/// Why no further command is read.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Closed,
    Refused(String),
}

impl From<Closed> for End {
    fn from(Closed: Closed) -> Self {
        Self::Closed
    }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Command {
    Publish(Topic, bytes::Bytes),
    Subscribe(Vec<Topic>),
    Unsubscribe(Topic),
}

impl Commands {
    /// Runs to the end of `requests`, also after the client is gone.
    pub(super) async fn run(mut self, requests: impl Stream<Item = Result<Request, Status>>) {
        let mut requests = pin!(requests);
        let mut first = tokio::time::timeout(FIRST_COMMAND_WAIT, requests.next()).await.ok();
        if first.is_none() {
            self.hub.release(self.stream);
        }
        let mut subscribed = false;
        loop {
            let next = if let Some(next) = first.take() {
                next
            } else {
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    next = requests.next() => next,
                }
            };
            match next {
                Some(Ok(request)) => match self.obey(request).await {
                    Ok(was_subscription) => subscribed |= was_subscription,
                    Err(End::Closed) => return,
                    Err(End::Refused(why)) => {
                        self.hub.refused().tickets.add_one();
                        return self.refuse(Status::unauthenticated(why));
                    }
                },
                Some(Err(status)) if is_of_connection(&status) => {
                    debug!(stream = ?self.stream, %status, "a client is gone");
                    return;
                }
                Some(Err(status)) => {
                    self.hub.refused().unreadable.add_one();
                    return self.refuse(status);
                }
                None => break,
            }
        }
        self.after_last(subscribed).await;
    }

    /// Ends the stream after what it holds; its client is told why.
    fn refuse(&self, why: Status) {
        debug!(stream = ?self.stream, %why, "commands are read no more");
        // Set once: no command is read after this.
        let _first = self.refusal.set(why);
        self.hub.finish(self.stream);
    }

    /// The client sends no more. One that subscribed is served until it resets the stream.
    async fn after_last(&self, subscribed: bool) {
        if !subscribed {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(OPEN_AFTER_LAST) => self.hub.finish(self.stream),
            }
        }
    }

    /// Does what is asked; returns whether that was a subscription. A wrong request is logged and
    /// the stream lives: no client expects an error.
    async fn obey(&mut self, request: Request) -> Result<bool, End> {
        if let Some(tickets) = &self.tickets {
            let admitted = self.accepted.admit(tickets, &request.jwt_token).await;
            admitted.map_err(End::Refused)?;
        }
        let command = match parse(request) {
            Ok(command) => command,
            Err(problem) => {
                warn!(stream = ?self.stream, problem, "a command is ignored");
                self.hub.refused().commands.add_one();
                self.hub.release(self.stream);
                return Ok(false);
            }
        };
        match command {
            Command::Publish(topic, payload) => {
                let reply_to = ReplyTo::Stream(self.stream);
                let holder = self.holder.clone();
                self.handle.publish_for(topic, payload, reply_to, holder).await?;
                Ok(false)
            }
            Command::Subscribe(topics) => {
                self.hub.release(self.stream);
                for topic in topics {
                    self.subscribe(topic).await?;
                }
                Ok(true)
            }
            Command::Unsubscribe(topic) => {
                self.hub.release(self.stream);
                match &self.holder {
                    Some(holder) => self.handle.release(holder.clone(), topic).await?,
                    None => self.handle.unsubscribe(topic).await?,
                }
                Ok(false)
            }
        }
    }

    async fn subscribe(&self, topic: Topic) -> Result<(), Closed> {
        match &self.holder {
            Some(holder) => self.handle.lease(holder.clone(), topic).await,
            None => self.handle.subscribe(topic).await,
        }
    }
}

/// Returns whether a request did not come because its connection or its stream was lost. What the
/// client sent and could not be read has no error below it.
fn is_of_connection(status: &Status) -> bool {
    status.source().is_some()
}

/// Reads a request; its topics are checked by the rules of the protocol.
fn parse(request: Request) -> Result<Command, String> {
    let topic = |name: String| Topic::new(&name).map_err(|error| error.to_string());
    let asked = Asked::try_from(request).map_err(|error| error.to_string())?;
    Ok(match asked {
        Asked::Publish(name, payload) => Command::Publish(topic(name)?, payload),
        Asked::Subscribe(names) => {
            Command::Subscribe(names.into_iter().map(topic).collect::<Result<_, _>>()?)
        }
        Asked::Unsubscribe(name) => Command::Unsubscribe(topic(name)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream whose commands are read, and its reader.
    fn stream() -> (Commands, crate::hub::Reader, crate::handle::Commands) {
        let hub = Arc::new(Hub::new(1000, 1));
        let reader = hub.open(api::StreamOptions::default()).expect("room");
        let (handle, ends) = Handle::new();
        let stop = CancellationToken::new();
        let commands = Commands {
            stream: reader.id(),
            handle,
            hub,
            stop,
            holder: None,
            tickets: None,
            accepted: Accepted::default(),
            refusal: Refusal::default(),
        };
        (commands, reader, ends)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_only_published_stays_open_10_seconds_after_its_last_command() {
        let (commands, mut reader, mut ends) = stream();
        let requests = futures::stream::iter([Ok(request(1, "a", b"x"))]);
        let began = tokio::time::Instant::now();
        let take = async {
            let publish = ends.publishes.recv().await.expect("published");
            publish.taken.send(()).expect("waited for");
        };
        let ((), (), ended) = tokio::join!(commands.run(requests), take, reader.next());
        assert_eq!(ended, None);
        assert!(began.elapsed() >= Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_subscribed_stays_open_after_its_last_command() {
        let (commands, mut reader, mut ends) = stream();
        let requests = futures::stream::iter([Ok(request(2, "a", b""))]);
        commands.run(requests).await;
        assert!(ends.commands.recv().await.is_some());
        let ended = tokio::time::timeout(Duration::from_secs(3600), reader.next()).await;
        assert!(ended.is_err(), "still open");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_cannot_be_read_ends_its_stream_and_a_lost_connection_does_not() {
        let lost = Status::from_error(Box::new(std::io::Error::other("reset")));
        for (status, unreadable) in [(Status::internal("no request"), 1), (lost, 0)] {
            let (commands, mut reader, _ends) = stream();
            let (refusal, hub) = (Arc::clone(&commands.refusal), Arc::clone(&commands.hub));
            commands.run(futures::stream::iter([Err(status)])).await;
            assert_eq!(hub.refused().unreadable.get(), unreadable);
            assert_eq!(refusal.get().is_some(), unreadable == 1);
            let ended = tokio::time::timeout(Duration::from_secs(3600), reader.next()).await;
            assert_eq!(ended.is_ok(), unreadable == 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_publish_without_room_keeps_its_stream_waiting_and_no_other() {
        let (commands, _reader, mut ends) = stream();
        let handle = commands.handle.clone();
        let both = [Ok(request(1, "a", b"x")), Ok(request(2, "a", b""))];
        let run = tokio::spawn(commands.run(futures::stream::iter(both)));
        let topic = topics(&["other"]).remove(0);
        handle.subscribe(topic.clone()).await.expect("not kept waiting");
        let next = ends.commands.recv().await;
        assert!(matches!(next, Some(crate::handle::Command::Subscribe(t)) if t == topic));
        let publish = ends.publishes.recv().await.expect("it waited");
        assert!(ends.commands.try_recv().is_err(), "what comes after it waits too");
        publish.taken.send(()).expect("waited for");
        assert!(ends.commands.recv().await.is_some());
        run.await.expect("no panic");
    }

    fn request(command: i32, topic: &str, data: &'static [u8]) -> Request {
        Request { command, topic: topic.into(), data: data.into(), ..Request::default() }
    }

    fn topics(names: &[&str]) -> Vec<Topic> {
        names.iter().map(|name| Topic::new(name).expect("a topic")).collect()
    }

    #[test]
    fn what_is_wrong_with_a_command_is_said() {
        let long = "x".repeat(1 << 20);
        for (request, says) in [
            (request(1, "", b"x"), "the topic is empty"),
            (request(2, &long, b""), "1048576 bytes"),
            (request(4, &format!("a,{long}"), b""), "1048576 bytes"),
            (request(0, "a", b""), "command 0 is unknown"),
        ] {
            let problem = parse(request).expect_err(says);
            assert!(problem.contains(says), "{problem}");
        }
    }
}
