#![no_main]
#![doc = "Operations on encoder and decoders; see [`fuzz::rlnc_operations`]."]

libfuzzer_sys::fuzz_target!(|input: fuzz::rlnc_operations::Input| {
    let _ = fuzz::rlnc_operations::run(&input);
});
