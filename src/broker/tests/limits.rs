//! What one connection may do, and what happens when it does more.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use config::Options;
use protocol::errors::CloseReason;

use super::harness::World;
use crate::effects::Rules;

#[test]
fn too_large_a_payload_is_refused_before_it_arrives() {
    let mut options = Options::default();
    options.limits.payload_max = 10;
    let mut world = World::new(options);
    let a = world.client();
    let heard = world.ask(a, "PUB foo 11\r\n");
    assert_eq!(heard, "-ERR 'Maximum Payload Violation'\r\n");
    assert_eq!(world.reason(a), Some(CloseReason::MaxPayloadExceeded));
}

#[test]
fn too_long_a_line_closes_and_bad_arguments_close_without_a_word() {
    let mut world = World::new(Options::default());
    let a = world.client();
    let long = format!(
        "SUB {} 1",
        String::from_utf8(alloc::vec![b'a'; 5000]).unwrap()
    );
    let heard = world.ask(a, &long);
    assert_eq!(heard, "-ERR 'maximum control line exceeded'\r\n");
    for line in [
        "PUB foo bar baz 3",
        "PUB foo -1",
        "SUB a b c d",
        "-ERR x",
        "CONNECT {",
    ] {
        let a = world.client();
        assert_eq!(world.ask(a, &format!("{line}\r\n")), "", "{line}");
        assert!(world.reason(a).is_some(), "{line}");
    }
    let a = world.client();
    assert_eq!(
        world.ask(a, "NOPE\r\n"),
        "-ERR 'Unknown Protocol Operation'\r\n"
    );
}

#[test]
fn one_connection_too_many_is_told_so() {
    let mut options = Options::default();
    options.limits.connections_max = 1;
    let mut world = World::new(options);
    let first = world.client();
    let second = world.accept(Rules::Nats);
    let heard = world.hear(second);
    assert!(heard.starts_with("INFO "), "{heard}");
    assert!(heard.ends_with("-ERR 'maximum connections exceeded'\r\n"));
    assert_eq!(
        world.reason(second),
        Some(CloseReason::MaxConnectionsExceeded)
    );
    // Room is made by leaving.
    world.leave(second);
    world.leave(first);
    let third = world.client();
    assert_eq!(world.reason(third), None);
}

#[test]
fn one_subscription_too_many_is_refused_and_so_is_too_deep_a_one() {
    let mut options = Options::default();
    options.limits.subscriptions_max = 2;
    options.limits.subscription_tokens_max = 3;
    let mut world = World::new(options);
    let a = world.client();
    assert_eq!(
        world.ask(a, "SUB a 1\r\nSUB a.b.c.d 2\r\nSUB b 3\r\nSUB c 4\r\n"),
        "-ERR 'Permissions Violation for Subscription to \"a.b.c.d\", too many tokens'\r\n\
         -ERR 'maximum subscriptions exceeded'\r\n"
    );
    assert_eq!(world.reason(a), None);
}

#[test]
fn a_client_with_too_much_waiting_is_cut_off_without_a_word() {
    let mut options = Options::default();
    options.limits.pending_max = 1000;
    let mut world = World::new(options);
    let (slow, publisher) = (world.client(), world.client());
    world.say(slow, "SUB foo 1\r\n");
    for _ in 0..20 {
        world.say(publisher, &format!("PUB foo 100\r\n{:100}\r\n", "x"));
    }
    assert_eq!(world.aborted, [slow]);
    assert_eq!(world.hear(slow), "");
    let closed = world.shard.closed_views().next().unwrap();
    assert_eq!(closed.reason, CloseReason::SlowConsumerPendingBytes);
    assert_eq!(closed.conn.subscriptions, 1);
    assert_eq!(world.shard.stats().slow_consumers, 1);
    assert_eq!(world.reason(publisher), None);
}

#[test]
fn a_publisher_pauses_for_a_client_that_lags() {
    let mut options = Options::default();
    options.limits.pending_max = 1000;
    let mut world = World::new(options);
    let (slow, publisher) = (world.client(), world.client());
    world.say(slow, "SUB foo 1\r\n");
    world.say(publisher, &format!("PUB foo 780\r\n{:780}\r\n", "x"));
    assert!(world.gates.is_empty());
    world.say(publisher, "PUB foo 1\r\nx\r\n");
    assert_eq!(world.gates, [(publisher, true)]);
    world.wait(Duration::from_millis(10));
    assert_eq!(world.gates, [(publisher, true), (publisher, false)]);
}

#[test]
fn a_write_that_blocks_too_long_ends_the_connection() {
    let mut world = World::new(Options::default());
    let a = world.client();
    world.say(a, "PING\r\nPONG\r\n");
    world.block(a);
    world.wait(Duration::from_millis(9900));
    assert!(world.aborted.is_empty());
    world.wait(Duration::from_millis(200));
    assert_eq!(world.aborted, [a]);
    let closed = world.shard.closed_views().next().unwrap();
    assert_eq!(closed.reason, CloseReason::SlowConsumerWriteDeadline);
}

#[test]
fn a_closed_connection_that_reads_nothing_is_dropped_after_a_while() {
    let mut world = World::new(Options::default());
    let a = world.client();
    world.say(a, "NOPE\r\n");
    assert!(world.aborted.is_empty());
    world.wait(Duration::from_secs(5));
    assert_eq!(world.aborted, [a]);
}
