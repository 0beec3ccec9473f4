//! Logins about which a service decides.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use identity::claims::Standard;
use identity::{KeyPair, encode};
use protocol::errors::CloseReason;
use protocol::id::ConnId;
use serde_json::{Value, json};

use super::harness::World;
use super::signed::{account, free, name, options, typed};
use crate::effects::Rules;

const BOB: &str = "CONNECT {\"verbose\":false,\"user\":\"bob\",\"pass\":\"x\"}\r\n";

/// Returns a world whose accounts AUTH and APP a service decides about, and the service.
fn world() -> (World, ConnId) {
    let issuer = name(&account(1));
    let text = format!(
        "accounts {{ AUTH {{ users: [ {{user: auth, password: p}} ] }}, APP {{}} }}\n\
         authorization {{ timeout: 1, auth_callout {{ issuer: {issuer}, account: AUTH, auth_users: [ auth ] }} }}"
    );
    let mut world = World::new(options(&text));
    let service = world.accept(Rules::Nats);
    world.say(
        service,
        "CONNECT {\"verbose\":false,\"user\":\"auth\",\"pass\":\"p\"}\r\nSUB $SYS.REQ.USER.AUTH 1\r\n",
    );
    world.hear(service);
    (world, service)
}

/// A question, as the service gets it.
struct Question {
    reply: String,
    claims: Value,
}

fn question(world: &mut World, service: ConnId) -> Question {
    let heard = world.hear(service);
    let words: Vec<&str> = heard.split_whitespace().collect();
    let (reply, token) = (words[3].to_string(), words[5]);
    let payload = token.split('.').nth(1).expect("a token");
    let payload =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload);
    let claims = serde_json::from_slice(&payload.expect("base 64")).expect("JSON");
    Question { reply, claims }
}

impl Question {
    fn user(&self) -> String {
        self.claims["nats"]["user_nkey"]
            .as_str()
            .expect("a key")
            .to_string()
    }

    fn server(&self) -> String {
        self.claims["nats"]["server_id"]["id"]
            .as_str()
            .expect("an id")
            .to_string()
    }

    /// Returns an answer about `user`, signed by `signer`, that puts the user in APP.
    fn answer(&self, user: &str, server: &str, signer: &KeyPair) -> String {
        self.answer_with(user, server, signer, free())
    }

    /// The same, with these claims.
    fn answer_with(&self, user: &str, server: &str, signer: &KeyPair, claims: Value) -> String {
        let about = |sub: &str, aud: &str| Standard {
            sub: sub.to_string(),
            aud: aud.to_string(),
            name: "bob".to_string(),
            ..Standard::default()
        };
        let vouched = encode(about(user, "APP"), &typed("user", claims), signer);
        let said = typed("authorization_response", json!({"jwt": vouched}));
        let body = encode(about(user, server), &said, signer);
        format!("PUB {} {}\r\n{body}\r\n", self.reply, body.len())
    }
}

#[test]
fn whom_the_service_vouches_for_gets_in() {
    let (mut world, service) = world();
    let client = world.accept(Rules::Nats);
    world.say(client, BOB);
    let asked = question(&mut world, service);
    assert_eq!(asked.claims["nats"]["connect_opts"]["user"], "bob");
    world.say(
        service,
        &asked.answer(&asked.user(), &asked.server(), &account(1)),
    );
    world.hear(client);
    assert_eq!(world.ask(client, "PING\r\n").lines().next(), Some("PONG"));
}

#[test]
fn whom_the_service_wants_to_come_through_a_proxy_has_to() {
    let (mut world, service) = world();
    let client = world.accept(Rules::Nats);
    world.say(client, BOB);
    let asked = question(&mut world, service);
    let mut claims = free();
    claims["proxy_required"] = true.into();
    let answer = asked.answer_with(&asked.user(), &asked.server(), &account(1), claims);
    world.say(service, &answer);
    assert_eq!(world.reason(client), Some(CloseReason::ProxyRequired));
}

#[test]
fn an_answer_counts_only_from_the_issuer_for_this_login_and_this_server() {
    for (user, server, signer) in [
        (None, None, account(2)),
        (
            Some(name(&KeyPair::from_entropy(
                identity::KeyKind::User,
                [3; 32],
            ))),
            None,
            account(1),
        ),
        (None, Some("NOTHER".to_string()), account(1)),
    ] {
        let (mut world, service) = world();
        let client = world.accept(Rules::Nats);
        world.say(client, BOB);
        let asked = question(&mut world, service);
        let user = user.unwrap_or_else(|| asked.user());
        let server = server.unwrap_or_else(|| asked.server());
        world.say(service, &asked.answer(&user, &server, &signer));
        let reason = world.reason(client);
        assert_eq!(reason, Some(CloseReason::AuthenticationViolation));
    }
}

#[test]
fn an_answer_to_an_earlier_login_lets_nobody_in() {
    let (mut world, service) = world();
    let first = world.accept(Rules::Nats);
    world.say(first, BOB);
    let earlier = question(&mut world, service);
    let second = world.accept(Rules::Nats);
    world.say(second, BOB);
    let later = question(&mut world, service);
    let replayed = earlier.answer(&earlier.user(), &earlier.server(), &account(1));
    world.say(service, &replayed.replace(&earlier.reply, &later.reply));
    assert_eq!(
        world.reason(second),
        Some(CloseReason::AuthenticationViolation)
    );
    assert_eq!(world.reason(first), None);
}

#[test]
fn a_login_that_nobody_answers_about_ends_in_time() {
    let (mut world, _) = world();
    let client = world.accept(Rules::Nats);
    world.say(client, BOB);
    assert_eq!(world.reason(client), None);
    world.wait(Duration::from_millis(1100));
    assert_eq!(
        world.reason(client),
        Some(CloseReason::AuthenticationViolation)
    );
}

#[test]
fn nobody_in_the_services_account_asks_as_if_it_were_the_server() {
    let (mut world, service) = world();
    let heard = world.ask(service, "PUB $SYS.REQ.USER.AUTH in 2\r\nhi\r\n");
    assert!(
        heard.contains("Permissions Violation for Publish"),
        "{heard}"
    );
}
