//! The system account: requests, and what the server says by itself.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use config::Options;
use config::options::{Account, AccountJetStream, User};
use protocol::errors::CloseReason;
use protocol::id::ConnId;

use super::harness::World;
use crate::effects::{Input, Rules};

fn account(name: &str, user: &str) -> Account {
    Account {
        name: name.to_owned(),
        users: Vec::from([User {
            name: user.to_owned(),
            password: Some("p".to_owned()),
            ..User::default()
        }]),
        ..Account::default()
    }
}

fn world() -> World {
    World::new(Options {
        accounts: Vec::from([account("$SYS", "sys"), account("A", "a")]),
        ..Options::default()
    })
}

fn client(world: &mut World, user: &str) -> ConnId {
    let id = world.accept(Rules::Nats);
    let login = format!(
        "CONNECT {{\"user\":\"{user}\",\"pass\":\"p\",\"headers\":true,\"verbose\":false,\"no_responders\":true}}\r\n"
    );
    world.say(id, &login);
    world.hear(id);
    id
}

/// Asks and returns the answer's body.
fn ask(world: &mut World, from: ConnId, subject: &str, body: &str) -> String {
    let len = body.len();
    let heard = world.ask(
        from,
        &format!("SUB answer 9\r\nPUB {subject} answer {len}\r\n{body}\r\n"),
    );
    world.say(from, "UNSUB 9\r\n");
    let body = heard.split("\r\n").nth(1).unwrap_or_default();
    body.to_owned()
}

#[test]
fn a_kicked_client_is_closed_and_its_leave_is_told_after_the_connections_left() {
    let mut world = world();
    let (sys, a) = (client(&mut world, "sys"), client(&mut world, "a"));
    world.say(sys, "SUB $SYS.ACCOUNT.A.> 1\r\n");
    let server = world.shard.identity().id.clone();
    let kick = format!("$SYS.REQ.SERVER.{server}.KICK");
    world.say(sys, &format!("PUB {kick} 9\r\n{{\"cid\":2}}\r\n"));
    assert_eq!(world.reason(a), Some(CloseReason::Kicked));
    let heard = world.hear(sys);
    let subjects: Vec<_> = heard
        .split("\r\n")
        .filter_map(|line| line.strip_prefix("MSG ")?.split(' ').next())
        .collect();
    assert_eq!(
        subjects,
        ["$SYS.ACCOUNT.A.SERVER.CONNS", "$SYS.ACCOUNT.A.DISCONNECT"]
    );
    assert!(heard.contains("\"reason\":\"Kicked\""), "{heard}");
}

#[test]
fn connections_that_do_not_change_are_told_again_until_there_are_none() {
    let mut world = world();
    let (sys, a) = (client(&mut world, "sys"), client(&mut world, "a"));
    world.say(sys, "SUB $SYS.ACCOUNT.A.SERVER.CONNS 1\r\n");
    let told = |world: &mut World| {
        let heard = world.hear(sys);
        heard.matches("MSG $SYS.ACCOUNT.A.SERVER.CONNS").count()
    };
    world.wait(Duration::from_secs(29));
    assert_eq!(told(&mut world), 0);
    world.wait(Duration::from_secs(1));
    assert_eq!(told(&mut world), 1);
    world.wait(Duration::from_secs(30));
    assert_eq!(told(&mut world), 1);
    world.leave(a);
    assert_eq!(told(&mut world), 1);
    world.wait(Duration::from_secs(90));
    assert_eq!(told(&mut world), 0);
}

#[test]
fn a_failed_login_is_told_in_the_account_too() {
    let mut world = World::new(Options {
        accounts: Vec::from([account("$G", "g")]),
        ..Options::default()
    });
    let g = client(&mut world, "g");
    world.say(g, "SUB $SYS.ACCOUNT.CLIENT.AUTH.ERR 1\r\n");
    let stranger = world.accept(Rules::Nats);
    world.say(stranger, "CONNECT {\"user\":\"g\",\"pass\":\"wrong\"}\r\n");
    let heard = world.hear(g);
    assert!(
        heard.contains("\"reason\":\"Authentication Failure\""),
        "{heard}"
    );
}

#[test]
fn a_client_is_sent_elsewhere_by_an_info_and_stays() {
    let mut world = world();
    let (sys, a) = (client(&mut world, "sys"), client(&mut world, "a"));
    let server = world.shard.identity().id.clone();
    let subject = format!("$SYS.REQ.SERVER.{server}.LDM");
    let answer = ask(&mut world, sys, &subject, "{\"cid\":2}");
    assert!(answer.starts_with("{\"server\":{"), "{answer}");
    assert!(!answer.contains("error"), "{answer}");
    assert!(world.hear(a).contains("\"ldm\":true"));
    assert_eq!(world.reason(a), None);
}

#[test]
fn a_reload_that_fails_is_answered_with_its_reason() {
    let mut world = world();
    let sys = client(&mut world, "sys");
    let server = world.shard.identity().id.clone();
    let subject = format!("$SYS.REQ.SERVER.{server}.RELOAD");
    let answer = ask(&mut world, sys, &subject, "");
    let expected = "\"error\":{\"code\":500,\"description\":\"no file\"}";
    assert!(answer.contains(expected), "{answer}");
}

#[test]
fn who_asks_for_streams_is_shown_their_accounts() {
    let mut options = Options {
        accounts: Vec::from([account("$SYS", "sys"), account("A", "a")]),
        ..Options::default()
    };
    options.jetstream.enabled = true;
    for account in &mut options.accounts {
        account.jetstream = Some(AccountJetStream::default());
    }
    let mut world = World::new(options);
    let a = client(&mut world, "a");
    let config = r#"{"name":"S","subjects":["s"],"storage":"memory"}"#;
    ask(&mut world, a, "$JS.API.STREAM.CREATE.S", config);
    let sys = client(&mut world, "sys");
    let mut shown = |body: &str| {
        let answer = ask(&mut world, sys, "$SYS.REQ.SERVER.PING.JSZ", body);
        answer.contains(r#""stream_detail":[{"name":"S""#)
    };
    assert!(shown(r#"{"streams":true,"raft":true}"#));
    assert!(shown(r#"{"consumer":true}"#));
    assert!(!shown(r#"{"accounts":true,"config":true}"#));
}

#[test]
fn the_server_tells_how_it_is_more_and_more_rarely_and_only_to_who_listens() {
    let mut world = world();
    let sys = client(&mut world, "sys");
    world.wait(Duration::from_secs(60));
    assert!(!world.hear(sys).contains("statsz"));
    world.say(sys, "SUB $SYS.SERVER.*.STATSZ 1\r\n");
    world.wait(Duration::from_secs(30));
    let heard = world.hear(sys);
    assert_eq!(heard.matches("\"statsz\":").count(), 3, "{heard}");
}

#[test]
fn requests_beyond_what_may_wait_find_nobody() {
    let mut world = world();
    let sys = client(&mut world, "sys");
    world.say(sys, "SUB answer 1\r\n");
    let request = "PUB $SYS.REQ.SERVER.PING.IDZ answer 0\r\n\r\n";
    let max = crate::limits::SYSTEM_REQUESTS_MAX;
    let heard = world.ask(sys, &request.repeat(max + 1));
    assert_eq!(heard.matches("MSG answer 1 ").count(), max + 1);
    assert_eq!(heard.matches("NATS/1.0 503").count(), 1);
}

#[test]
fn leaving_is_told_before_the_connections_end() {
    let mut world = world();
    let sys = client(&mut world, "sys");
    world.say(sys, "SUB $SYS.SERVER.*.SHUTDOWN 1\r\n");
    world.input(Input::Shutdown);
    let heard = world.hear(sys);
    let server = world.shard.identity().id.clone();
    assert!(
        heard.starts_with(&format!("MSG $SYS.SERVER.{server}.SHUTDOWN 1  ")),
        "{heard}"
    );
}
