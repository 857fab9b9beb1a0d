#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    synod_tests::byte_driven::frames::run(bytes);
});
