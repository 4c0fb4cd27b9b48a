#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| homeroom_fuzz::page_token::check(data));
