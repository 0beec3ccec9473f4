//! Accounts that are pushed to a server, which keeps them in a directory.

use alloc::format;
use alloc::string::{String, ToString};

use identity::claims::Standard;
use identity::{KeyKind, KeyPair, encode};
use protocol::errors::CloseReason;
use protocol::id::ConnId;
use serde_json::json;

use super::super::harness::World;
use super::{account, account_token, free_and, name, operator, options, typed, user_token};
use crate::effects::{Input, Rules, WorkDone};

/// Returns a world with accounts in a directory, and a client of the system account.
fn with_directory(more: &str) -> (World, ConnId) {
    let system = account(7);
    let claims = json!({"type": "operator", "version": 2, "system_account": name(&system)});
    let standard = Standard {
        sub: name(&operator()),
        ..Standard::default()
    };
    let trusted = encode(standard, &claims, &operator());
    let text = format!(
        "operator: {trusted}\nresolver {{ type: full, dir: d, {more} }}\n\
         resolver_preload {{ {}: {} }}",
        name(&system),
        account_token(&system, json!({})),
    );
    let mut world = World::new(options(&text));
    let client = bearer(&mut world, &system);
    assert_eq!(world.ask(client, "SUB in 1\r\n"), "");
    (world, client)
}

/// Lets a client in with a token that it need not sign for.
fn bearer(world: &mut World, issuer: &KeyPair) -> ConnId {
    let client = world.accept(Rules::Nats);
    let token = user_token(issuer, free_and(json!({"bearer_token": true})));
    world.say(
        client,
        &format!("CONNECT {{\"verbose\":false,\"jwt\":\"{token}\"}}\r\n"),
    );
    world.hear(client);
    client
}

fn request(subject: &str, body: &str) -> String {
    format!("PUB {subject} in {}\r\n{body}\r\n", body.len())
}

#[test]
fn an_account_is_known_once_its_token_is_durable_and_not_before() {
    let (mut world, admin) = with_directory("");
    let update = request(
        "$SYS.REQ.CLAIMS.UPDATE",
        &account_token(&account(2), json!({})),
    );
    assert_eq!(world.ask(admin, &update), "");
    let early = bearer(&mut world, &account(2));
    assert_eq!(
        world.reason(early),
        Some(CloseReason::AuthenticationViolation)
    );
    world.input(Input::Work(WorkDone::FilesChanged(Ok(()))));
    let answer = world.hear(admin);
    assert!(
        answer.contains(r#""code":200,"message":"jwt updated"}"#),
        "{answer}"
    );
    let late = bearer(&mut world, &account(2));
    assert_eq!(world.reason(late), None);
}

#[test]
fn an_account_whose_token_could_not_be_kept_stays_as_it_was() {
    let (mut world, admin) = with_directory("");
    let update = request(
        "$SYS.REQ.CLAIMS.UPDATE",
        &account_token(&account(2), json!({})),
    );
    world.say(admin, &update);
    let failed = Err("no space left on device".to_string());
    world.input(Input::Work(WorkDone::FilesChanged(failed)));
    let answer = world.hear(admin);
    assert!(
        answer.contains("jwt update resulted in error - no space left on device"),
        "{answer}"
    );
    let client = bearer(&mut world, &account(2));
    assert_eq!(
        world.reason(client),
        Some(CloseReason::AuthenticationViolation)
    );
}

#[test]
fn only_as_many_accounts_are_kept_as_the_directory_may_hold() {
    let (mut world, admin) = with_directory("limit: 1");
    let update = request(
        "$SYS.REQ.CLAIMS.UPDATE",
        &account_token(&account(2), json!({})),
    );
    let answer = world.ask(admin, &update);
    assert!(answer.contains("jwt store is full"), "{answer}");
}

#[test]
fn an_account_of_somebody_who_is_not_trusted_is_not_taken() {
    let (mut world, admin) = with_directory("");
    let stranger = KeyPair::from_entropy(KeyKind::Operator, [3; 32]);
    let standard = Standard {
        sub: name(&account(2)),
        ..Standard::default()
    };
    let token = encode(standard, &typed("account", json!({})), &stranger);
    let answer = world.ask(admin, &request("$SYS.REQ.CLAIMS.UPDATE", &token));
    assert!(
        answer.contains("not signed by a trusted operator"),
        "{answer}"
    );
    assert!(world.work.is_empty());
}
