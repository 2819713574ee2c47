//! The committed corpus as a plain test.

use std::{fs, path::PathBuf};

use arbitrary::{Arbitrary, Unstructured};

/// Returns the files of the corpus of `target`; there must be some.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = fs::read_dir(&folder).expect("the corpus is committed");
    let inputs: Vec<_> =
        files.map(|file| fs::read(file.unwrap().path()).expect("a readable file")).collect();
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
fn the_corpus_of_the_data_decoder_runs() {
    corpus("wire_data").iter().for_each(|bytes| crate::wire::data(bytes));
}

#[test]
fn the_corpus_of_the_control_decoder_runs() {
    corpus("wire_control").iter().for_each(|bytes| crate::wire::control(bytes));
}

#[test]
fn the_corpus_of_the_shard_decoder_runs() {
    let inputs = corpus("rlnc_shard");
    let runs = inputs.iter().filter_map(|bytes| arbitrary(bytes));
    assert!(runs.map(|input| crate::rlnc_shard::run(&input)).count() > 0);
}

#[test]
fn the_corpus_of_the_state_runs() {
    let inputs = corpus("state");
    let runs = inputs.iter().filter_map(|bytes| arbitrary(bytes));
    assert!(runs.map(crate::state::run).count() > 0);
}
