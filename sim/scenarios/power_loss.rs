//! Power loss: of what was not synced any part may be lost, of what was acknowledged nothing.

use super::holds;

#[test]
fn power_loss() {
    holds("power_loss", 1..9);
}

/// What a killed process left in the page cache must not be served as stored before it is synced.
#[test]
fn kill_then_power_loss() {
    holds("kill_then_power_loss", 1..9);
}
