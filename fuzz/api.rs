//! Requests to JetStream with messages, time and crashes between: no input stops the machine, and a
//! crash leaves a log from which it starts again.

use proptests::world::{self, Bench};

/// As many lines as are read of an input.
const LINES_MAX: usize = 64;
/// As far as a line advances the clock.
const ADVANCE_MAX_MS: u64 = 100_000_000;

/// Each line is a step: `+ <subject> <payload>` publishes, `@ <milliseconds>` lets time pass, `!` crashes,
/// `#` writes a checkpoint, anything else is a request: what follows `$JS.API.` and the payload.
pub fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let mut bench = world::bench();
    for line in text.lines().take(LINES_MAX) {
        step(&mut bench, line);
    }
    bench.sync();
    bench.crash();
    bench.sync();
}

fn step(bench: &mut Bench, line: &str) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "+" => {
            let (subject, payload) = rest.split_once(' ').unwrap_or((rest, ""));
            if bench.stream_of(subject).is_some() {
                bench.publish_for("", subject, "", payload);
            }
        }
        "@" => {
            let ms: u64 = rest.parse().unwrap_or(1);
            bench.advance_ms(ms.min(ADVANCE_MAX_MS));
        }
        "!" => bench.crash(),
        "#" => {
            bench.sync();
            bench.checkpoint();
        }
        what => {
            bench.request_with_reply(what, "in.reply", rest);
        }
    }
    bench.sync();
}
