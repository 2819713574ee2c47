//! One stream of a node that takes messages and confirms them.

use std::{collections::HashMap, time::Duration};

use api::{
    Notice, StreamOptions,
    sidecar::{Command, Request, Response, ResponseType},
    trace::TraceEvent,
};
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

use super::{
    link::{Stream, text},
    node::{Publish, PublishFailure},
    tickets::OwnTickets,
};

/// Messages that a node has not confirmed. Beyond that the next one waits.
const UNCONFIRMED_MAX: usize = 1024;

/// How often those are forgotten for which nobody waits any more.
const FORGET_INTERVAL: Duration = Duration::from_secs(5);

type Answer = oneshot::Sender<Result<(), PublishFailure>>;

/// Returns what the stream is asked for: answers alone.
pub(super) fn wants(holder: &str) -> StreamOptions {
    StreamOptions {
        traces: false,
        // No topic is called so.
        topics: Some([String::new()].into()),
        payloads: false,
        holder: Some(holder.to_owned()),
        losses: true,
    }
}

/// Messages by the id that the node confirms them with: the hash of their payload. Two of one id
/// are one to the node, which confirms both.
#[derive(Default)]
struct Unconfirmed {
    waiting: HashMap<[u8; 32], Vec<Answer>>,
    count: usize,
}

impl Unconfirmed {
    fn add(&mut self, id: [u8; 32], answer: Answer) {
        self.count += 1;
        self.waiting.entry(id).or_default().push(answer);
    }

    fn settle(&mut self, id: &[u8; 32], result: &Result<(), PublishFailure>) {
        for answer in self.waiting.remove(id).into_iter().flatten() {
            self.count -= 1;
            // Who waits no longer has gone elsewhere.
            let _gone = answer.send(result.clone());
        }
    }

    fn forget_those_nobody_waits_for(&mut self) {
        self.waiting.retain(|_, answers| {
            answers.retain(|answer| !answer.is_closed());
            !answers.is_empty()
        });
        self.count = self.waiting.values().map(Vec::len).sum();
    }
}

/// Sends what comes and settles what the node confirms, until the stream ends.
pub(super) async fn run(
    mut stream: Stream,
    publishes: &mut mpsc::Receiver<Publish>,
    tickets: &OwnTickets,
) -> String {
    let mut unconfirmed = Unconfirmed::default();
    let mut next: Option<Publish> = None;
    let mut forget = tokio::time::interval(FORGET_INTERVAL);
    loop {
        let has_room = unconfirmed.count < UNCONFIRMED_MAX;
        tokio::select! {
            response = stream.responses.message() => match response {
                Ok(Some(response)) => settle(&mut unconfirmed, &response),
                Ok(None) => return "it ended the stream".to_owned(),
                Err(status) => return text(&status),
            },
            Some(publish) = publishes.recv(), if next.is_none() && has_room => next = Some(publish),
            permit = stream.commands.reserve(), if next.is_some() => {
                let Ok(permit) = permit else { return "it ended the stream".to_owned() };
                let Some(Publish { topic, payload, id, done }) = next.take() else { continue };
                unconfirmed.add(id.0, done);
                let (command, topic) = (Command::Publish as i32, topic.to_string());
                let jwt_token = tickets.current();
                permit.send(Request { command, topic, data: payload, jwt_token });
            }
            _ = forget.tick() => unconfirmed.forget_those_nobody_waits_for(),
        }
    }
}

fn settle(unconfirmed: &mut Unconfirmed, response: &Response) {
    match ResponseType::try_from(response.command) {
        Ok(ResponseType::MessageTraceMumP2p | ResponseType::MessageTraceGossipSub) => {
            // The two schemas agree in what tells a published message.
            let event = TraceEvent::decode(response.data.clone()).ok();
            let published = event.and_then(|event| event.publish_message?.message_id);
            if let Some(id) = published.and_then(|text| parse_id(&text)) {
                unconfirmed.settle(&id, &Ok(()));
            }
        }
        Ok(ResponseType::Unknown) => {
            if let Ok(Notice::Refused { error, message_id, reason }) =
                Notice::from_json(&response.data)
                && let Some(id) = parse_id(message_id.as_bytes())
            {
                unconfirmed.settle(&id, &Err(PublishFailure::Refused { reason, error }));
            }
        }
        // No message was asked for.
        Ok(ResponseType::Message) | Err(_) => {}
    }
}

/// Reads an id as traces and notices write it: 64 hexadecimal digits.
fn parse_id(text: &[u8]) -> Option<[u8; 32]> {
    let mut id = [0; 32];
    hex::decode_to_slice(text, &mut id).ok().map(|()| id)
}

#[cfg(test)]
mod tests {
    use api::trace::trace_event::PublishMessage;
    use bytes::Bytes;

    use super::*;

    fn waiting() -> (Unconfirmed, Vec<oneshot::Receiver<Result<(), PublishFailure>>>) {
        let mut unconfirmed = Unconfirmed::default();
        let answers = [1, 1, 2].map(|id| {
            let (answer, wait) = oneshot::channel();
            unconfirmed.add([id; 32], answer);
            wait
        });
        (unconfirmed, answers.into())
    }

    fn response(command: ResponseType, data: Bytes) -> Response {
        Response { command: command as i32, data, ..Response::default() }
    }

    #[test]
    fn a_confirmation_settles_every_message_of_its_id_and_no_other() {
        let (mut unconfirmed, mut answers) = waiting();
        let message_id = Some(Bytes::from("01".repeat(32)));
        let published = Some(PublishMessage { message_id, ..PublishMessage::default() });
        let event = TraceEvent { publish_message: published, ..TraceEvent::default() };
        let data = Bytes::from(event.encode_to_vec());
        settle(&mut unconfirmed, &response(ResponseType::MessageTraceMumP2p, data));
        assert_eq!(answers[0].try_recv(), Ok(Ok(())));
        assert_eq!(answers[1].try_recv(), Ok(Ok(())));
        answers[2].try_recv().expect_err("not yet");
        assert_eq!(unconfirmed.count, 1);
    }

    #[test]
    fn a_refusal_says_why_and_what_means_nothing_settles_nothing() {
        let (mut unconfirmed, mut answers) = waiting();
        for nonsense in ["", "{}", r#"{"refused":{"error":"","message_id":"zz","reason":""}}"#] {
            settle(&mut unconfirmed, &response(ResponseType::Unknown, nonsense.into()));
            settle(&mut unconfirmed, &response(ResponseType::MessageTraceMumP2p, nonsense.into()));
        }
        assert_eq!(unconfirmed.count, 3);
        let [error, reason] = ["too long", "too_large"].map(str::to_owned);
        let notice = Notice::Refused { error, message_id: "02".repeat(32), reason };
        settle(&mut unconfirmed, &response(ResponseType::Unknown, notice.to_json()));
        let [error, reason] = ["too long", "too_large"].map(str::to_owned);
        assert_eq!(answers[2].try_recv(), Ok(Err(PublishFailure::Refused { reason, error })));
    }

    #[test]
    fn messages_that_nobody_waits_for_make_room() {
        let (mut unconfirmed, mut answers) = waiting();
        answers.remove(0);
        unconfirmed.forget_those_nobody_waits_for();
        assert_eq!(unconfirmed.count, 2);
        drop(answers);
        unconfirmed.forget_those_nobody_waits_for();
        assert!(unconfirmed.waiting.is_empty() && unconfirmed.count == 0);
    }
}
