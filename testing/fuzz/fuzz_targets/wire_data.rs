#![no_main]
#![doc = "Bytes into the decoder; see [`fuzz::wire`]."]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::wire::data(bytes));
