//! Users that are known by their keys: what they sign, and what others sign about them.

use alloc::format;
use alloc::string::{String, ToString};

use config::Options;
use config::options::{ConnectionType, PermissionList, Permissions, User};
use identity::{KeyKind, KeyPair};
use protocol::id::ConnId;

use super::harness::{World, infos};
use crate::effects::Rules;

const REFUSED: &str = "-ERR 'Authorization Violation'\r\n";

fn pair(seed: u8) -> KeyPair {
    KeyPair::from_entropy(KeyKind::User, [seed; 32])
}

fn user(pair: &KeyPair) -> User {
    User {
        nkey: Some(pair.public().to_string()),
        ..User::default()
    }
}

/// Connects, and returns the nonce.
fn greeted(world: &mut World) -> (ConnId, String) {
    let id = world.accept(Rules::Nats);
    let heard = world.hear(id);
    let (_, rest) = heard.split_once("\"nonce\":\"").expect("a nonce");
    let (nonce, _) = rest.split_once('"').expect("a text");
    (id, nonce.to_string())
}

fn connect(nkey: &str, sig: &str) -> String {
    format!("CONNECT {{\"verbose\":true,\"protocol\":1,\"nkey\":\"{nkey}\",\"sig\":\"{sig}\"}}\r\n")
}

#[test]
fn a_user_signs_its_nonce_and_is_who_its_key_says() {
    let (known, limited) = (pair(1), pair(2));
    let mut config = Options::default();
    let permissions = Permissions {
        publish: Some(PermissionList {
            allow: Some(["a".to_string()].into()),
            deny: [].into(),
        }),
        ..Permissions::default()
    };
    let limited_user = User {
        permissions: Some(permissions),
        ..user(&limited)
    };
    config.auth.users = [user(&known), limited_user].into();
    let mut world = World::new(config);
    let (id, nonce) = greeted(&mut world);
    assert_eq!(nonce.len(), 15);
    let login = connect(
        &known.public().to_string(),
        &known.sign_text(nonce.as_bytes()),
    );
    let heard = world.ask(id, &format!("{login}PING\r\nPUB b 0\r\n\r\n"));
    assert!(heard.starts_with("+OK\r\nPONG\r\n"), "{heard}");
    // Only the first INFO has something to sign.
    assert!(!infos(&heard).remove(0).contains("nonce"));
    let (id, nonce) = greeted(&mut world);
    let login = connect(
        &limited.public().to_string(),
        &limited.sign_text(nonce.as_bytes()),
    );
    let heard = world.ask(id, &format!("{login}PUB b 0\r\n\r\n"));
    assert!(
        heard.contains("Permissions Violation for Publish to \"b\""),
        "{heard}"
    );
}

#[test]
fn a_signature_of_something_else_or_by_somebody_else_is_refused() {
    let (known, other) = (pair(1), pair(2));
    let mut config = Options::default();
    config.auth.users = [user(&known)].into();
    let mut world = World::new(config);
    let (_, old) = greeted(&mut world);
    let name = known.public().to_string();
    let good = |nonce: &str| known.sign_text(nonce.as_bytes());
    type Sign<'a> = &'a dyn Fn(&str) -> String;
    let cases: [(&str, Sign<'_>); 6] = [
        // Another connection's nonce, recorded.
        (&name, &|_| good(&old)),
        (&name, &|nonce| other.sign_text(nonce.as_bytes())),
        (&name, &|nonce| {
            good(nonce).replace('A', "B").split_at(80).0.to_string()
        }),
        (&name, &|_| String::new()),
        (&name, &|_| "%%%".to_string()),
        ("", &good),
    ];
    for (name, sign) in cases {
        let (id, nonce) = greeted(&mut world);
        assert_eq!(world.ask(id, &connect(name, &sign(&nonce))), REFUSED);
    }
    // A key that nobody knows.
    let (id, nonce) = greeted(&mut world);
    let login = connect(
        &other.public().to_string(),
        &other.sign_text(nonce.as_bytes()),
    );
    assert_eq!(world.ask(id, &login), REFUSED);
}

#[test]
fn every_connection_has_another_nonce_and_needs_none_where_nobody_signs() {
    let mut config = Options::default();
    config.auth.users = [user(&pair(1))].into();
    let mut world = World::new(config);
    let nonces = [
        greeted(&mut world).1,
        greeted(&mut world).1,
        greeted(&mut world).1,
    ];
    assert!(nonces[0] != nonces[1] && nonces[1] != nonces[2]);
    let mut open = World::new(Options::default());
    let id = open.accept(Rules::Nats);
    assert!(!open.hear(id).contains("nonce"));
}

#[test]
fn a_key_may_be_nobodys_and_is_bound_to_kinds_of_connection() {
    let (anonymous, web) = (pair(1), pair(2));
    let web_user = User {
        allowed_connection_types: [ConnectionType::WebSocket].into(),
        ..user(&web)
    };
    let mut config = Options {
        no_auth_user: Some(anonymous.public().to_string()),
        ..Options::default()
    };
    config.auth.users = [user(&anonymous), web_user].into();
    let mut world = World::new(config);
    let (id, _) = greeted(&mut world);
    assert!(world.ask(id, "CONNECT {}\r\n").starts_with("+OK\r\n"));
    let (id, nonce) = greeted(&mut world);
    let login = connect(&web.public().to_string(), &web.sign_text(nonce.as_bytes()));
    assert_eq!(world.ask(id, &login), REFUSED);
}
