//! Who is let in, and what those who are not are told.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use config::Options;
use config::options::{Account, Memphis, PermissionList, Permissions, ResponseLimits, User};
use protocol::errors::CloseReason;
use protocol::id::ConnId;

use super::harness::{World, infos};
use crate::effects::Rules;

const REFUSED: &str = "-ERR 'Authorization Violation'\r\n";

#[test]
fn nothing_is_accepted_before_a_login_that_is_required() {
    let mut world = guarded();
    for line in ["PING", "SUB foo 1", "PUB foo 0"] {
        let id = world.accept(Rules::Nats);
        assert!(world.hear(id).contains("\"auth_required\":true"));
        assert_eq!(world.ask(id, &format!("{line}\r\n")), REFUSED, "{line}");
        assert_eq!(world.reason(id), Some(CloseReason::AuthenticationViolation));
    }
}

#[test]
fn a_login_shows_its_account_and_a_wrong_one_is_refused() {
    let mut world = guarded();
    let id = world.accept(Rules::Nats);
    world.hear(id);
    let heard = world.ask(id, &connect("stranger", "stranger-pw"));
    let second = infos(&heard).remove(0);
    assert!(second.contains("\"remote_account\":\"other\""), "{second}");
    for (name, pass) in [("free", "nope"), ("nobody", "x"), ("", "")] {
        let id = world.accept(Rules::Nats);
        world.hear(id);
        assert_eq!(world.ask(id, &connect(name, pass)), REFUSED, "{name}");
    }
}

#[test]
fn a_login_that_never_comes_is_given_up_after_two_seconds() {
    let mut world = guarded();
    let id = world.accept(Rules::Nats);
    world.hear(id);
    world.wait(Duration::from_millis(1999));
    assert_eq!(world.reason(id), None);
    world.wait(Duration::from_millis(1));
    assert_eq!(world.hear(id), "-ERR 'Authentication Timeout'\r\n");
    assert_eq!(world.reason(id), Some(CloseReason::AuthenticationTimeout));
}

#[test]
fn accounts_do_not_hear_each_other() {
    let mut world = guarded();
    let (here, there) = (login(&mut world, "free"), login(&mut world, "stranger"));
    world.say(here, "SUB > 1\r\n");
    world.say(there, "SUB > 1\r\nPUB foo 1\r\nx\r\n");
    assert_eq!(world.hear(here), "");
    assert_eq!(world.hear(there), "MSG foo 1 1\r\nx\r\n");
}

#[test]
fn permissions_refuse_without_closing() {
    let mut world = guarded();
    let id = login(&mut world, "narrow");
    let lines = "PUB no 0\r\n\r\nPUB ok.x 0\r\n\r\nSUB secret.x 1\r\nSUB secret.x q 2\r\n";
    assert_eq!(
        world.ask(id, lines),
        "-ERR 'Permissions Violation for Publish to \"no\"'\r\n\
         -ERR 'Permissions Violation for Subscription to \"secret.x\"'\r\n\
         -ERR 'Permissions Violation for Subscription to \"secret.x\" using queue \"q\"'\r\n"
    );
    assert_eq!(world.reason(id), None);
}

#[test]
fn a_subscription_wider_than_a_denial_gets_the_rest() {
    let mut world = guarded();
    let (narrow, free) = (login(&mut world, "narrow"), login(&mut world, "free"));
    world.say(narrow, "SUB > 1\r\n");
    world.say(free, "PUB secret.a 1\r\nx\r\nPUB open.a 1\r\ny\r\n");
    assert_eq!(world.hear(narrow), "MSG open.a 1 1\r\ny\r\n");
}

#[test]
fn a_service_may_answer_once_what_it_was_asked() {
    let mut world = guarded();
    let (service, free) = (login(&mut world, "service"), login(&mut world, "free"));
    world.say(service, "SUB ask 1\r\n");
    world.say(free, "SUB inbox 1\r\nPUB ask inbox 1\r\n?\r\n");
    assert_eq!(world.hear(service), "MSG ask 1 inbox 1\r\n?\r\n");
    let answer = "PUB inbox 1\r\n!\r\n";
    assert_eq!(world.ask(service, answer), "");
    assert_eq!(world.hear(free), "MSG inbox 1 1\r\n!\r\n");
    assert_eq!(
        world.ask(service, answer),
        "-ERR 'Permissions Violation for Publish to \"inbox\"'\r\n"
    );
}

#[test]
fn a_token_lets_in_and_a_wrong_one_does_not() {
    let mut options = Options::default();
    options.auth.token = Some("t0k".to_string());
    let mut world = World::new(options);
    for (token, expected) in [("t0k", "PONG\r\n"), ("nope", REFUSED), ("", REFUSED)] {
        let id = world.accept(Rules::Nats);
        world.hear(id);
        let line = format!("CONNECT {{\"verbose\":false,\"auth_token\":\"{token}\"}}\r\nPING\r\n");
        assert_eq!(world.ask(id, &line), expected, "{token}");
    }
}

#[test]
fn a_client_without_credentials_becomes_the_user_named_for_it() {
    let mut options = Options::default();
    options.auth.users = alloc::vec![user("free", None), user("guest", None)];
    options.no_auth_user = Some("guest".to_string());
    let mut world = World::new(options);
    let id = world.accept(Rules::Nats);
    assert!(!world.hear(id).contains("auth_required"));
    world.say(id, "CONNECT {\"verbose\":false}\r\n");
    let views = world.shard.conn_views(world.now);
    assert_eq!(views.first().unwrap().user, "guest");
    // Wrong credentials do not become the guest.
    let id = world.accept(Rules::Nats);
    world.hear(id);
    assert_eq!(world.ask(id, &connect("free", "nope")), REFUSED);
}

#[test]
fn a_user_without_a_password_can_stand_for_who_shows_nothing() {
    let mut options = Options::default();
    options.auth.users = alloc::vec![User {
        name: "guest".to_string(),
        ..User::default()
    }];
    options.no_auth_user = Some("guest".to_string());
    let mut world = World::new(options);
    let id = world.accept(Rules::Nats);
    world.say(id, "CONNECT {\"verbose\":false}\r\n");
    assert_eq!(
        world.shard.conn_views(world.now).first().unwrap().user,
        "guest"
    );
    let id = world.accept(Rules::Nats);
    world.hear(id);
    assert_eq!(world.ask(id, &connect("guest", "guess")), REFUSED);
}

#[test]
fn a_hashed_password_is_checked_elsewhere_while_nothing_is_read() {
    let mut options = Options::default();
    let hash = "$2a$11$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    options.auth.users = alloc::vec![User {
        name: "h".to_string(),
        password: Some(hash.to_string()),
        ..User::default()
    }];
    let mut world = World::new(options);
    for (password, expected) in [("right", "PONG\r\n"), ("wrong", REFUSED)] {
        let id = world.accept(Rules::Nats);
        world.hear(id);
        let heard = world.ask(id, &connect("h", password));
        assert_eq!(heard, "", "the PING waits for the login");
        assert_eq!(world.gates.last(), Some(&(id, true)));
        // The client has done its part: what the check takes is not counted against it.
        world.wait(Duration::from_secs(3));
        world.check_passwords("right");
        assert_eq!(world.gates.last(), Some(&(id, false)));
        // The driver hands over again what was not read.
        let heard = world.ask(id, "");
        assert!(heard.starts_with(expected), "{heard}");
    }
}

#[test]
fn a_user_without_password_is_nobody_who_shows_nothing() {
    let mut options = Options::default();
    options.auth.users = alloc::vec![User {
        nkey: Some("UABC".to_string()),
        ..User::default()
    }];
    let mut world = World::new(options);
    let id = world.accept(Rules::Nats);
    world.hear(id);
    assert_eq!(world.ask(id, &connect("", "")), REFUSED);
}

#[test]
fn what_a_connect_may_not_ask_for_closes() {
    const NEEDS_HEADERS: &str = "no responders requires headers support";
    let mut world = World::new(Options::default());
    for (options, text) in [
        ("\"protocol\":2", "invalid client protocol"),
        ("\"protocol\":-1", "invalid client protocol"),
        ("\"no_responders\":true", NEEDS_HEADERS),
        (
            "\"no_responders\":true,\"protocol\":2",
            "invalid client protocol",
        ),
        ("\"account\":\"x\"", "Authorization Violation"),
    ] {
        let id = world.accept(Rules::Nats);
        world.hear(id);
        let heard = world.ask(id, &format!("CONNECT {{{options}}}\r\n"));
        assert_eq!(heard, format!("-ERR '{text}'\r\n"), "{options}");
        assert!(world.reason(id).is_some());
    }
}

#[test]
fn an_accounts_limits_hold_for_all_its_connections() {
    let mut options = Options::default();
    let mut account = Account {
        name: "small".to_string(),
        users: alloc::vec![user("one", None)],
        ..Account::default()
    };
    account.limits.connections_max = Some(1);
    account.limits.payload_max = Some(100);
    options.accounts = alloc::vec![account];
    let mut world = World::new(options);
    let first = world.accept(Rules::Nats);
    world.hear(first);
    let heard = world.ask(first, &connect("one", "one-pw"));
    assert!(heard.contains("\"max_payload\":100,"), "{heard}");
    let second = world.accept(Rules::Nats);
    world.hear(second);
    assert_eq!(
        world.ask(second, &connect("one", "one-pw")),
        "-ERR 'maximum account active connections exceeded'\r\n"
    );
    world.leave(first);
    let third = world.accept(Rules::Nats);
    world.hear(third);
    let heard = world.ask(third, &connect("one", "one-pw"));
    assert!(heard.starts_with("PONG"), "{heard}");
    let heard = world.ask(third, "PUB foo 101\r\n");
    assert_eq!(heard, "-ERR 'Maximum Payload Violation'\r\n");
}

#[test]
fn memphis_logins_hold_on_the_memphis_listener_only() {
    let options = Options {
        memphis: Some(Memphis::default()),
        ..Options::default()
    };
    let mut world = World::new(options);
    let root = world.accept(Rules::Memphis);
    assert!(world.hear(root).contains("\"auth_required\":true"));
    let heard = world.ask(root, &connect("root$1", "memphis"));
    assert!(heard.starts_with("PONG"), "{heard}");
    let wrong = world.accept(Rules::Memphis);
    world.hear(wrong);
    assert_eq!(world.ask(wrong, &connect("root$2", "memphis")), REFUSED);
    let plain = world.accept(Rules::Nats);
    assert!(!world.hear(plain).contains("auth_required"));
}

fn connect(user: &str, pass: &str) -> String {
    format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"protocol\":1,\"headers\":true,\
         \"user\":\"{user}\",\"pass\":\"{pass}\"}}\r\nPING\r\n"
    )
}

fn user(name: &str, permissions: Option<Permissions>) -> User {
    User {
        name: name.to_string(),
        password: Some(format!("{name}-pw")),
        permissions,
        ..User::default()
    }
}

fn list(allow: Option<&[&str]>, deny: &[&str]) -> Option<PermissionList> {
    let owned = |items: &[&str]| items.iter().map(ToString::to_string).collect::<Vec<_>>();
    Some(PermissionList {
        allow: allow.map(owned),
        deny: owned(deny),
    })
}

/// Users of the global account with and without rules, and one of another account.
fn guarded() -> World {
    let narrow = Permissions {
        publish: list(Some(&["ok.>"]), &[]),
        subscribe: list(None, &["secret.>"]),
        responses: None,
    };
    let service = Permissions {
        publish: None,
        subscribe: list(Some(&["ask", "ask grp"]), &[]),
        responses: Some(ResponseLimits::default()),
    };
    let mut options = Options::default();
    options.auth.users = alloc::vec![
        user("free", None),
        user("narrow", Some(narrow)),
        user("service", Some(service)),
    ];
    options.accounts = alloc::vec![Account {
        name: "other".to_string(),
        users: alloc::vec![user("stranger", None)],
        ..Account::default()
    }];
    World::new(options)
}

/// Connects as a user, and reads what it is greeted with.
fn login(world: &mut World, name: &str) -> ConnId {
    let id = world.accept(Rules::Nats);
    world.say(id, &connect(name, &format!("{name}-pw")));
    world.hear(id);
    assert_eq!(world.reason(id), None, "{name}");
    id
}
