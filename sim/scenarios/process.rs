//! Process kill at any point: the page cache stays, everything that was acknowledged too.

use super::holds;

#[test]
fn without_faults_everything_arrives() {
    holds("no_faults", 1..5);
}

#[test]
fn process_kill() {
    holds("process_kill", 1..9);
}

#[test]
fn everything_at_once() {
    holds("everything", 1..13);
}

/// The process is stopped for up to 30 seconds and goes on, as with SIGSTOP or a frozen machine.
#[test]
fn pause() {
    holds("pause", 1..5);
}

/// Stopped for a while, and the power fails.
#[test]
fn pause_and_power_loss() {
    holds("pause_and_power_loss", 1..5);
}
