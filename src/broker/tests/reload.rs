//! Another configuration while clients are connected.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use core::time::Duration;

use config::Options;
use config::options::{Account, PermissionList, Permissions, User};
use protocol::errors::CloseReason;
use protocol::id::ConnId;

use super::harness::{CONNECT, World};
use crate::effects::{Input, Rules};

fn user(name: &str, password: &str) -> User {
    User {
        name: name.to_string(),
        password: Some(password.to_string()),
        ..User::default()
    }
}

fn users(users: &[User]) -> Options {
    let mut options = Options::default();
    options.auth.users = users.to_vec();
    options
}

fn reload(world: &mut World, options: Options) {
    world.input(Input::Reload(Box::new(options)));
}

fn login(world: &mut World, user: &str, pass: &str) -> ConnId {
    let id = world.accept(Rules::Nats);
    let connect = format!(
        "CONNECT {{\"verbose\":false,\"protocol\":0,\"user\":\"{user}\",\"pass\":\"{pass}\"}}\r\n"
    );
    world.ask(id, &connect);
    id
}

#[test]
fn who_cannot_log_in_any_more_is_told_and_closed() {
    let mut world = World::new(users(&[user("a", "b"), user("c", "d")]));
    let changed = login(&mut world, "a", "b");
    let same = login(&mut world, "c", "d");
    world.ask(same, "SUB foo 1\r\n");
    reload(&mut world, users(&[user("a", "x"), user("c", "d")]));
    assert_eq!(world.hear(changed), "-ERR 'Authorization Violation'\r\n");
    assert_eq!(
        world.reason(changed),
        Some(CloseReason::AuthenticationViolation)
    );
    let heard = world.ask(same, "PUB foo 2\r\nhi\r\n");
    assert_eq!(heard, "MSG foo 1 2\r\nhi\r\n");
}

#[test]
fn a_client_whose_user_is_gone_is_closed_without_a_word() {
    let mut world = World::new(users(&[user("a", "b"), user("c", "d")]));
    let gone = login(&mut world, "a", "b");
    reload(&mut world, users(&[user("c", "d")]));
    assert_eq!(world.hear(gone), "");
    assert_eq!(world.aborted, [gone]);
}

#[test]
fn a_client_whose_user_has_another_account_is_closed_without_a_word() {
    let mut world = World::new(users(&[user("a", "b")]));
    let moved = login(&mut world, "a", "b");
    let options = Options {
        accounts: vec![Account {
            name: "A".to_string(),
            users: vec![user("a", "b")],
            ..Account::default()
        }],
        ..Options::default()
    };
    reload(&mut world, options);
    assert_eq!(world.aborted, [moved]);
    let again = login(&mut world, "a", "b");
    assert_eq!(world.ask(again, "PING\r\n"), "PONG\r\n");
}

#[test]
fn who_showed_nothing_must_leave_when_users_appear() {
    let mut world = World::new(Options::default());
    let anonymous = world.client();
    let named = login(&mut world, "a", "b");
    reload(&mut world, users(&[user("a", "b")]));
    assert_eq!(world.hear(anonymous), "-ERR 'Authorization Violation'\r\n");
    assert_eq!(world.ask(named, "PING\r\n"), "PONG\r\n");
}

#[test]
fn subscriptions_that_are_not_allowed_any_more_end() {
    let mut world = World::new(users(&[user("a", "b")]));
    let client = login(&mut world, "a", "b");
    world.ask(client, "SUB foo 1\r\nSUB bar 2\r\nSUB * 3\r\nSUB q g 5\r\n");
    let mut bounded = user("a", "b");
    bounded.permissions = Some(Permissions {
        publish: Some(PermissionList {
            allow: None,
            deny: vec!["foo".to_string()],
        }),
        subscribe: Some(PermissionList {
            allow: None,
            deny: vec!["bar".to_string(), "q g".to_string()],
        }),
        responses: None,
    });
    reload(&mut world, users(&[bounded]));
    assert_eq!(
        world.hear(client),
        "-ERR 'Permissions Violation for Subscription to \"bar\" (sid \"2\")'\r\n\
         -ERR 'Permissions Violation for Subscription to \"q\" using queue \"g\" (sid \"5\")'\r\n"
    );
    let heard = world.ask(
        client,
        "PUB foo 1\r\nx\r\nPUB bar 1\r\nx\r\nPUB baz 1\r\nx\r\n",
    );
    assert_eq!(
        heard,
        "-ERR 'Permissions Violation for Publish to \"foo\"'\r\nMSG baz 3 1\r\nx\r\n"
    );
}

#[test]
fn a_hash_that_stays_is_not_checked_again_and_a_new_one_is() {
    const HASHES: [&str; 2] = [
        "$2a$11$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "$2a$11$bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    ];
    let [old, new] = HASHES.map(|hash| users(&[user("a", hash)]));
    let mut world = World::new(old.clone());
    let right = login(&mut world, "a", "right");
    world.check_passwords("right");
    reload(&mut world, old);
    assert!(world.work.is_empty(), "nothing to check");
    reload(&mut world, new);
    world.check_passwords("right");
    assert_eq!(world.ask(right, "PING\r\n"), "PONG\r\n");
    reload(&mut world, users(&[user("a", "plain")]));
    assert_eq!(
        world.reason(right),
        Some(CloseReason::AuthenticationViolation)
    );
}

#[test]
fn limits_hold_for_who_is_there_already() {
    let mut world = World::new(Options::default());
    let (first, second) = (world.client(), world.client());
    let mut options = Options::default();
    options.limits.connections_max = 1;
    options.limits.payload_max = 5;
    reload(&mut world, options);
    assert_eq!(
        world.hear(second),
        "-ERR 'maximum connections exceeded'\r\n"
    );
    assert_eq!(world.reason(first), None);
    let heard = world.ask(first, "PUB foo 6\r\nhihihi\r\n");
    assert_eq!(heard, "-ERR 'Maximum Payload Violation'\r\n");
}

#[test]
fn an_account_closes_the_clients_that_are_too_many() {
    let account = |max| Options {
        accounts: vec![Account {
            name: "A".to_string(),
            users: vec![user("a", "b")],
            limits: config::options::AccountLimits {
                connections_max: max,
                ..Default::default()
            },
            ..Account::default()
        }],
        ..Options::default()
    };
    let mut world = World::new(account(None));
    let ids = [login(&mut world, "a", "b"), login(&mut world, "a", "b")];
    reload(&mut world, account(Some(1)));
    let closed = ids.iter().filter(|id| world.reason(**id).is_some());
    assert_eq!(closed.count(), 1);
}

#[test]
fn a_shorter_ping_interval_counts_at_once() {
    let mut world = World::new(Options {
        ping_interval: Duration::from_secs(3600),
        ..Options::default()
    });
    let client = world.accept(Rules::Nats);
    world.ask(client, CONNECT);
    world.wait(Duration::from_secs(10));
    world.ask(client, "PONG\r\n");
    reload(
        &mut world,
        Options {
            ping_interval: Duration::from_secs(1),
            ..Options::default()
        },
    );
    world.wait(Duration::from_secs(3));
    assert!(world.hear(client).contains("PING"));
}
