//! Messages from publishers to subscribers and queue groups.

use alloc::format;
use alloc::vec::Vec;

use config::Options;

use super::harness::{CONNECT, World};
use crate::effects::Rules;

fn world() -> World {
    World::new(Options::default())
}

#[test]
fn a_message_reaches_every_matching_subscription_once() {
    let mut world = world();
    let (a, b) = (world.client(), world.client());
    world.say(a, "SUB foo.* 1\r\nSUB foo.> 2\r\nSUB bar 3\r\n");
    world.say(b, "PUB foo.x reply 5\r\nhello\r\n");
    // In whichever order.
    let heard = world.hear(a);
    assert!(
        heard.contains("MSG foo.x 1 reply 5\r\nhello\r\n"),
        "{heard}"
    );
    assert!(
        heard.contains("MSG foo.x 2 reply 5\r\nhello\r\n"),
        "{heard}"
    );
    assert_eq!(heard.matches("MSG").count(), 2);
    assert_eq!(world.hear(b), "");
}

#[test]
fn operations_may_arrive_byte_by_byte() {
    let mut world = world();
    let a = world.client();
    for byte in "SUB foo 1\r\nPUB foo 2\r\nhi\r\nPING\r\n".chars() {
        world.say(a, &format!("{byte}"));
    }
    let heard = world.hear(a);
    assert!(
        heard.starts_with("MSG foo 1 2\r\nhi\r\nPONG\r\n"),
        "{heard}"
    );
}

#[test]
fn headers_are_stripped_for_clients_that_do_not_read_them() {
    let mut world = world();
    let a = world.client();
    let old = world.accept(Rules::Nats);
    world.say(old, "CONNECT {\"verbose\":false}\r\nSUB foo 9\r\n");
    world.hear(old);
    world.say(a, "SUB foo 1\r\nHPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    assert_eq!(world.hear(a), "HMSG foo 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    assert_eq!(world.hear(old), "MSG foo 9 2\r\nhi\r\n");
}

#[test]
fn verbose_clients_are_told_ok_before_their_own_message_comes_back() {
    let mut world = world();
    let a = world.accept(Rules::Nats);
    world.hear(a);
    assert_eq!(world.ask(a, "CONNECT {}\r\n"), "+OK\r\n");
    assert_eq!(
        world.ask(a, "SUB foo 1\r\nPUB foo 2\r\nhi\r\nUNSUB 1\r\n"),
        "+OK\r\n+OK\r\nMSG foo 1 2\r\nhi\r\n+OK\r\n"
    );
    assert_eq!(
        world.ask(a, "PUB foo.* 0\r\n\r\n"),
        "-ERR 'Invalid Publish Subject'\r\n+OK\r\n"
    );
}

#[test]
fn a_client_without_connect_is_one_with_empty_options() {
    let mut world = world();
    let a = world.accept(Rules::Nats);
    world.hear(a);
    assert_eq!(world.ask(a, "SUB foo 1\r\nPING\r\n"), "+OK\r\nPONG\r\n");
}

#[test]
fn without_echo_a_client_does_not_hear_itself() {
    let mut world = world();
    let a = world.accept(Rules::Nats);
    world.hear(a);
    let connect = "CONNECT {\"verbose\":false,\"echo\":false,\"headers\":true,\
                   \"no_responders\":true}\r\n";
    world.say(a, connect);
    let heard = world.ask(a, "SUB foo 1\r\nSUB in 2\r\nPUB foo 2\r\nhi\r\n");
    assert_eq!(heard, "");
    let b = world.client();
    world.say(b, "PUB foo 2\r\nyo\r\n");
    assert_eq!(world.hear(a), "MSG foo 1 2\r\nyo\r\n");
    // Nobody else is there, and that it still wants to know.
    let heard = world.ask(a, "PUB foo in 0\r\n\r\n");
    assert!(heard.starts_with("HMSG in 2 "), "{heard}");
}

#[test]
fn a_request_without_takers_is_answered_503() {
    let mut world = world();
    let a = world.client();
    assert_eq!(
        world.ask(a, "SUB in.* 7\r\nPUB nobody in.1 0\r\n\r\n"),
        "HMSG in.1 7 38 38\r\nNATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n\r\n"
    );
    // A queue subscription is no inbox, and without any inbox there is nowhere to say it.
    assert_eq!(world.ask(a, "UNSUB 7\r\nSUB in.* q 8\r\n"), "");
    assert_eq!(world.ask(a, "PUB nobody in.1 0\r\n\r\n"), "");
}

#[test]
fn one_member_of_a_queue_group_gets_a_message_and_all_get_their_share() {
    const ROUNDS: usize = 400;
    let mut world = world();
    let members: Vec<_> = (0..4).map(|_| world.client()).collect();
    for member in &members {
        world.say(*member, "SUB work.* q 1\r\n");
    }
    // The same group on another subject is the same group.
    world.say(members[0], "SUB *.a q 2\r\n");
    let publisher = world.client();
    for _ in 0..ROUNDS {
        world.say(publisher, "PUB work.b 1\r\nx\r\n");
    }
    let shares: Vec<usize> = members
        .iter()
        .map(|member| world.hear(*member).matches("MSG ").count())
        .collect();
    assert_eq!(shares.iter().sum::<usize>(), ROUNDS);
    assert!(shares.iter().all(|share| *share > ROUNDS / 8), "{shares:?}");
    world.say(publisher, "PUB work.a 1\r\nx\r\n");
    let reached: usize = members
        .iter()
        .map(|member| world.hear(*member).matches("MSG ").count())
        .sum();
    assert_eq!(reached, 1);
}

#[test]
fn unsubscribing_after_a_number_counts_from_the_beginning() {
    let mut world = world();
    let a = world.client();
    let three = "PUB foo 1\r\n1\r\nPUB foo 1\r\n2\r\nPUB foo 1\r\n3\r\n";
    let heard = world.ask(a, &format!("SUB foo 1\r\nUNSUB 1 2\r\n{three}"));
    assert_eq!(heard.matches("MSG").count(), 2);
    // Its name is free again, and counting starts over.
    let heard = world.ask(a, &format!("SUB foo 1\r\n{three}UNSUB 1 3\r\n{three}"));
    assert_eq!(heard.matches("MSG").count(), 3);
    assert_eq!(world.shard.sub_views().len(), 0);
}

#[test]
fn the_first_subscription_keeps_its_name() {
    let mut world = world();
    let a = world.client();
    world.say(a, "SUB foo 1\r\nSUB bar 1\r\n");
    let heard = world.ask(a, "PUB bar 1\r\nx\r\nPUB foo 1\r\ny\r\n");
    assert_eq!(heard, "MSG foo 1 1\r\ny\r\n");
}

#[test]
fn a_subject_that_cannot_be_is_refused_and_the_connection_stays() {
    let mut world = world();
    let a = world.client();
    for subject in ["a..b", ".a", "a.", "a.>.b"] {
        let heard = world.ask(a, &format!("SUB {subject} 1\r\n"));
        assert_eq!(heard, "-ERR 'Invalid Subject'\r\n", "{subject}");
    }
    assert!(world.ask(a, "PING\r\n").starts_with("PONG\r\n"));
}

#[test]
fn a_client_that_left_gets_nothing_any_more() {
    let mut world = world();
    let (a, b) = (world.client(), world.client());
    world.say(a, "SUB foo 1\r\n");
    world.leave(a);
    let again = world.client();
    assert_eq!(again.index, a.index, "the slot is used again");
    world.say(b, "PUB foo 1\r\nx\r\n");
    assert_eq!(world.hear(again), "");
    assert_eq!(world.hear(a), "");
    assert_eq!(world.shard.closed_views().count(), 1);
}

#[test]
fn a_second_connect_starts_over() {
    let mut world = world();
    let a = world.client();
    world.say(a, "SUB foo 1\r\n");
    assert_eq!(world.ask(a, &format!("{CONNECT}PUB foo 1\r\nx\r\n")), "");
}

#[test]
fn reserved_subjects_are_the_servers() {
    let mut world = world();
    let a = world.client();
    for (line, text) in [
        ("PUB $GR.x 0", "to \"$GR.x\""),
        ("PUB $NRG.x 0", "to \"$NRG.x\""),
        ("PUB a _R_.x 0", "with Reply of \"_R_.x\""),
        ("PUB a $JS.ACK.x 0", "with Reply of \"$JS.ACK.x\""),
    ] {
        assert_eq!(
            world.ask(a, &format!("{line}\r\n\r\n")),
            format!("-ERR 'Permissions Violation for Publish {text}'\r\n")
        );
    }
}
