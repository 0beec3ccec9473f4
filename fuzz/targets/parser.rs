//! The fuzzer's way into [`fuzz::parser`], or what files of inputs do when it is off.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::parser::run(input));

#[cfg(not(fuzzing))]
fn main() {
    fuzz::replay(fuzz::parser::run);
}
