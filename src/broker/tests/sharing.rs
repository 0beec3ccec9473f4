//! Messages between accounts.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use config::Options;
use config::options::{Account, Export, ExportKind, Import, ImportKind, ResponseType, User};
use protocol::id::ConnId;

use super::harness::World;
use crate::effects::{Input, Rules};

fn service(subject: &str, response: ResponseType) -> Export {
    Export {
        kind: ExportKind::Service {
            response,
            threshold: Some(Duration::from_secs(5)),
        },
        subject: subject.to_owned(),
        accounts: None,
        account_token_position: 0,
        latency: None,
        allow_trace: false,
    }
}

fn import(account: &str, subject: &str, kind: ImportKind) -> Import {
    Import {
        account: account.to_owned(),
        subject: subject.to_owned(),
        kind,
        allow_trace: false,
    }
}

fn account(name: &str, exports: Vec<Export>, imports: Vec<Import>) -> Account {
    Account {
        name: name.to_owned(),
        users: Vec::from([User {
            name: name.to_owned(),
            password: Some("x".to_owned()),
            ..User::default()
        }]),
        exports,
        imports,
        ..Account::default()
    }
}

/// P offers services and a stream; C imports them.
fn world() -> World {
    World::new(options())
}

fn options() -> Options {
    let stream = Export {
        kind: ExportKind::Stream,
        ..service("news.>", ResponseType::Singleton)
    };
    let asked = ImportKind::Service {
        to: None,
        share: false,
    };
    let heard = ImportKind::Stream {
        prefix: Some("in".to_owned()),
        to: None,
    };
    let exports = [
        service("help", ResponseType::Singleton),
        service("many", ResponseType::Stream),
        stream,
    ];
    let imports = [
        import("P", "help", asked.clone()),
        import("P", "many", asked),
        import("P", "news.>", heard),
    ];
    Options {
        accounts: Vec::from([
            account("P", exports.into(), Vec::new()),
            account("C", Vec::new(), imports.into()),
        ]),
        ..Options::default()
    }
}

fn client(world: &mut World, user: &str) -> ConnId {
    let id = world.accept(Rules::Nats);
    let login = format!(
        "CONNECT {{\"user\":\"{user}\",\"pass\":\"x\",\"headers\":true,\"verbose\":false,\"no_responders\":true}}\r\n"
    );
    world.say(id, &login);
    world.hear(id);
    id
}

/// Returns the reply subject of the first message in `heard`.
fn reply(heard: &str) -> String {
    let line = heard.split("\r\n").next().unwrap_or_default();
    line.split(' ').nth(3).expect("has a reply").to_owned()
}

#[test]
fn an_answer_that_comes_too_late_reaches_nobody() {
    let mut world = world();
    let (p, c) = (client(&mut world, "P"), client(&mut world, "C"));
    world.say(p, "SUB help 1\r\n");
    world.say(c, "SUB inbox 1\r\nPUB help inbox 1\r\nq\r\n");
    let reply = reply(&world.hear(p));
    world.wait(Duration::from_secs(6));
    world.hear(c);
    world.say(p, &format!("PUB {reply} 1\r\na\r\n"));
    assert_eq!(world.hear(c), "");
}

#[test]
fn many_answers_each_give_the_service_more_time() {
    let mut world = world();
    let (p, c) = (client(&mut world, "P"), client(&mut world, "C"));
    world.say(p, "SUB many 1\r\n");
    world.say(c, "SUB inbox 1\r\nPUB many inbox 1\r\nq\r\n");
    let reply = reply(&world.hear(p));
    for _ in 0..3 {
        world.wait(Duration::from_secs(4));
        world.hear(c);
        world.say(p, &format!("PUB {reply} 1\r\na\r\n"));
        assert_eq!(world.hear(c), "MSG inbox 1 1\r\na\r\n");
    }
}

#[test]
fn an_answer_that_nobody_hears_is_the_last() {
    let mut world = world();
    let (p, c) = (client(&mut world, "P"), client(&mut world, "C"));
    world.say(p, "SUB many 1\r\n");
    world.say(c, "PUB many inbox 1\r\nq\r\n");
    let reply = reply(&world.hear(p));
    world.say(p, &format!("PUB {reply} 1\r\na\r\n"));
    world.say(c, "SUB inbox 1\r\n");
    world.say(p, &format!("PUB {reply} 1\r\na\r\n"));
    assert_eq!(world.hear(c), "");
}

#[test]
fn nobody_but_the_answering_account_has_the_reply_subject() {
    let mut world = world();
    let (p, c) = (client(&mut world, "P"), client(&mut world, "C"));
    let thief = client(&mut world, "C");
    world.say(p, "SUB help 1\r\n");
    world.say(c, "SUB inbox 1\r\nPUB help inbox 1\r\nq\r\n");
    let reply = reply(&world.hear(p));
    world.say(thief, &format!("PUB {reply} 1\r\nx\r\n"));
    assert_eq!(world.hear(c), "");
    world.say(p, &format!("PUB {reply} 1\r\na\r\n"));
    assert_eq!(world.hear(c), "MSG inbox 1 1\r\na\r\n");
}

#[test]
fn what_a_client_hears_of_other_accounts_ends_with_it() {
    let mut world = world();
    let subs = |world: &World| {
        let mut accounts = world.shard.router.accounts.iter();
        let p = accounts.find(|(_, account)| account.name == "P");
        p.expect("configured").1.subs.len()
    };
    let before = subs(&world);
    let c = client(&mut world, "C");
    world.say(
        c,
        "SUB in.news.eu 1\r\nSUB > 2\r\nSUB in.> q 3\r\nSUB elsewhere 4\r\n",
    );
    assert_eq!(subs(&world), before + 3);
    world.say(c, "UNSUB 2\r\n");
    assert_eq!(subs(&world), before + 2);
    world.leave(c);
    assert_eq!(subs(&world), before);
}

#[test]
fn another_configuration_changes_what_those_who_are_there_hear() {
    let shared = options();
    let mut alone = shared.clone();
    for account in &mut alone.accounts {
        account.imports.clear();
    }
    let mut world = World::new(alone.clone());
    let (p, c) = (client(&mut world, "P"), client(&mut world, "C"));
    world.say(c, "SUB in.news.> 1\r\n");
    world.say(p, "SUB help 1\r\n");
    for (options, hears) in [(shared.clone(), true), (alone, false), (shared, true)] {
        world.input(Input::Reload(Box::new(options)));
        world.hear(c);
        world.say(p, "PUB news.x 1\r\na\r\n");
        let heard = world.hear(c);
        assert_eq!(heard == "MSG in.news.x 1 1\r\na\r\n", hears, "{heard}");
        world.say(c, "PUB help 1\r\nq\r\n");
        assert_eq!(world.hear(p).starts_with("HMSG help 1 "), hears);
    }
}

#[test]
fn streams_of_another_account_are_copied_only_where_their_messages_are_imported_too() {
    let mut options = options();
    for account in &mut options.accounts {
        let api = ImportKind::Service {
            to: Some("js.p.>".to_owned()),
            share: false,
        };
        match account.name.as_str() {
            "P" => account
                .exports
                .push(service("$JS.API.>", ResponseType::Stream)),
            _ => account.imports.push(import("P", "$JS.API.>", api)),
        }
    }
    let mut world = World::new(options);
    let router = &mut world.shard.router;
    let [p, c] = ["P", "C"].map(|name| router.accounts.find(name).expect("configured"));
    assert_eq!(router.exporter_of_api(c, "js.p", "in.news.x"), Some(p));
    assert_eq!(router.exporter_of_api(c, "js.p", "elsewhere"), None);
    assert_eq!(router.exporter_of_api(c, "help", "in.news.x"), None);
    assert_eq!(router.exporter_of_api(p, "js.p", "in.news.x"), None);
}
