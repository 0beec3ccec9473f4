//! The lines that show what clients say and are told.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use config::Options;
use config::options::{PermissionList, Permissions, User};

use super::harness::World;
use crate::effects::{Level, Rules};

fn traced() -> Options {
    let mut options = Options::default();
    options.logging.trace = true;
    options.logging.debug = true;
    options
}

fn lines(world: &mut World, level: Level) -> Vec<String> {
    let log = core::mem::take(&mut world.log);
    let wanted = log.into_iter().filter(|line| line.level == level);
    wanted.map(|line| line.text).collect()
}

#[test]
fn operations_are_shown_as_they_came_and_messages_with_what_they_carry() {
    let mut world = World::new(traced());
    let client = world.accept(Rules::Nats);
    world.say(
        client,
        "CONNECT {\"verbose\":false,\"headers\":true}\r\nPING\r\n",
    );
    world.say(client, "sub foo  1\r\nPUB foo rep 2\r\nhi\r\n");
    world.say(client, "HPUB foo 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\n");
    world.say(client, "UNSUB 1 \r\n");
    let own = "127.0.0.1:5000 - cid:1 - ";
    let all = lines(&mut world, Level::Trace);
    let all: Vec<_> = all
        .iter()
        .map(|line| line.strip_prefix(own).expect("its own"))
        .collect();
    assert_eq!(
        all,
        [
            "<<- [CONNECT {\"verbose\":false,\"headers\":true}]",
            "<<- [PING]",
            "->> [PONG]",
            "<<- [SUB foo  1]",
            "<<- [PUB foo rep 2]",
            "<<- MSG_PAYLOAD: [\"hi\"]",
            "->> [MSG foo 1 rep 2]",
            "->> MSG_PAYLOAD: [\"hi\"]",
            "<<- [HPUB foo 18 20]",
            "<<- MSG_PAYLOAD: [\"NATS/1.0\\r\\nA: b\\r\\n\\r\\nhi\"]",
            "->> [HMSG foo 1 18 20]",
            "->> MSG_PAYLOAD: [\"NATS/1.0\\r\\nA: b\\r\\n\\r\\nhi\"]",
            "<<- [UNSUB 1 ]",
            "<-> [DELSUB 1]",
        ]
    );
}

#[test]
fn lines_tell_who_the_client_is_and_never_what_it_proves_it_with() {
    let mut options = traced();
    options.limits.traced_msg_len_max = 3;
    options.auth.users = vec![User {
        name: "a".to_string(),
        password: Some("secret".to_string()),
        ..User::default()
    }];
    let mut world = World::new(options);
    let client = world.accept(Rules::Nats);
    world.say(
        client,
        "CONNECT {\"verbose\":false,\"user\":\"a\",\"pass\":\"secret\",\"name\":\"app\",\
         \"lang\":\"go\",\"version\":\"1.2\"}\r\nPUB x 5\r\nhello\r\n",
    );
    let refused = world.accept(Rules::Nats);
    world.say(
        refused,
        "CONNECT {\"verbose\":false,\"user\":\"a\",\"pass\":\"secret2\"}\r\n",
    );
    let errors: Vec<_> = world
        .log
        .iter()
        .filter(|l| l.level == Level::Error)
        .collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0]
            .text
            .ends_with("cid:2 - authentication error - User \"a\"")
    );
    let all = lines(&mut world, Level::Trace);
    let own = "127.0.0.1:5000 - cid:1 - \"v1.2:go:app\" - \"$G/user:a\" - ";
    assert_eq!(all[1].strip_prefix(own), Some("<<- [PUB x 5]"));
    assert_eq!(
        all[2].strip_prefix(own),
        Some("<<- MSG_PAYLOAD: [\"hel...\"]")
    );
    assert!(all.iter().all(|line| !line.contains("secret")), "{all:?}");
}

#[test]
fn coming_and_going_is_told_to_whoever_debugs() {
    let mut world = World::new(traced());
    let client = world.client();
    world.leave(client);
    let all = lines(&mut world, Level::Debug);
    assert_eq!(
        all,
        [
            "127.0.0.1:5000 - cid:1 - Client connection created",
            "127.0.0.1:5000 - cid:1 - Client connection closed: Client Closed",
        ]
    );
}

#[test]
fn what_clients_may_not_do_is_told_in_nats_servers_words() {
    let mut options = traced();
    let permissions = Permissions {
        publish: Some(PermissionList {
            allow: Some(vec!["x".to_string()]),
            ..PermissionList::default()
        }),
        subscribe: Some(PermissionList {
            allow: Some(vec!["y".to_string()]),
            ..PermissionList::default()
        }),
        ..Permissions::default()
    };
    options.auth.users = vec![User {
        name: "a".to_string(),
        password: Some("secret".to_string()),
        permissions: Some(permissions),
        ..User::default()
    }];
    let connect = "CONNECT {\"verbose\":false,\"user\":\"a\",\"pass\":\"secret\"}\r\n";
    for (said, told) in [
        ("PUB foo 1\r\nx\r\n", "Publish Violation - Subject \"foo\""),
        (
            "SUB foo 7\r\n",
            "Subscription Violation - Subject \"foo\", SID 7",
        ),
        (
            "SUB foo q 8\r\n",
            "Subscription Violation - Subject \"foo\", Queue: \"q\", SID 8",
        ),
        ("PUB x y z 1\r\n", "processPub Parse Error: \"x y z 1\""),
        ("HPUB x 1 2\r\n", "message headers not supported"),
        (
            "FOO\r\n",
            "Client parser ERROR, state=0, i=0: proto='\"FOO\\r\\n\"...'",
        ),
    ] {
        let mut world = World::new(options.clone());
        let client = world.accept(Rules::Nats);
        world.say(client, connect);
        world.say(client, said);
        let all = lines(&mut world, Level::Error);
        assert_eq!(all.len(), 1, "{said}: {all:?}");
        assert!(all[0].ends_with(told), "{all:?}");
    }
    let mut world = World::new(options);
    let client = world.accept(Rules::Nats);
    world.say(client, "PING\r\n");
    let all = lines(&mut world, Level::Error);
    assert!(all[0].ends_with(" - authentication error"), "{all:?}");
}
