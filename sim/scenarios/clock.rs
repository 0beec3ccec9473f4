//! Jumps of the wall clock: sequences, acknowledgements and redelivery do not depend on it.

use super::holds;

#[test]
fn clock_jump() {
    holds("clock_jump", 1..7);
    // Messages are pending when the clock is set back.
    holds("clock_jump", 1024..1025);
}

/// The wall clock stands still, or goes at half or double speed.
#[test]
fn clock_drift() {
    holds("clock_drift", 1..5);
}
