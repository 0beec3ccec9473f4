//! Connections that wait, break, or go silent, and clients that do not read.

use super::holds;

#[test]
fn partition() {
    holds("partition", 1..7);
}

#[test]
fn one_way_partition() {
    holds("one_way_partition", 1..5);
}

/// Connections stop one after the other, and go on in another order.
#[test]
fn swizzle() {
    holds("swizzle", 1..5);
}

#[test]
fn broken_connections() {
    holds("broken_connections", 1..7);
}

#[test]
fn half_open() {
    holds("half_open", 1..7);
    // A connection goes silent before the server's first word has arrived.
    holds("half_open", 1_795_333_852_000_840..1_795_333_852_000_841);
}

#[test]
fn slow_reader() {
    holds("slow_reader", 1..7);
}

/// Connections stand still while the power fails.
#[test]
fn partition_and_power_loss() {
    holds("partition_and_power_loss", 1..5);
}
