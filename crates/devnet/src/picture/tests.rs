use super::{
    FORGOTTEN_MAX, Picture, STORIES_MAX, Standing,
    sighting::{Id, Sighting, What},
    story::{Kind, Totals},
};

const A: Id = [1; 32];

fn see(picture: &mut Picture, node: u16, unix_ns: i64, what: What) {
    picture.see(node, Sighting { unix_ns, what });
}

fn topic() -> String {
    "news".to_owned()
}

/// Node 2 publishes a message of 400 bytes in 4 fragments; 1 gets what it needs and one shard more.
fn coded() -> Picture {
    let mut picture = Picture::default();
    for node in 1..=3 {
        picture.stands(node, Standing::default());
    }
    see(&mut picture, 2, 1_000, What::Published { message: A, topic: topic() });
    for (at, from) in [(1_500, 2), (1_700, 3), (1_900, 2), (2_000, 3)] {
        see(&mut picture, 1, at, What::ShardBytes { message: A, bytes: 104 });
        see(&mut picture, 1, at, What::Innovative { message: A, from, fragments: 4 });
    }
    see(&mut picture, 1, 2_100, What::Delivered { message: A, topic: topic(), from: 3 });
    see(&mut picture, 1, 2_200, What::Redundant { message: A, from: 2, fragments: 4 });
    see(&mut picture, 1, 0, What::Length { message: A, topic: topic(), bytes: 400 });
    picture
}

#[test]
fn a_message_is_told_with_its_ranks_and_with_bytes_useful_and_wasted() {
    let picture = coded();
    let story = picture.story_of(&A).expect("seen");
    assert_eq!((story.publisher, story.fragments, story.bytes), (Some(2), 4, Some(400)));
    assert_eq!(story.nodes[&1].innovative, 4);
    assert_eq!((story.reached(), story.spread_ns()), (2, 1_100));
    let expected =
        Totals { delivered: 1, useful: 4, wasted: 1, useful_bytes: 416, wasted_bytes: 104 };
    assert_eq!(story.totals_at(1), expected);
    assert_eq!(picture.totals(), expected);
    assert_eq!(story.totals_at(2), Totals::default());
}

#[test]
fn steps_are_in_the_order_in_which_they_happened_however_they_were_told() {
    let mut picture = Picture::default();
    see(&mut picture, 3, 1_600, What::Innovative { message: A, from: 2, fragments: 2 });
    see(&mut picture, 3, 1_600, What::Delivered { message: A, topic: topic(), from: 2 });
    see(&mut picture, 2, 1_000, What::Published { message: A, topic: topic() });
    let story = picture.story_of(&A).expect("seen");
    let steps = story.steps();
    let kinds: Vec<_> = steps.iter().map(|step| (step.node, step.kind)).collect();
    assert_eq!(kinds, [(2, Kind::Published), (3, Kind::Innovative), (3, Kind::Delivered)]);
    assert_eq!((story.begin_unix_ns(), story.spread_ns()), (1_000, 600));
}

#[test]
fn without_shards_a_message_that_came_again_is_wasted_and_the_publisher_received_nothing() {
    let mut picture = Picture::default();
    see(&mut picture, 1, 1_000, What::Published { message: A, topic: topic() });
    for node in [1, 2] {
        picture.stands(node, Standing::default());
        see(&mut picture, node, 2_000, What::Delivered { message: A, topic: topic(), from: 1 });
        see(&mut picture, node, 0, What::Length { message: A, topic: topic(), bytes: 50 });
    }
    see(&mut picture, 2, 2_500, What::Duplicate { message: A, topic: topic(), from: 3 });
    let story = picture.story_of(&A).expect("seen");
    let (here, there) = (story.totals_at(1), story.totals_at(2));
    assert_eq!((here.delivered, here.useful_bytes, here.wasted_bytes), (1, 0, 0));
    assert_eq!((there.delivered, there.useful_bytes, there.wasted_bytes), (1, 50, 50));
    assert_eq!(story.reached(), 2);
}

#[test]
fn the_oldest_story_goes_and_what_it_brought_stays_counted() {
    let mut picture = coded();
    let before = picture.totals();
    for number in 0..STORIES_MAX as u8 {
        see(
            &mut picture,
            3,
            9_000,
            What::Published { message: [100 + number; 32], topic: topic() },
        );
    }
    assert!(picture.story_of(&A).is_none());
    assert_eq!(picture.totals(), before);
    assert_eq!((picture.stories().count(), picture.messages()), (STORIES_MAX, 65));

    // A late shard does not begin a story again, but it is counted; a late delivery as well.
    see(&mut picture, 1, 9_500, What::Redundant { message: A, from: 2, fragments: 4 });
    see(&mut picture, 3, 9_500, What::Delivered { message: A, topic: topic(), from: 2 });
    see(&mut picture, 3, 9_600, What::Delivered { message: A, topic: topic(), from: 2 });
    assert!(picture.story_of(&A).is_none());
    let late = Totals { delivered: 2, wasted: 2, wasted_bytes: 208, ..before };
    assert_eq!((picture.totals(), picture.messages()), (late, 65));
}

#[test]
fn everything_that_is_kept_is_bounded() {
    let mut picture = Picture::default();
    for number in 0..5_000u32 {
        let mut message = [0; 32];
        message[..4].copy_from_slice(&number.to_be_bytes());
        see(&mut picture, 1, 1, What::Innovative { message, from: 2, fragments: 4 });
    }
    assert!(picture.stories.len() == STORIES_MAX && picture.forgotten.len() == FORGOTTEN_MAX);
    assert_eq!(picture.forgotten_ids.len(), FORGOTTEN_MAX);
    for _ in 0..10_000 {
        see(&mut picture, 1, 1, What::Redundant { message: A, from: 2, fragments: 4 });
    }
    let story = picture.story_of(&A).expect("seen");
    assert_eq!(story.steps().len() as u64 + story.steps_left_out, 10_000);
    assert_eq!(story.steps().len(), 8_192);
    assert_eq!(story.nodes[&1].redundant, 10_000, "what is left out is counted");
}

#[test]
fn the_version_grows_with_what_changes_and_only_then() {
    let mut picture = coded();
    let before = picture.version();
    picture.stands(1, Standing::default());
    assert_eq!(picture.version(), before);
    picture.stands(1, Standing { peers: 2, ..Standing::default() });
    assert!(picture.version() > before);
    let before = picture.version();
    see(&mut picture, 1, 0, What::Lost { events: 3 });
    assert_eq!((picture.version(), picture.lost()), (before + 1, 3));
    assert!(picture.story_of(&A).is_some_and(|story| story.version < picture.version()));
}
