//! The fuzzer's way into [`fuzz::websocket`], or what files of inputs do when it is off.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::websocket::run(input));

#[cfg(not(fuzzing))]
fn main() {
    fuzz::replay(fuzz::websocket::run);
}
