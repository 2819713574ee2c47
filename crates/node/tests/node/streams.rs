//! What sidecar streams ask for beyond the default.

use api::{
    StreamOptions,
    sidecar::{
        Command::{Publish, Subscribe, Unsubscribe},
        FetchRequest, Request, Void,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use gossip::message_id;
use tonic::{Code, metadata::MetadataValue};

use crate::common::{
    LIMIT,
    client::{Client, Got, connect},
    config, start, until, until_peers,
};

#[tokio::test]
async fn a_stream_is_given_only_the_topics_it_wants_and_no_traces_if_it_declines_them() {
    let node = start(config("c", &[])).await;
    let wants = StreamOptions {
        traces: false,
        topics: Some(["b".to_owned()].into()),
        ..StreamOptions::default()
    };
    let mut reader = Client::open_with(&node, &wants).await;
    reader.send(Subscribe, "a", "").await;
    let mut publisher = Client::open(&node).await;
    publisher.send(Publish, "a", "unwanted").await;
    publisher.send(Publish, "b", "wanted").await;
    publisher.message().await;
    publisher.message().await;
    reader.send(Publish, "b", "own").await;
    let Some(Got::Message(first)) = reader.next().await else { panic!("a message, no trace") };
    assert_eq!(first["message"], STANDARD.encode("wanted"));
    // What is held back is given before anything else; the answer to the publish comes at last.
    let (mut answers, mut messages) = (0, 0);
    while answers + messages < 2 {
        match reader.next().await.expect("the stream lives") {
            Got::Trace(event) => {
                assert!(event.publish_message.is_some(), "{event:?}");
                answers += 1;
            }
            Got::Message(message) => {
                assert_eq!(message["message"], STANDARD.encode("own"));
                messages += 1;
            }
            Got::Lost(lost) => panic!("{lost}"),
        }
    }
    assert_eq!((answers, messages), (1, 1));
}

#[tokio::test]
async fn a_reader_without_payloads_fetches_those_it_wants() {
    let node = start(config("c", &[])).await;
    let wants = StreamOptions { payloads: false, ..StreamOptions::default() };
    let mut reader = Client::open_with(&node, &wants).await;
    reader.send(Subscribe, "t", "").await;
    let publisher = Client::open(&node).await;
    publisher.send(Publish, "t", "worth it").await;
    let told = reader.message().await;
    assert_eq!(told["topic"], "t");
    assert!(told.get("message").is_none(), "{told}");
    let message_id = told["message_id"].as_str().expect("text").to_owned();
    let mut client = connect(&node).await;
    let fetched = client.fetch(FetchRequest { message_id: message_id.clone() }).await;
    let fetched = fetched.expect("kept").into_inner();
    assert_eq!(fetched.payload, "worth it");
    assert_eq!((fetched.topic.as_str(), &fetched.message_id), ("t", &message_id));
    assert_eq!(fetched.source_node_id, node.peer_id().to_string());
}

#[tokio::test]
async fn a_fetch_that_cannot_be_answered_says_why() {
    let node = start(config("c", &[])).await;
    let mut client = connect(&node).await;
    let unknown = message_id(b"never published").to_string();
    for (message_id, code, says) in [
        (unknown.as_str(), Code::NotFound, "not kept"),
        ("", Code::InvalidArgument, "64 hexadecimal digits"),
        (&unknown[1..], Code::InvalidArgument, "64 hexadecimal digits"),
        (&unknown.replace(&unknown[..1], "x"), Code::InvalidArgument, "64 hexadecimal digits"),
    ] {
        let request = FetchRequest { message_id: message_id.to_owned() };
        let status = client.fetch(request).await.expect_err(says);
        assert!(status.code() == code && status.message().contains(says), "{status}");
    }
}

#[tokio::test]
async fn metadata_that_means_nothing_is_refused_naming_the_key() {
    let node = start(config("c", &[])).await;
    let mut client = connect(&node).await;
    for (key, value) in [
        (api::stream_options::TRACES, "maybe"),
        (api::stream_options::PAYLOADS, "ids"),
        (api::stream_options::HOLDER, ""),
    ] {
        let mut call = tonic::Request::new(tokio_stream::empty::<Request>());
        call.metadata_mut().insert(key, MetadataValue::from_static(value));
        let status = client.listen_commands(call).await.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(key), "{status}");
    }
}

#[tokio::test]
async fn an_unsubscribe_ends_the_topic_for_every_stream_of_the_node_and_for_its_peers() {
    let first = start(config("c", &[])).await;
    let second = start(config("c", &[&first])).await;
    until_peers(&first, 1).await;
    until_peers(&second, 1).await;
    let mut other = Client::open(&first).await;
    for topic in ["t", "u"] {
        other.send(Subscribe, topic, "").await;
    }
    let asking = Client::open(&first).await;
    let peer_topics = |wanted: &'static [&'static str]| {
        until(&second, "the peer's topics", move |status| {
            status.peers.iter().any(|peer| peer.topics == wanted)
        })
    };
    peer_topics(&["t", "u"]).await;
    asking.send(Unsubscribe, "t", "").await;
    let left = other.trace(|event| event.leave.is_some()).await.leave.expect("set");
    assert_eq!(left.topic.expect("set"), "t");
    peer_topics(&["u"]).await;
    let topics = connect(&first).await.list_topics(Void {}).await.expect("answers");
    assert_eq!(topics.into_inner().topics, ["u"]);
    let publisher = Client::open(&second).await;
    publisher.send(Publish, "t", "not for the first").await;
    publisher.send(Publish, "u", "for the first").await;
    assert_eq!(other.message().await["topic"], "u");
}

#[tokio::test]
async fn a_slow_reader_that_wants_to_know_is_told_what_it_lost() {
    let mut small = config("c", &[]);
    small.stream_queue_bytes = 1 << 20;
    let node = start(small).await;
    let wants = StreamOptions { losses: true, traces: false, ..StreamOptions::default() };
    let mut slow = Client::open_with(&node, &wants).await;
    slow.send(Subscribe, "t", "").await;
    let (mut reader, publisher) = (Client::open(&node).await, Client::open(&node).await);
    for number in 0..40_u8 {
        publisher.send(Publish, "t", vec![number; 100_000]).await;
        reader.message().await;
    }
    let mut messages = 0;
    let lost = loop {
        match slow.next().await.expect("the stream lives") {
            Got::Message(_) => messages += 1,
            Got::Lost(lost) => break lost["lost"].clone(),
            Got::Trace(event) => panic!("{event:?}"),
        }
    };
    assert_eq!(lost["messages"].as_u64(), Some(40 - messages), "{lost}");
}

#[tokio::test]
async fn a_holder_has_its_topics_while_it_has_a_stream() {
    let node = start(config("c", &[])).await;
    let holder = Some("proxy-1".to_owned());
    let wants = StreamOptions { holder, ..StreamOptions::default() };
    let first = Client::open_with(&node, &wants).await;
    first.send(Subscribe, "held", "").await;
    first.send(Publish, "joined by publishing", "x").await;
    until(&node, "both", |status| status.topics == ["held", "joined by publishing"]).await;
    let second = Client::open_with(&node, &wants).await;
    drop(first);
    second.send(Subscribe, "more", "").await;
    until(&node, "all", |status| status.topics == ["held", "joined by publishing", "more"]).await;
}

#[tokio::test]
async fn a_holder_that_lets_a_topic_go_takes_it_from_nobody_else() {
    let node = start(config("c", &[])).await;
    let wants = |holder: &str| StreamOptions {
        holder: Some(holder.to_owned()),
        ..StreamOptions::default()
    };
    let first = Client::open_with(&node, &wants("proxy-1")).await;
    let second = Client::open_with(&node, &wants("proxy-2")).await;
    for holder in [&first, &second] {
        holder.send(Subscribe, "shared", "").await;
    }
    first.send(Subscribe, "own", "").await;
    until(&node, "both", |status| status.topics == ["own", "shared"]).await;
    for topic in ["shared", "own"] {
        first.send(Unsubscribe, topic, "").await;
    }
    until(&node, "one", |status| status.topics == ["shared"]).await;
    second.send(Unsubscribe, "shared", "").await;
    until(&node, "none", |status| status.topics.is_empty()).await;
}

#[tokio::test]
async fn a_stream_that_wants_to_know_is_told_of_its_message_that_is_not_published() {
    let node = start(config("c", &[])).await;
    let wants = StreamOptions { losses: true, traces: false, ..StreamOptions::default() };
    let mut client = Client::open_with(&node, &wants).await;
    client.send(Publish, "t", "").await;
    let Got::Lost(told) = client.next().await.expect("the stream lives") else {
        panic!("no notice")
    };
    // SHA-256 of nothing.
    let id = told["refused"]["message_id"].as_str().expect("an id");
    assert!(id.starts_with("e3b0c442") && id.ends_with("7852b855"), "{told}");
    assert!(told["refused"]["error"].as_str().is_some_and(|why| why.contains("empty")), "{told}");
}

mod tickets {
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

    use super::*;

    /// A file of keys, and a ticket signed with one of them that is valid for an hour.
    fn signed() -> (tempfile::NamedTempFile, String) {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("made");
        let x = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(pair.public_key_raw());
        let keys = format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"k","x":"{x}"}}]}}"#
        );
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), keys).expect("written");
        let header = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::EdDSA) };
        let claims = serde_json::json!({ "exp": jsonwebtoken::get_current_timestamp() + 3600 });
        let key = EncodingKey::from_ed_der(pair.serialized_der());
        (file, encode(&header, &claims, &key).expect("signed"))
    }

    fn publish(ticket: &str, data: &'static str) -> Request {
        let (topic, jwt_token) = ("t".to_owned(), ticket.to_owned());
        Request { command: Publish as i32, topic, data: data.into(), jwt_token }
    }

    #[tokio::test]
    async fn with_keys_set_a_command_needs_a_valid_ticket_and_nothing_else_does() {
        let (file, ticket) = signed();
        let mut strict = config("c", &[]);
        strict.sidecar_jwks = Some(file.path().display().to_string());
        let node = start(strict).await;
        let mut reader = Client::open(&node).await;
        let holding = Client::open(&node).await;
        for wrong in ["", "nonsense", &ticket[1..]] {
            let mut refused = Client::open(&node).await;
            refused.requests.send(publish(wrong, "no")).await.expect("the stream lives");
            let end = async {
                loop {
                    if let Err(status) = refused.responses.message().await {
                        break status;
                    }
                }
            };
            let status = tokio::time::timeout(LIMIT, end).await.expect("in time");
            assert_eq!(status.code(), Code::Unauthenticated);
            assert!(status.message().contains("ticket"), "{status}");
        }
        holding.requests.send(publish(&ticket, "yes")).await.expect("the stream lives");
        assert_eq!(reader.message().await["message"], STANDARD.encode("yes"));
        holding.requests.send(publish(&ticket, "again")).await.expect("the stream lives");
        assert_eq!(reader.message().await["message"], STANDARD.encode("again"));
        connect(&node).await.health(Void {}).await.expect("open to all");
        until(&node, "counted", |status| status.counters.tickets_refused == 3).await;
    }

    #[tokio::test]
    async fn without_keys_set_a_ticket_is_ignored() {
        let node = start(config("c", &[])).await;
        let mut client = Client::open(&node).await;
        client.requests.send(publish("nonsense", "yes")).await.expect("the stream lives");
        assert_eq!(client.message().await["message"], STANDARD.encode("yes"));
    }
}
