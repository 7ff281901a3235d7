#![no_main]
#[allow(dead_code)] // this program calls one
#[path = "../../tests/all/fuzzed/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::counts(bytes));
