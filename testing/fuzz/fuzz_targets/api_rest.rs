#![no_main]
#![doc = "Bytes into the parser; see [`fuzz::api`]."]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::api::rest(bytes));
