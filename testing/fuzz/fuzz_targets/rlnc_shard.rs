#![no_main]
#![doc = "Shards into a decoder; see [`fuzz::rlnc_shard`]."]

libfuzzer_sys::fuzz_target!(|input: fuzz::rlnc_shard::Input| {
    let _ = fuzz::rlnc_shard::run(&input);
});
