#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| homeroom_fuzz::typed_code::check(data));
