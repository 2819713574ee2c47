//! Jobs whose message is gone, or there anew, when they come back.

mod harness;

use gossip::{
    Config, Input, Outcome,
    wire::{DataFrame, Piece},
};
use harness::{
    documented, payload,
    puppet::{Crafted, Stage},
    topic,
};

/// A stage that holds a job for each decode, however short the message.
fn stage(config: Config) -> Stage {
    let mut stage = Stage::new(Config { job_threshold_bytes: 0, ..config }, &[1]);
    stage.holds_jobs = true;
    stage
}

fn bring(stage: &mut Stage, message: &Crafted) {
    for index in 0..4 {
        stage.data(1, message.frame(index));
    }
}

/// Drops what is open and takes the same peer's offers again.
fn leave_and_come_back(stage: &mut Stage) {
    stage.input(Input::Unsubscribe(topic("t")));
    stage.input(Input::Subscribe(topic("t")));
}

/// A message whose first decode is still out while its second is: dropped, and brought again.
fn decoded_twice() -> (Stage, Crafted) {
    let mut stage = stage(documented());
    let message = Crafted::new(9, 1, payload(1, 4000));
    bring(&mut stage, &message);
    leave_and_come_back(&mut stage);
    bring(&mut stage, &message);
    assert_eq!(stage.jobs.len(), 2);
    (stage, message)
}

#[test]
fn the_job_of_a_message_that_was_dropped_says_nothing_of_the_same_message_brought_again() {
    for outcome in [None, Some(Outcome::Polluted), Some(Outcome::Failed)] {
        let (mut stage, message) = decoded_twice();
        stage.finish_job(outcome);
        assert_eq!(stage.state.stats().jobs_orphaned, 1);
        assert_eq!(stage.state.view().open_messages().count(), 1);
        assert_eq!(stage.deliveries.len(), 0);
        stage.finish_job(None);
        assert_eq!(stage.deliveries.len(), 1);
        assert_eq!(stage.deliveries[0].payload, message.payload);
        assert_eq!(stage.state.view().open_messages().count(), 0);
        assert_eq!(stage.state.stats().decodes_failed, 0);
        assert_eq!(stage.state.stats().jobs_failed, 0);
    }
}

#[test]
fn a_job_that_comes_back_after_its_message_was_decoded_by_another_changes_nothing() {
    for outcome in [None, Some(Outcome::Polluted), Some(Outcome::Failed)] {
        let (mut stage, _) = decoded_twice();
        let old = stage.jobs.pop_front().expect("two jobs");
        stage.jobs.push_back(old);
        stage.finish_job(None);
        assert_eq!(stage.deliveries.len(), 1);
        stage.finish_job(outcome);
        assert_eq!(stage.deliveries.len(), 1);
        assert_eq!(stage.state.stats().jobs_orphaned, 1);
        assert_eq!(stage.state.view().open_messages().count(), 0);
    }
}

#[test]
fn a_message_that_is_dropped_takes_its_waiting_job_along() {
    let mut config = documented();
    config.limits.jobs_max = 1;
    let mut stage = stage(config);
    bring(&mut stage, &Crafted::new(9, 1, payload(1, 4000)));
    bring(&mut stage, &Crafted::new(9, 2, payload(2, 4000)));
    assert_eq!(stage.jobs.len(), 1, "the second waits for the first");
    leave_and_come_back(&mut stage);
    stage.finish_job(None);
    assert_eq!(stage.jobs.len(), 0, "nobody waits for the second");
    assert_eq!(stage.state.stats().jobs_orphaned, 1);
}

#[test]
fn a_shard_that_began_before_a_failed_decode_and_goes_on_after_it_convicts_nobody() {
    let mut stage = Stage::new(Config { job_threshold_bytes: 0, ..documented() }, &[1, 2]);
    stage.holds_jobs = true;
    let message = Crafted::new(9, 1, payload(1, 4000));
    let [first, second] = in_two_pieces(message.frame(0));
    stage.data(2, first);
    bring(&mut stage, &message);
    stage.finish_job(Some(Outcome::Polluted));
    assert_eq!(stage.state.stats().decodes_failed, 1);
    // One that began while the decode was out goes on after it, too.
    stage.data(2, second.clone());
    assert_eq!(stage.faults, [], "the peer did what it should");
    stage.data(2, message.frame(0));
    bring(&mut stage, &message);
    stage.finish_job(None);
    assert_eq!(stage.deliveries.len(), 1);
    assert_eq!(stage.faults, []);
}

/// Cuts the shard of a frame.
fn in_two_pieces(frame: DataFrame) -> [DataFrame; 2] {
    let whole = frame.piece.clone().expect("a shard");
    let (first, second) = (whole.bytes.slice(..100), whole.bytes.slice(100..));
    let first = Piece { bytes: first, ..whole.clone() };
    let second = Piece { offset: 100, start: None, bytes: second, ..whole };
    [
        DataFrame { piece: Some(first), ..frame },
        DataFrame { piece: Some(second), ..DataFrame::default() },
    ]
}
