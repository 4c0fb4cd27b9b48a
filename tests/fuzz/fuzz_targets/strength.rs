#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| homeroom_fuzz::strength::check(data));
