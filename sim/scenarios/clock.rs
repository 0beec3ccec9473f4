//! Jumps of the wall clock: sequences, acknowledgements and redelivery do not depend on it.

use super::holds;

#[test]
fn clock_jump() {
    holds("clock_jump", 1..7);
}
