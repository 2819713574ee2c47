//! The hub with readers in this process.

use futures::{FutureExt as _, StreamExt as _};

use super::*;

fn message(text: &'static str) -> Item {
    Item::Message(Bytes::from_static(text.as_bytes()))
}

/// Delivers a message and, for readers that want no payloads, the first letter of it.
fn deliver(hub: &Hub, topic: &str, text: &'static str) {
    let form = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    hub.deliver(topic, &Encoded { whole: form(text), bare: form(&text[..1]) });
}

fn open(hub: &Arc<Hub>, wants: StreamOptions) -> Reader {
    let reader = hub.open(wants).expect("room");
    hub.release(reader.id());
    reader
}

fn read_all(reader: &mut Reader) -> Vec<Item> {
    std::iter::from_fn(|| reader.next().now_or_never().flatten()).collect()
}

#[test]
fn a_slow_reader_loses_messages_and_a_quick_one_none() {
    let hub = Arc::new(Hub::new(1000, 8));
    let (mut quick, mut slow) = (
        hub.open(StreamOptions::default()).expect("room"),
        hub.open(StreamOptions::default()).expect("room"),
    );
    hub.release(quick.id());
    hub.release(slow.id());
    let mut read = 0;
    for _ in 0..100 {
        deliver(&hub, "t", "0123456789");
        read += read_all(&mut quick).len();
    }
    assert_eq!(read, 100);
    let kept = read_all(&mut slow).len() as u64;
    assert!((1..100).contains(&kept));
    assert_eq!(hub.dropped().snapshot(), (0, 100 - kept, 0));
}

#[test]
fn readers_of_one_message_share_its_bytes() {
    let hub = Arc::new(Hub::new(1000, 8));
    let mut readers = [
        hub.open(StreamOptions::default()).expect("room"),
        hub.open(StreamOptions::default()).expect("room"),
    ];
    hub.release(readers[0].id());
    hub.release(readers[1].id());
    let data = Bytes::from(vec![7; 10]);
    hub.deliver("t", &Encoded { whole: Some(data.clone()), bare: None });
    for reader in &mut readers {
        let Some(Item::Message(got)) = reader.next().now_or_never().flatten() else {
            panic!("a message");
        };
        assert_eq!(got.as_ptr(), data.as_ptr());
    }
}

#[test]
fn an_answer_goes_to_its_stream_only_and_first() {
    let hub = Arc::new(Hub::new(1000, 8));
    let (mut publisher, mut other) = (
        hub.open(StreamOptions::default()).expect("room"),
        hub.open(StreamOptions::default()).expect("room"),
    );
    hub.release(other.id());
    let trace = Item::Trace(Bytes::from_static(b"published"));
    deliver(&hub, "t", "earlier");
    hub.answer(publisher.id(), trace.clone());
    hub.broadcast_trace(&trace, Some(publisher.id()));
    assert_eq!(read_all(&mut publisher), [trace.clone(), message("earlier")]);
    assert_eq!(read_all(&mut other), [message("earlier"), trace]);
}

#[test]
fn a_reader_that_leaves_is_counted_out_and_makes_room_for_another() {
    let hub = Arc::new(Hub::new(1000, 1));
    let readers = hub.watch_readers();
    let reader = hub.open(StreamOptions::default()).expect("room");
    assert!(hub.open(StreamOptions::default()).is_none());
    assert_eq!(hub.refused().streams.get(), 1);
    assert!(hub.has_readers());
    drop(reader);
    assert_eq!(readers.borrow().traces, 0);
    assert!(hub.open(StreamOptions::default()).is_some());
}

#[test]
fn a_closed_hub_ends_its_readers_after_what_they_hold() {
    let hub = Arc::new(Hub::new(1000, 8));
    let mut reader = hub.open(StreamOptions::default()).expect("room");
    deliver(&hub, "t", "last");
    hub.close();
    assert_eq!(reader.next().now_or_never(), Some(Some(message("last"))));
    assert_eq!(reader.next().now_or_never(), Some(None));
    assert!(hub.open(StreamOptions::default()).is_none());
}

#[test]
fn a_reader_is_given_the_topics_it_wants_and_no_traces_if_it_declines_them() {
    let hub = Arc::new(Hub::new(1000, 8));
    let topics = Some(["b".to_owned()].into());
    let wants = StreamOptions { topics, traces: false, ..StreamOptions::default() };
    let mut reader = open(&hub, wants);
    deliver(&hub, "a", "other");
    deliver(&hub, "b", "wanted");
    hub.broadcast_trace(&Item::Trace(Bytes::from_static(b"trace")), None);
    assert_eq!(read_all(&mut reader), [message("wanted")]);
    hub.answer(reader.id(), Item::Trace(Bytes::from_static(b"published")));
    assert_eq!(read_all(&mut reader).len(), 1, "an answer comes all the same");
    assert_eq!(hub.watch_readers().borrow().traces, 0);
}

#[test]
fn a_message_is_wanted_in_the_forms_that_its_readers_ask_for() {
    let hub = Arc::new(Hub::new(1000, 8));
    assert_eq!(hub.demand("a"), Demand { whole: false, bare: false });
    let topics = Some(["a".to_owned()].into());
    let bare = StreamOptions { payloads: false, topics, ..StreamOptions::default() };
    let mut reader = open(&hub, bare);
    assert_eq!(hub.demand("a"), Demand { whole: false, bare: true });
    assert_eq!(hub.demand("b"), Demand { whole: false, bare: false });
    let _other = open(&hub, StreamOptions::default());
    assert_eq!(hub.demand("a"), Demand { whole: true, bare: true });
    deliver(&hub, "a", "long");
    assert_eq!(read_all(&mut reader), [message("l")]);
}

#[test]
fn a_reader_that_wants_to_know_is_told_once_what_it_lost() {
    let hub = Arc::new(Hub::new(200, 8));
    let wants = StreamOptions { losses: true, ..StreamOptions::default() };
    let (mut reader, mut other) = (open(&hub, wants), open(&hub, StreamOptions::default()));
    for _ in 0..5 {
        deliver(&hub, "t", "0123456789");
    }
    let told = read_all(&mut reader);
    let kept = read_all(&mut other);
    let lost = format!(r#"{{"lost":{{"answers":0,"messages":{},"traces":0}}}}"#, 5 - kept.len());
    assert_eq!(told, [kept, vec![Item::Notice(lost.into())]].concat());
    deliver(&hub, "t", "more");
    assert_eq!(read_all(&mut reader), [message("more")]);
}

#[test]
fn holders_are_known_while_they_have_a_stream() {
    let hub = Arc::new(Hub::new(1000, 8));
    let readers = hub.watch_readers();
    let wants = StreamOptions { holder: Some("h".to_owned()), ..StreamOptions::default() };
    let (first, second) = (open(&hub, wants.clone()), open(&hub, wants));
    drop(first);
    assert!(readers.borrow().holders.contains("h"));
    drop(second);
    assert!(readers.borrow().holders.is_empty());
}
