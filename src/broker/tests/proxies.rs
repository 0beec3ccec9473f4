//! Clients that come through proxies, which sign for them.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};

use identity::{KeyKind, KeyPair};
use protocol::errors::CloseReason;
use protocol::id::ConnId;

use super::harness::World;
use super::signed::{account, free, log_in, name, options, user_token, world};
use crate::effects::{Input, Rules};

const REFUSED: &str = "-ERR 'Authorization Violation'\r\n";
const USERS: &str = "[ {user: a, password: b, proxy_required: true}, {user: c, password: d} ]";

fn proxy(number: u8) -> KeyPair {
    KeyPair::from_entropy(KeyKind::User, [number; 32])
}

fn trusting(numbers: &[u8], authorization: &str) -> config::Options {
    let keys = numbers
        .iter()
        .map(|n| format!("{{key: {}}},", name(&proxy(*n))));
    let keys: String = keys.collect();
    options(&format!(
        "proxies {{ trusted: [ {keys} ] }}\nauthorization {{ {authorization} }}"
    ))
}

/// Connects with these credentials through a proxy, and returns what is answered.
fn come(world: &mut World, who: &str, through: Option<&KeyPair>) -> (ConnId, String) {
    let id = world.accept(Rules::Nats);
    let heard = world.hear(id);
    let (_, rest) = heard.split_once("\"nonce\":\"").expect("a nonce");
    let (nonce, _) = rest.split_once('"').expect("a text");
    let sig = through.map(|pair| pair.sign_text(nonce.as_bytes()));
    let sig = sig.unwrap_or_default();
    let line =
        format!("CONNECT {{\"verbose\":true,\"protocol\":0,{who},\"proxy_sig\":\"{sig}\"}}\r\n");
    let heard = world.ask(id, &line);
    (id, heard)
}

const A: &str = "\"user\":\"a\",\"pass\":\"b\"";
const C: &str = "\"user\":\"c\",\"pass\":\"d\"";

#[test]
fn a_user_that_has_to_come_through_a_proxy_gets_in_through_a_trusted_one_only() {
    let mut world = World::new(trusting(&[1, 2], &format!("users: {USERS}")));
    for (who, through, expected) in [
        (A, None, Some(CloseReason::ProxyRequired)),
        (A, Some(3), Some(CloseReason::ProxyNotTrusted)),
        (A, Some(2), None),
        (C, None, None),
        (C, Some(3), Some(CloseReason::ProxyNotTrusted)),
        (C, Some(1), None),
        (
            "\"user\":\"c\",\"pass\":\"x\"",
            Some(1),
            Some(CloseReason::AuthenticationViolation),
        ),
    ] {
        let through = through.map(proxy);
        let (id, heard) = come(&mut world, who, through.as_ref());
        assert_eq!(world.reason(id), expected, "{who} {heard}");
        match expected {
            Some(_) => assert_eq!(heard, REFUSED),
            None => assert_eq!(heard, "+OK\r\n"),
        }
    }
}

#[test]
fn without_users_the_block_decides_who_has_to_come_through_a_proxy() {
    for (authorization, who, direct) in [
        (
            "user: a, password: b, proxy_required: true",
            A,
            Some(CloseReason::ProxyRequired),
        ),
        (
            "token: t, proxy_required: true",
            "\"auth_token\":\"t\"",
            Some(CloseReason::ProxyRequired),
        ),
        ("proxy_required: true", A, None),
        (
            "proxy_required: true, users: [{user: a, password: b}]",
            A,
            None,
        ),
    ] {
        let mut world = World::new(trusting(&[1], authorization));
        let (id, _) = come(&mut world, who, None);
        assert_eq!(world.reason(id), direct, "{authorization}");
        let (id, heard) = come(&mut world, who, Some(&proxy(1)));
        assert_eq!((world.reason(id), heard.as_str()), (None, "+OK\r\n"));
        let (id, _) = come(&mut world, who, Some(&proxy(2)));
        assert_eq!(world.reason(id), Some(CloseReason::ProxyNotTrusted));
    }
}

#[test]
fn a_signed_user_may_have_to_come_through_a_proxy_too() {
    let mut world = world(serde_json::json!({}));
    let mut claims = free();
    claims["proxy_required"] = true.into();
    let (id, heard) = log_in(&mut world, &user_token(&account(2), claims));
    assert_eq!(heard, REFUSED);
    assert_eq!(world.reason(id), Some(CloseReason::ProxyRequired));
}

#[test]
fn clients_of_a_proxy_that_is_trusted_no_more_are_closed() {
    let users = format!("users: {USERS}");
    let mut world = World::new(trusting(&[1, 2], &users));
    let (gone, _) = come(&mut world, A, Some(&proxy(1)));
    let (here, _) = come(&mut world, A, Some(&proxy(2)));
    world.input(Input::Reload(Box::new(trusting(&[2], &users))));
    assert_eq!(world.hear(gone), REFUSED);
    assert_eq!(world.reason(gone), Some(CloseReason::ProxyNotTrusted));
    assert_eq!(world.ask(here, "PING\r\n"), "PONG\r\n".to_string());
}
