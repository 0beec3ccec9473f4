//! Operator mode: users whom accounts have signed, which an operator has signed.

mod directory;

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use config::fake::Fake;
use config::{Launch, Options};
use identity::claims::Standard;
use identity::{KeyKind, KeyPair, encode};
use protocol::errors::CloseReason;
use protocol::id::ConnId;
use serde_json::{Value, json};

use super::harness::{World, infos};
use crate::effects::Rules;

const REFUSED: &str = "-ERR 'Authorization Violation'\r\n";
/// When the harness' clock starts, in seconds.
pub(super) const NOW: i64 = 1_700_000_000;

pub(super) fn operator() -> KeyPair {
    KeyPair::from_entropy(KeyKind::Operator, [1; 32])
}

pub(super) fn account(number: u8) -> KeyPair {
    KeyPair::from_entropy(KeyKind::Account, [number; 32])
}

fn user() -> KeyPair {
    KeyPair::from_entropy(KeyKind::User, [9; 32])
}

pub(super) fn name(pair: &KeyPair) -> String {
    pair.public().to_string()
}

/// Returns an account's claims with what `with` says beside the usual.
pub(super) fn account_token(pair: &KeyPair, mut with: Value) -> String {
    for limit in ["subs", "data", "payload", "conn", "leaf"] {
        if with["limits"][limit].is_null() {
            with["limits"][limit] = (-1).into();
        }
    }
    let standard = Standard {
        sub: name(pair),
        name: "acme".to_string(),
        ..Standard::default()
    };
    encode(standard, &typed("account", with), &operator())
}

pub(super) fn typed(kind: &str, mut with: Value) -> Value {
    with["type"] = kind.into();
    with["version"] = 2.into();
    with
}

/// Returns a user's claims.
pub(super) fn user_token(issuer: &KeyPair, with: Value) -> String {
    user_token_for(Standard::default(), issuer, with)
}

pub(super) fn user_token_for(standard: Standard, issuer: &KeyPair, with: Value) -> String {
    let standard = Standard {
        sub: name(&user()),
        name: "bob".to_string(),
        iat: NOW - 100,
        ..standard
    };
    encode(standard, &typed("user", with), issuer)
}

/// What an unscoped user's claims say.
pub(super) fn free() -> Value {
    json!({"subs": -1, "data": -1, "payload": -1})
}

fn free_and(with: Value) -> Value {
    let mut all = free();
    for (key, value) in with.as_object().expect("an object") {
        all[key] = value.clone();
    }
    all
}

pub(super) fn options(text: &str) -> Options {
    let args = ["-c", "nats.conf"].map(ToString::to_string);
    match config::load("nats-server", &args, &mut Fake::with_config(text)) {
        Ok(Launch::Serve(setup)) => setup.options,
        other => panic!("{other:?}"),
    }
}

/// Returns a world with these accounts.
fn world_with(accounts: &[(&KeyPair, Value)], more: &str) -> World {
    let preload = accounts.iter().map(|(pair, with)| {
        format!(
            "{}: \"{}\"\n",
            name(pair),
            account_token(pair, with.clone())
        )
    });
    let preload: String = preload.collect();
    let operator = name(&operator());
    World::new(options(&format!(
        "trusted_keys: [{operator}]\nresolver: MEMORY\nresolver_preload {{\n{preload}}}\n{more}"
    )))
}

pub(super) fn world(with: Value) -> World {
    world_with(&[(&account(2), with)], "")
}

fn greeted(world: &mut World) -> (ConnId, String) {
    let id = world.accept(Rules::Nats);
    let heard = world.hear(id);
    assert!(heard.contains("\"auth_required\":true"));
    let (_, rest) = heard.split_once("\"nonce\":\"").expect("a nonce");
    let (nonce, _) = rest.split_once('"').expect("a text");
    (id, nonce.to_string())
}

/// Logs in with a token and the user's signature, and returns what is answered.
pub(super) fn log_in(world: &mut World, token: &str) -> (ConnId, String) {
    let (id, nonce) = greeted(world);
    let sig = user().sign_text(nonce.as_bytes());
    let line = format!(
        "CONNECT {{\"verbose\":true,\"protocol\":1,\"jwt\":\"{token}\",\"sig\":\"{sig}\"}}\r\n"
    );
    let heard = world.ask(id, &format!("{line}PING\r\n"));
    (id, heard)
}

fn bear(world: &mut World, token: &str) -> String {
    let (id, _) = greeted(world);
    world.ask(
        id,
        &format!("CONNECT {{\"verbose\":true,\"jwt\":\"{token}\"}}\r\n"),
    )
}

#[test]
fn a_user_that_its_account_has_signed_gets_in() {
    let mut world = world(json!({}));
    let (_, heard) = log_in(&mut world, &user_token(&account(2), free()));
    assert!(heard.starts_with("+OK\r\nPONG\r\n"), "{heard}");
    let expected = format!("\"remote_account\":\"{}\"", name(&account(2)));
    assert!(infos(&heard).remove(0).contains(&expected), "{heard}");
}

#[test]
fn a_forged_token_is_refused() {
    let mut world = world(json!({}));
    // An account that nobody knows; one that says it is another's.
    let stranger = account(3);
    assert_eq!(
        log_in(&mut world, &user_token(&stranger, free())).1,
        REFUSED
    );
    let with = free_and(json!({"issuer_account": name(&account(2))}));
    assert_eq!(log_in(&mut world, &user_token(&stranger, with)).1, REFUSED);
    // The claims of one with the signature of another.
    let good = user_token(&account(2), free());
    let (claims, _) = good.rsplit_once('.').expect("three parts");
    let other = user_token(&account(2), free_and(json!({"payload": 5})));
    let (_, signature) = other.rsplit_once('.').expect("three parts");
    assert_eq!(
        log_in(&mut world, &format!("{claims}.{signature}")).1,
        REFUSED
    );
}

#[test]
fn a_truncated_token_is_refused_and_so_is_none() {
    let mut world = world(json!({}));
    let good = user_token(&account(2), free());
    for len in [0, 1, good.len() / 2, good.len() - 1] {
        assert_eq!(log_in(&mut world, &good[..len]).1, REFUSED);
    }
}

#[test]
fn an_expired_token_is_refused_and_so_is_one_that_does_not_hold_yet() {
    let mut world = world(json!({}));
    let at = |exp, nbf| {
        let standard = Standard {
            exp,
            nbf,
            ..Standard::default()
        };
        user_token_for(standard, &account(2), free())
    };
    assert_eq!(log_in(&mut world, &at(NOW - 1, 0)).1, REFUSED);
    assert_eq!(log_in(&mut world, &at(0, NOW + 1)).1, REFUSED);
    assert!(
        log_in(&mut world, &at(NOW + 1, NOW))
            .1
            .starts_with("+OK\r\n")
    );
}

#[test]
fn a_user_has_to_go_when_its_token_ends() {
    let mut world = world(json!({}));
    let standard = Standard {
        exp: NOW + 60,
        ..Standard::default()
    };
    let (id, heard) = log_in(&mut world, &user_token_for(standard, &account(2), free()));
    assert!(heard.starts_with("+OK\r\n"));
    world.wait(Duration::from_secs(59));
    assert_eq!(world.reason(id), None);
    world.hear(id);
    world.wait(Duration::from_secs(1));
    assert!(
        world
            .hear(id)
            .ends_with("-ERR 'User Authentication Expired'\r\n")
    );
    assert_eq!(world.reason(id), Some(CloseReason::AuthenticationExpired));
}

#[test]
fn only_who_may_bear_a_token_need_not_sign() {
    let bearer = user_token(&account(2), free_and(json!({"bearer_token": true})));
    let signer = user_token(&account(2), free());
    let mut open = world(json!({}));
    assert_eq!(bear(&mut open, &bearer), "+OK\r\n");
    assert_eq!(bear(&mut open, &signer), REFUSED);
    let mut strict = world(json!({"limits": {"disallow_bearer": true}}));
    assert_eq!(bear(&mut strict, &bearer), REFUSED);
}

#[test]
fn a_revoked_user_is_refused_unless_it_was_signed_again() {
    for revoked in [name(&user()), "*".to_string()] {
        let token = user_token(&account(2), free());
        let mut later = world(json!({"revocations": {revoked.clone(): NOW - 99}}));
        assert_eq!(log_in(&mut later, &token).1, REFUSED);
        let mut before = world(json!({"revocations": {revoked: NOW - 101}}));
        assert!(log_in(&mut before, &token).1.starts_with("+OK\r\n"));
    }
}

#[test]
fn networks_times_and_kinds_of_connection_keep_users_out() {
    let mut world = world(json!({}));
    for (with, good) in [
        (json!({"src": ["127.0.0.0/8"]}), true),
        (json!({"src": ["10.0.0.0/8"]}), false),
        (json!({"src": "10.0.0.0/8,127.0.0.1/32"}), true),
        (json!({"src": ["nonsense"]}), false),
        // It is 22:13:20.
        (
            json!({"times": [{"start": "22:00:00", "end": "23:00:00"}]}),
            true,
        ),
        (
            json!({"times": [{"start": "08:00:00", "end": "17:00:00"}]}),
            false,
        ),
        (json!({"allowed_connection_types": ["STANDARD"]}), true),
        (json!({"allowed_connection_types": ["WEBSOCKET"]}), false),
        (
            json!({"allowed_connection_types": ["CARRIER_PIGEON"]}),
            false,
        ),
    ] {
        let text = with.to_string();
        let (_, heard) = log_in(&mut world, &user_token(&account(2), free_and(with)));
        assert_eq!(heard.starts_with("+OK\r\n"), good, "{text}: {heard}");
    }
}

#[test]
fn a_scoped_key_says_what_its_users_may_do_and_they_do_not() {
    let scoped = account(5);
    let template = json!({"subs": 1, "data": -1, "payload": -1,
        "pub": {"allow": ["user.{{name()}}.>", "team.{{tag(team)}}"]}});
    let mut world = world(json!({"signing_keys": [
        {"kind": "user_scope", "key": name(&scoped), "template": template}]}));
    let with = |more: Value| {
        let mut with = json!({"issuer_account": name(&account(2)), "tags": ["team:a"]});
        for (key, value) in more.as_object().expect("an object") {
            with[key] = value.clone();
        }
        with
    };
    let (id, heard) = log_in(&mut world, &user_token(&scoped, with(json!({}))));
    assert!(heard.starts_with("+OK\r\n"), "{heard}");
    let asked = "PUB user.bob.x 0\r\n\r\nPUB team.a 0\r\n\r\nPUB user.eve.x 0\r\n\r\n";
    assert_eq!(
        world.ask(id, asked),
        "+OK\r\n+OK\r\n-ERR 'Permissions Violation for Publish to \"user.eve.x\"'\r\n"
    );
    let heard = world.ask(id, "SUB a 1\r\nSUB b 2\r\n");
    assert_eq!(heard, "+OK\r\n-ERR 'maximum subscriptions exceeded'\r\n");
    // Whoever has permissions of its own is not one of its users.
    let own = with(json!({"pub": {"allow": [">"]}}));
    assert_eq!(log_in(&mut world, &user_token(&scoped, own)).1, REFUSED);
}

#[test]
fn a_template_without_a_value_allows_nothing() {
    let scoped = account(5);
    let template = json!({"subs": -1, "data": -1, "payload": -1,
        "pub": {"allow": ["team.{{tag(team)}}"]}});
    let mut world = world(json!({"signing_keys": [
        {"kind": "user_scope", "key": name(&scoped), "template": template}]}));
    let with = json!({"issuer_account": name(&account(2))});
    let (id, heard) = log_in(&mut world, &user_token(&scoped, with));
    assert!(heard.starts_with("+OK\r\n"), "{heard}");
    assert!(
        world
            .ask(id, "PUB team.x 0\r\n\r\n")
            .contains("Permissions Violation")
    );
}

#[test]
fn limits_are_the_smallest_of_user_account_and_server() {
    let mut world = world(json!({"limits": {"payload": 100, "conn": 1}}));
    let token = user_token(&account(2), free_and(json!({"payload": 10})));
    let (id, heard) = log_in(&mut world, &token);
    assert!(
        infos(&heard).remove(0).contains("\"max_payload\":10,"),
        "{heard}"
    );
    let (_, second) = log_in(&mut world, &token);
    assert!(
        second.contains("maximum account active connections exceeded"),
        "{second}"
    );
    assert!(
        world
            .ask(id, "PUB a 11\r\n")
            .contains("Maximum Payload Violation")
    );
}

#[test]
fn a_private_service_is_for_accounts_with_the_exporters_consent() {
    let (exporter, friend, stranger) = (account(2), account(3), account(4));
    let consent = |to: &KeyPair, by: &KeyPair| {
        let standard = Standard {
            sub: name(to),
            iat: NOW - 1,
            ..Standard::default()
        };
        let nats = typed("activation", json!({"subject": "help", "kind": "service"}));
        encode(standard, &nats, by)
    };
    let import = |token: String| {
        json!({"imports": [{"account": name(&exporter), "subject": "help", "type": "service",
            "token": token}]})
    };
    let mut world = world_with(
        &[
            (
                &exporter,
                json!({"exports": [{"subject": "help", "type": "service", "token_req": true}]}),
            ),
            (&friend, import(consent(&friend, &exporter))),
            // Its own word, and somebody else's consent.
            (&stranger, import(consent(&friend, &exporter))),
        ],
        "",
    );
    let (service, _) = log_in(&mut world, &user_token(&exporter, free()));
    world.ask(service, "SUB help 1\r\n");
    let (asks, _) = log_in(&mut world, &user_token(&friend, free()));
    world.ask(asks, "PUB help in 2\r\nhi\r\n");
    assert!(world.hear(service).contains("MSG help 1 "));
    let (asks, _) = log_in(&mut world, &user_token(&stranger, free()));
    world.ask(asks, "PUB help in 2\r\nhi\r\n");
    assert_eq!(world.hear(service), "");
}

#[test]
fn clients_without_a_token_are_the_sentinel_if_there_is_one() {
    let bearer = user_token(&account(2), free_and(json!({"bearer_token": true})));
    let mut with = world_with(&[(&account(2), json!({}))], "");
    assert_eq!(bear(&mut with, ""), REFUSED);
    let more = format!("default_sentinel: \"{bearer}\"\n");
    let mut with = world_with(&[(&account(2), json!({}))], &more);
    assert_eq!(bear(&mut with, ""), "+OK\r\n");
}
