//! What a fuzzer feeds with bytes: one function for each way in that strangers' bytes have.
//!
//! `cargo +nightly fuzz run <target>` looks for inputs that panic or break what a target asserts; what it
//! has found of interest lies in `corpus/<target>`, and each `cargo test` runs all of that again.
//! `cargo run -p fuzz --bin <target> -- <file>` does so with single files.

#![allow(missing_docs, reason = "for tests only")]

pub mod api;
pub mod config;
pub mod parser;
pub mod token;
pub mod websocket;

/// Runs a target with the files that the command line names.
pub fn replay(target: fn(&[u8])) {
    for path in std::env::args().skip(1) {
        let input = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        target(&input);
    }
}

/// Divides an input at its first zero byte.
fn halves(input: &[u8]) -> (&[u8], Option<&[u8]>) {
    match input.iter().position(|byte| *byte == 0) {
        Some(at) => {
            let (first, second) = input.split_at(at);
            (first, second.get(1..))
        }
        None => (input, None),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Runs all inputs in a target's corpus.
    fn again(name: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        let entries = fs::read_dir(&folder).expect("each target has a corpus");
        let mut count = 0;
        for entry in entries {
            let path = entry.expect("a file of the corpus").path();
            let input = fs::read(&path).expect("a file of the corpus");
            let result = std::panic::catch_unwind(|| target(&input));
            assert!(result.is_ok(), "{}", path.display());
            count += 1;
        }
        assert!(count > 5, "{name} has a corpus");
    }

    #[test]
    fn the_parser_holds_for_its_corpus() {
        again("parser", super::parser::run);
    }

    #[test]
    fn the_configuration_holds_for_its_corpus() {
        again("config", super::config::run);
    }

    #[test]
    fn tokens_hold_for_their_corpus() {
        again("token", super::token::run);
    }

    #[test]
    fn websockets_hold_for_their_corpus() {
        again("websocket", super::websocket::run);
    }

    #[test]
    fn the_api_holds_for_its_corpus() {
        again("api", super::api::run);
    }
}
