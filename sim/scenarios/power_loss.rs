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

/// Between any two answers of the disk.
#[test]
fn power_loss_at_any_op() {
    holds("power_loss_at_any_op", 1..9);
}

/// A message, or a consumer's acknowledgement (`AckSync`), has been confirmed this moment: the one is
/// there after a kill or a power loss, the other never lets its message return.
#[test]
fn crash_after_promise() {
    holds("crash_after_promise", 1..13);
}
