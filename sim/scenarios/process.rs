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
