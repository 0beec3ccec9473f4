//! What a hostile client can send, what it gets for it, and that it costs the others nothing.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use core::time::Duration;

use config::Options;
use config::options::{MapDestination, Mapping, PermissionList, Permissions, User};
use protocol::errors::CloseReason;
use protocol::id::ConnId;

use super::harness::{CONNECT, World};
use crate::effects::Rules;

/// Another client goes on as if nothing had happened.
fn goes_on(world: &mut World, other: ConnId) {
    let heard = world.ask(other, "SUB still 1\r\nPUB still 2\r\nhi\r\nUNSUB 1\r\n");
    assert_eq!(heard, "MSG still 1 2\r\nhi\r\n");
}

fn attacked(bytes: &str, expected: &str, reason: Option<CloseReason>) {
    let mut world = World::new(Options::default());
    let other = world.client();
    let attacker = world.client();
    assert_eq!(world.ask(attacker, bytes), expected);
    assert_eq!(world.reason(attacker), reason);
    goes_on(&mut world, other);
}

#[test]
fn a_slow_login_ends_with_its_time() {
    let mut options = Options::default();
    options.auth.token = Some("t".to_string());
    let mut world = World::new(options);
    let slow = world.accept(Rules::Nats);
    world.hear(slow);
    for byte in CONNECT.chars().take(30) {
        world.say(slow, &byte.to_string());
        world.wait(Duration::from_millis(100));
    }
    assert_eq!(world.hear(slow), "-ERR 'Authentication Timeout'\r\n");
    assert_eq!(world.reason(slow), Some(CloseReason::AuthenticationTimeout));
}

#[test]
fn an_operation_that_comes_byte_by_byte_is_taken_when_it_is_whole() {
    let mut world = World::new(Options::default());
    let other = world.client();
    let slow = world.client();
    for byte in "SUB foo 1\r\nPUB foo 2\r\nhi\r\n".chars() {
        world.say(slow, &byte.to_string());
        goes_on(&mut world, other);
    }
    assert_eq!(world.hear(slow), "MSG foo 1 2\r\nhi\r\n");
}

#[test]
fn an_endless_line_ends_the_connection() {
    let line = "SUB ".to_string() + &"a".repeat(5000);
    attacked(
        &line,
        "-ERR 'maximum control line exceeded'\r\n",
        Some(CloseReason::MaxControlLineExceeded),
    );
}

#[test]
fn a_message_that_is_too_large_is_refused_before_it_has_come() {
    for line in ["PUB x 99999999\r\n", "HPUB x 12 99999999\r\n"] {
        attacked(
            line,
            "-ERR 'Maximum Payload Violation'\r\n",
            Some(CloseReason::MaxPayloadExceeded),
        );
    }
}

#[test]
fn sizes_that_are_no_sizes_end_the_connection() {
    for line in [
        "PUB x -5\r\n",
        "PUB x 99999999999999999999\r\n",
        "HPUB x 18446744073709551615 5\r\n",
        "HPUB x 30 20\r\n",
    ] {
        let mut world = World::new(Options::default());
        let other = world.client();
        let attacker = world.client();
        world.say(attacker, line);
        assert!(world.reason(attacker).is_some(), "{line}");
        goes_on(&mut world, other);
    }
}

#[test]
fn other_protocols_are_told_that_this_is_none_of_theirs() {
    for bytes in [
        "GET / HTTP/1.1\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\r\n",
        "\0\0\0\0\0\0\r\n",
    ] {
        attacked(
            bytes,
            "-ERR 'Unknown Protocol Operation'\r\n",
            Some(CloseReason::ProtocolViolation),
        );
    }
}

#[test]
fn a_connect_that_nests_without_end_ends_the_connection() {
    let mut world = World::new(Options::default());
    let other = world.client();
    let attacker = world.accept(Rules::Nats);
    world.hear(attacker);
    let line = format!("CONNECT {{\"a\":{}\r\n", "[".repeat(4000));
    world.say(attacker, &line);
    assert_eq!(world.reason(attacker), Some(CloseReason::ProtocolViolation));
    goes_on(&mut world, other);
}

#[test]
fn a_request_that_nests_without_end_is_told_that_it_is_no_json() {
    let mut options = Options::default();
    options.jetstream.enabled = true;
    let mut world = World::new(options);
    world.recover();
    let other = world.client();
    let attacker = world.client();
    for body in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        let len = body.len();
        let ask = format!("SUB in 1\r\nPUB $JS.API.STREAM.CREATE.S in {len}\r\n{body}\r\n");
        let heard = world.ask(attacker, &ask);
        assert!(heard.contains("\"err_code\":10025"), "{heard}");
        goes_on(&mut world, other);
    }
}

#[test]
fn a_flood_of_connections_is_turned_away_and_leaves_nothing_behind() {
    let mut options = Options::default();
    options.limits.connections_max = 3;
    let mut world = World::new(options);
    let other = world.client();
    for _ in 0..100 {
        let (first, second) = (world.client(), world.client());
        let third = world.accept(Rules::Nats);
        assert!(
            world
                .hear(third)
                .ends_with("-ERR 'maximum connections exceeded'\r\n")
        );
        for conn in [first, second, third] {
            world.leave(conn);
        }
    }
    assert_eq!(world.shard.connections(), 1);
    goes_on(&mut world, other);
}

#[test]
fn a_flood_of_subscriptions_stops_at_the_limit() {
    let mut options = Options::default();
    options.limits.subscriptions_max = 10;
    let mut world = World::new(options);
    let other = world.client();
    let attacker = world.client();
    let flood: String = (0..1000).map(|n| format!("SUB f.{n} {n}\r\n")).collect();
    let heard = world.ask(attacker, &flood);
    assert_eq!(
        heard,
        "-ERR 'maximum subscriptions exceeded'\r\n".repeat(990)
    );
    assert_eq!(world.shard.sub_views().len(), 10);
    goes_on(&mut world, other);
}

#[test]
fn a_subject_of_the_deepest_nesting_is_only_long() {
    let mut world = World::new(Options::default());
    let other = world.client();
    let attacker = world.client();
    let deep = ["a"; 2000].join(".");
    let wild = ["*"; 2000].join(".");
    let heard = world.ask(
        attacker,
        &format!("SUB {wild} 1\r\nSUB {deep} 2\r\nPUB {deep} 1\r\nx\r\n"),
    );
    assert_eq!(heard.matches("MSG ").count(), 2);
    goes_on(&mut world, other);
}

#[test]
fn wildcards_reach_around_no_permission() {
    let mut options = Options::default();
    let list = |allow: &[&str], deny: &[&str]| {
        let own = |subjects: &[&str]| subjects.iter().map(ToString::to_string).collect();
        Some(PermissionList {
            allow: Some(own(allow)),
            deny: own(deny),
        })
    };
    options.auth.users = vec![User {
        name: "u".to_string(),
        password: Some("p".to_string()),
        permissions: Some(Permissions {
            publish: list(&["pub.>"], &["pub.secret"]),
            subscribe: list(&["sub.*", "all.>"], &["sub.secret", "all.secret.>"]),
            responses: None,
        }),
        ..User::default()
    }];
    let mut world = World::new(options);
    let client = world.accept(Rules::Nats);
    world.hear(client);
    world.say(
        client,
        "CONNECT {\"verbose\":false,\"user\":\"u\",\"pass\":\"p\"}\r\n",
    );
    for subject in [
        "sub.>",
        ">",
        "*",
        "*.secret",
        "sub.secret",
        "sub.*.x",
        "all.secret.x",
    ] {
        for queue in ["", " q"] {
            let heard = world.ask(client, &format!("SUB {subject}{queue} 1\r\n"));
            assert!(
                heard.starts_with("-ERR 'Permissions Violation"),
                "{subject}{queue}"
            );
        }
    }
    for subject in ["pub.secret", "pub", "sub.x", "pub2.x"] {
        let heard = world.ask(client, &format!("PUB {subject} 1\r\nx\r\n"));
        assert!(
            heard.starts_with("-ERR 'Permissions Violation"),
            "{subject}"
        );
    }
    assert_eq!(world.ask(client, "SUB sub.* 7\r\nSUB all.> 8\r\n"), "");
}

#[test]
fn mappings_that_lead_back_to_each_other_are_followed_once() {
    let mapping = |source: &str, to: &str| Mapping {
        source: source.to_string(),
        destinations: vec![MapDestination {
            subject: to.to_string(),
            weight: 100,
            cluster: None,
        }],
    };
    let mut world = World::new(Options {
        mappings: vec![mapping("a", "b"), mapping("b", "a")],
        ..Options::default()
    });
    let client = world.client();
    let heard = world.ask(
        client,
        "SUB a 1\r\nSUB b 2\r\nPUB a 1\r\nx\r\nPUB b 1\r\ny\r\n",
    );
    assert_eq!(heard, "MSG b 2 1\r\nx\r\nMSG a 1 1\r\ny\r\n");
}
