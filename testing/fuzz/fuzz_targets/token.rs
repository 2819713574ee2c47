#![no_main]
#![doc = "Text into the readers of tokens; see [`fuzz::token`]."]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = fuzz::token::run(bytes);
});
