//! The committed corpus as a plain test.

use std::{collections::BTreeSet, fs, path::PathBuf};

use arbitrary::{Arbitrary, Unstructured};
use gossip::Stats;

use crate::rlnc_operations::OUTCOMES;

/// Returns the files of the corpus of `target`; there must be some.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = fs::read_dir(&folder).expect("the corpus is committed");
    let mut paths: Vec<_> = files.map(|file| file.expect("a readable folder").path()).collect();
    paths.sort();
    let inputs: Vec<_> =
        paths.iter().map(|path| fs::read(path).expect("a readable file")).collect();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    inputs
}

fn arbitrary<T>(bytes: &[u8]) -> Option<T>
where
    for<'a> T: Arbitrary<'a>,
{
    T::arbitrary_take_rest(Unstructured::new(bytes)).ok()
}

#[test]
fn the_corpora_of_the_parsers_run() {
    let replay = |target, parse: fn(&[u8])| {
        for bytes in corpus(target) {
            parse(&bytes);
        }
    };
    replay("api_request", crate::api::request);
    replay("api_metadata", crate::api::metadata);
    replay("api_query", crate::api::query);
    replay("api_rest", crate::api::rest);
    replay("api_handshake", crate::api::handshake);
}

#[test]
fn the_corpus_of_the_data_decoder_runs() {
    for bytes in corpus("wire_data") {
        crate::wire::data(&bytes);
    }
}

#[test]
fn the_corpus_of_the_control_decoder_runs() {
    for bytes in corpus("wire_control") {
        crate::wire::control(&bytes);
    }
}

#[test]
fn the_corpus_of_the_token_reader_runs_and_reaches_every_outcome() {
    use crate::token::Outcome;
    let reached: BTreeSet<_> =
        corpus("token").iter().map(|bytes| crate::token::run(bytes)).collect();
    let all = [Outcome::Head, Outcome::Client, Outcome::Refused, Outcome::Neither];
    assert_eq!(reached, BTreeSet::from(all));
}

#[test]
fn the_corpus_of_the_shard_decoder_runs_and_decodes() {
    let inputs = corpus("rlnc_shard");
    let decoded = inputs.iter().filter_map(|bytes| arbitrary(bytes)).filter(crate::rlnc_shard::run);
    assert!(decoded.count() > 0);
}

/// A change of the operations changes what the files of the corpus mean; this says when they have
/// to be made anew.
#[test]
fn the_corpus_of_the_coding_operations_runs_and_reaches_every_outcome() {
    let inputs = corpus("rlnc_operations");
    let inputs = inputs.iter().filter_map(|bytes| arbitrary(bytes));
    let reached: BTreeSet<_> =
        inputs.flat_map(|input| crate::rlnc_operations::run(&input)).collect();
    let missed: Vec<_> = OUTCOMES.iter().filter(|outcome| !reached.contains(*outcome)).collect();
    assert!(missed.is_empty(), "never reached: {missed:?}");
}

/// The same for the operations on a state.
#[test]
fn the_corpus_of_the_state_runs_and_reaches_every_outcome() {
    let inputs = corpus("state");
    let runs: Vec<_> =
        inputs.iter().filter_map(|bytes| arbitrary(bytes)).map(crate::state::run).collect();
    let sum = |count: fn(&Stats) -> u64| runs.iter().map(count).sum::<u64>();
    let outcomes = [
        ("published", sum(|stats| stats.published)),
        ("publish refused", sum(|stats| stats.publish_refused)),
        ("shard relayed", sum(|stats| stats.shards_sent)),
        ("shard recoded", sum(|stats| stats.shards_recoded)),
        ("shard twice", sum(|stats| stats.shards_duplicate)),
        ("shard of no use", sum(|stats| stats.shards_unhelpful)),
        ("shard too late", sum(|stats| stats.shards_unnecessary)),
        ("shard of a refused header", sum(|stats| stats.shards_refused)),
        ("duplicate message", sum(|stats| stats.duplicate_messages)),
        ("decode failed", sum(|stats| stats.decodes_failed)),
        ("message rejected", sum(|stats| stats.messages_rejected)),
        ("message expired", sum(|stats| stats.messages_expired)),
        ("message evicted", sum(|stats| stats.messages_evicted)),
        ("retention evicted", sum(|stats| stats.retention_evicted)),
        ("header replayed", sum(|stats| stats.headers_replayed)),
        ("publisher barred", sum(|stats| stats.publishers_barred)),
        ("publisher evicted", sum(|stats| stats.publishers_evicted)),
        ("pull sent", sum(|stats| stats.pulls_sent)),
        ("pull served", sum(|stats| stats.pulls_served)),
        ("pull answered GONE", sum(|stats| stats.pulls_gone)),
        ("peer disconnected", sum(|stats| stats.peers_disconnected)),
        ("control backlog", sum(|stats| stats.control_backlogs)),
        ("job failed", sum(|stats| stats.jobs_failed)),
    ];
    let missed: Vec<_> = outcomes.iter().filter(|(_, count)| *count == 0).collect();
    assert!(missed.is_empty(), "never reached: {missed:?}");
}
