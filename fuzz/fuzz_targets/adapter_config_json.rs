#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| burnformer_fuzz::run("adapter_config_json", bytes));
