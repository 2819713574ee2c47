//! Control waiting for one peer. What is state (subscriptions, mesh) is merged until it is sent;
//! the rest queues up to a bound that the caller holds.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    GenerationId, HeaderHash, Topic,
    wire::{
        Acknowledgement, Bitmap, CONTROL_ENTRIES_MAX, Control, FRAME_BYTES_MAX,
        IDONTWANT_HEADERS_MAX, IHAVE_NEWS_MAX, News,
    },
};

/// So many of the newest entries are looked at for one that is overtaken.
const HAVE_LOOK_BACK: usize = 64;

/// Whether a topic's mesh holds the peer, as it is to be told.
#[derive(Clone, Copy, Debug)]
enum MeshChange {
    Graft,
    Prune { backoff: Duration },
}

/// Control waiting for one peer.
#[derive(Debug, Default)]
pub(crate) struct ControlQueue {
    hello: bool,
    subscriptions: BTreeMap<Topic, bool>,
    mesh: BTreeMap<Topic, MeshChange>,
    entries: VecDeque<Control>,
    /// The part that the peer is to feed us, and among how many. Told last: only who knows that it
    /// is a data peer listens.
    feeds: BTreeMap<Topic, (u8, u8)>,
    bytes: usize,
}

impl ControlQueue {
    /// Starts a new control stream: everything of the old one is void, and `topics` and `mesh` are
    /// told from the start.
    pub(crate) fn restart(
        &mut self,
        topics: impl Iterator<Item = Topic>,
        mesh: impl Iterator<Item = Topic>,
    ) {
        *self = Self {
            hello: true,
            subscriptions: topics.map(|topic| (topic, true)).collect(),
            mesh: mesh.map(|topic| (topic, MeshChange::Graft)).collect(),
            ..Self::default()
        };
    }

    pub(crate) fn subscribe(&mut self, topic: Topic, subscribed: bool) {
        self.subscriptions.insert(topic, subscribed);
    }

    pub(crate) fn graft(&mut self, topic: Topic) {
        self.mesh.insert(topic, MeshChange::Graft);
    }

    pub(crate) fn prune(&mut self, topic: Topic, backoff: Duration) {
        self.mesh.insert(topic, MeshChange::Prune { backoff });
    }

    pub(crate) fn feed(&mut self, topic: Topic, part: u8, parts: u8) {
        self.feeds.insert(topic, (part, parts));
    }

    pub(crate) fn i_dont_want(&mut self, header: HeaderHash) {
        if let Some(Control::IDontWant(headers)) = self.entries.back_mut()
            && headers.len() < IDONTWANT_HEADERS_MAX
        {
            headers.push(header);
            self.bytes += size_of::<HeaderHash>();
            return;
        }
        self.push(Control::IDontWant(vec![header]));
    }

    pub(crate) fn i_have(&mut self, topic: &Topic, item: News) {
        if let Some(Control::IHave { topic: last, news }) = self.entries.back_mut()
            && last == topic
            && news.len() < IHAVE_NEWS_MAX
        {
            news.push(item);
            self.bytes += size_of::<News>();
            return;
        }
        self.push(Control::IHave { topic: topic.clone(), news: vec![item] });
    }

    /// Tells what is held of a generation. What was to be told of it before and has not left yet
    /// is part of that.
    pub(crate) fn have(&mut self, generation: GenerationId, fragments: Bitmap) {
        let newest = self.entries.iter_mut().rev().take(HAVE_LOOK_BACK);
        for entry in newest {
            if let Control::Have { generation: earlier, fragments: told } = entry
                && *earlier == generation
            {
                // The account is made anew with each frame; a bitmap grows by 32 bytes at most.
                *told = fragments;
                return;
            }
        }
        self.push(Control::Have { generation, fragments });
    }

    pub(crate) fn push(&mut self, entry: Control) {
        self.bytes += entry.encoded_len();
        self.entries.push_back(entry);
    }

    /// Returns how many bytes wait that could grow without end: merged state is not counted.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.hello
            && self.subscriptions.is_empty()
            && self.mesh.is_empty()
            && self.entries.is_empty()
            && self.feeds.is_empty()
    }

    /// Takes as many entries as fit one frame, `acknowledgement` first but for the greeting.
    pub(crate) fn take(&mut self, acknowledgement: Option<Acknowledgement>) -> Vec<Control> {
        let mut frame = Vec::new();
        let mut room = FRAME_BYTES_MAX;
        if std::mem::take(&mut self.hello) {
            fit(&mut frame, &mut room, Control::Hello);
        }
        if let Some(acknowledgement) = acknowledgement {
            fit(&mut frame, &mut room, Control::Acknowledge(acknowledgement));
        }
        while let Some((topic, &subscribed)) = self.subscriptions.first_key_value() {
            let topic = topic.clone();
            let entry = if subscribed {
                Control::Subscribe(topic.clone())
            } else {
                Control::Unsubscribe(topic.clone())
            };
            if !fit(&mut frame, &mut room, entry) {
                return frame;
            }
            self.subscriptions.remove(&topic);
        }
        while let Some((topic, &change)) = self.mesh.first_key_value() {
            let topic = topic.clone();
            let entry = match change {
                MeshChange::Graft => Control::Graft(topic.clone()),
                MeshChange::Prune { backoff } => Control::Prune { topic: topic.clone(), backoff },
            };
            if !fit(&mut frame, &mut room, entry) {
                return frame;
            }
            self.mesh.remove(&topic);
        }
        while let Some(entry) = self.entries.pop_front() {
            if !fits(&frame, room, &entry) {
                self.entries.push_front(entry);
                break;
            }
            fit(&mut frame, &mut room, entry);
        }
        self.bytes = self.entries.iter().map(Control::encoded_len).sum();
        while self.entries.is_empty()
            && let Some((topic, &(part, parts))) = self.feeds.first_key_value()
        {
            let topic = topic.clone();
            if !fit(&mut frame, &mut room, Control::Feed { topic: topic.clone(), part, parts }) {
                break;
            }
            self.feeds.remove(&topic);
        }
        frame
    }
}

fn fits(frame: &[Control], room: usize, entry: &Control) -> bool {
    frame.len() < CONTROL_ENTRIES_MAX && entry.encoded_len() <= room
}

/// Appends `entry` if it fits.
fn fit(frame: &mut Vec<Control>, room: &mut usize, entry: Control) -> bool {
    let fits = fits(frame, *room, &entry);
    if fits {
        *room -= entry.encoded_len();
        frame.push(entry);
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MessageId, wire::encode_control};

    fn topic(name: &str) -> Topic {
        Topic::new(name).expect("a topic")
    }

    fn pull(byte: u8) -> Control {
        let generation = GenerationId { header: HeaderHash([byte; 32]), index: 0 };
        Control::IWant { generation, shards: 1 }
    }

    #[test]
    fn a_new_stream_begins_with_hello_and_tells_subscriptions_before_the_mesh() {
        let mut queue = ControlQueue::default();
        queue.push(pull(1));
        queue.restart([topic("a"), topic("b")].into_iter(), [topic("b")].into_iter());
        let expected = [
            Control::Hello,
            Control::Subscribe(topic("a")),
            Control::Subscribe(topic("b")),
            Control::Graft(topic("b")),
        ];
        assert_eq!(queue.take(None), expected);
        assert!(queue.is_empty());
    }

    #[test]
    fn subscriptions_the_mesh_and_feeding_are_told_as_they_are_last() {
        let mut queue = ControlQueue::default();
        let backoff = Duration::from_secs(60);
        for subscribed in [true, false, true] {
            queue.subscribe(topic("a"), subscribed);
        }
        queue.graft(topic("a"));
        queue.prune(topic("a"), backoff);
        for part in 0..3 {
            queue.feed(topic("a"), part, 3);
        }
        assert_eq!(queue.bytes(), 0, "what is merged cannot grow without end");
        let expected = [
            Control::Subscribe(topic("a")),
            Control::Prune { topic: topic("a"), backoff },
            Control::Feed { topic: topic("a"), part: 2, parts: 3 },
        ];
        assert_eq!(queue.take(None), expected);
    }

    #[test]
    fn news_of_one_topic_and_headers_not_wanted_share_an_entry() {
        let mut queue = ControlQueue::default();
        for byte in 0..3 {
            let item = News { header: HeaderHash([byte; 32]), message: MessageId([byte; 32]) };
            queue.i_have(&topic("a"), item);
        }
        for byte in 0..3 {
            queue.i_dont_want(HeaderHash([byte; 32]));
        }
        let entries = queue.take(None);
        assert!(
            matches!(&entries[..], [Control::IHave { news, .. }, Control::IDontWant(headers)]
                if news.len() == 3 && headers.len() == 3),
            "{entries:?}"
        );
    }

    #[test]
    fn what_is_held_of_a_generation_is_told_as_it_is_last() {
        let mut queue = ControlQueue::default();
        let generation = |index| GenerationId { header: HeaderHash([1; 32]), index };
        queue.have(generation(0), Bitmap::first(1));
        queue.have(generation(1), Bitmap::first(1));
        queue.have(generation(0), Bitmap::first(9));
        let expected = [(0, 9), (1, 1)].map(|(index, count)| Control::Have {
            generation: generation(index),
            fragments: Bitmap::first(count),
        });
        assert_eq!(queue.take(None), expected);
    }

    #[test]
    fn what_does_not_fit_a_frame_stays_in_order_for_the_next() {
        let mut queue = ControlQueue::default();
        let entries: Vec<Control> = (0..2000).map(|index| pull((index % 251) as u8)).collect();
        for entry in &entries {
            queue.push(entry.clone());
        }
        let mut taken = Vec::new();
        let mut frames = 0;
        while !queue.is_empty() {
            let before = queue.bytes();
            let frame = queue.take(None);
            let bytes = encode_control(&frame).len();
            assert!(bytes <= FRAME_BYTES_MAX && frame.len() <= CONTROL_ENTRIES_MAX);
            assert_eq!(queue.bytes(), before - bytes);
            taken.extend(frame);
            frames += 1;
        }
        assert_eq!(taken, entries);
        assert!(frames > 1);
    }
}
