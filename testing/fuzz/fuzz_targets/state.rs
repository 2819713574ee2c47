#![no_main]
#![doc = "Operations into a state; see [`fuzz::state`]."]

libfuzzer_sys::fuzz_target!(|operations: Vec<fuzz::state::Operation>| {
    let _ = fuzz::state::run(operations);
});
