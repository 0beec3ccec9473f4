//! System logs.

use alloc::format;
use alloc::string::String;

use protocol::time::Wall;
use serde_json::{Value, json};

use super::world::{ACCOUNT, World};
use crate::logs::Severity;
use crate::machine::{Asker, Request, WEB_USER};
use crate::manage::{Call, CallId};
use protocol::id::AccountId;

/// A tenant that does not run the server.
const OTHER: AccountId = AccountId(4);
const LOGS: &str = "monitoring/getSystemLogs";

impl World {
    /// Somebody publishes a line in the account.
    fn publish_line(&mut self, account: AccountId, user: &str, subject: &str, text: &str) {
        let request = Request {
            subject: subject.as_bytes(),
            body: text.as_bytes(),
            asker: Asker { user, lang: "" },
            ..Request::default()
        };
        self.memphis.request(account, &request, &mut self.host);
    }

    /// Returns what root of the account is shown by a route of logs.
    fn log_of(&mut self, account: AccountId, route: &str, asked: &Value) -> Value {
        let body = format!("{asked}");
        let call = Call {
            route,
            user: "root",
            body: body.as_bytes(),
        };
        self.memphis
            .manage(account, CallId(1), call, &mut self.host);
        let (_, answer) = self.host.managed.pop().expect("an answer");
        assert_eq!(answer.status, 200);
        answer.body
    }

    /// Returns the texts that root of the account is shown.
    fn texts_of(&mut self, account: AccountId, asked: &Value) -> String {
        let shown = self.log_of(account, LOGS, asked);
        let lines = shown["logs"].as_array().expect("a list").iter();
        let texts = lines.map(|line| line["data"].as_str().unwrap_or_default());
        texts.collect::<alloc::vec::Vec<&str>>().join(" ")
    }
}

fn world() -> World {
    let mut world = World::new();
    let of_process = [Severity::Info, Severity::Warn, Severity::Error];
    for (severity, text) in of_process.into_iter().zip(["one", "two", "three"]) {
        world.memphis.logged(None, severity, text, Wall(0));
    }
    world
        .memphis
        .logged(Some(OTHER), Severity::Warn, "theirs", Wall(0));
    world
}

#[test]
fn a_tenant_sees_no_line_of_the_process_or_of_another() {
    let mut world = world();
    assert_eq!(world.texts_of(ACCOUNT, &json!({})), "one two three theirs");
    assert_eq!(world.texts_of(OTHER, &json!({})), "theirs");
    let third = AccountId(5);
    assert_eq!(world.texts_of(third, &json!({})), "");
    let file = "monitoring/downloadSystemLogs";
    let text = "0001-01-01T00:00:00Z [warn] theirs\n";
    assert_eq!(world.log_of(OTHER, file, &json!({})), json!({"text": text}));
    // Lines of a tenant's gateway are its own, even for those who run the server.
    world.publish_line(OTHER, "root", "$memphis_syslogs.gw.extern.info", "up");
    assert_eq!(world.texts_of(OTHER, &json!({})), "theirs up");
    assert_eq!(world.texts_of(ACCOUNT, &json!({"log_source": "gw"})), "");
}

#[test]
fn lines_are_shown_by_kind_by_source_and_from_a_number_on() {
    let mut world = world();
    let subject = "$memphis_syslogs.rest-gateway.extern.err";
    world.publish_line(ACCOUNT, "$$memphis", subject, "four\n");
    for (asked, texts) in [
        (json!({"log_type": "err"}), "three four"),
        (json!({"log_type": "warn", "start_index": -1}), "two theirs"),
        (json!({"log_source": "rest-gateway"}), "four"),
        (json!({"log_type": "err", "log_source": "broker"}), "three"),
        (json!({"start_index": 4}), "theirs four"),
    ] {
        assert_eq!(world.texts_of(ACCOUNT, &asked), texts, "{asked}");
    }
    let filters = json!({"route": "syslogs"});
    let filters = world.manage("usermgmt/getFilterDetails", &filters);
    let expected = json!({"type": ["info", "warn", "err"], "source": ["broker", "rest-gateway"]});
    assert_eq!(filters, expected);
}

#[test]
fn only_root_and_gateways_write_lines_and_never_as_the_broker() {
    let mut world = World::new();
    for (user, subject) in [
        ("app", "$memphis_syslogs.rest-gateway.extern.info"),
        ("", "$memphis_syslogs.rest-gateway.extern.info"),
        ("root", "$memphis_syslogs.broker.extern.info"),
        ("root", "$memphis_syslogs.rest-gateway.extern.fatal"),
        ("root", "$memphis_syslogs.rest-gateway.extern"),
        ("root", "$memphis_syslogs.rest-gateway.extern.info.x"),
    ] {
        world.publish_line(ACCOUNT, user, subject, "x");
        assert_eq!(world.texts_of(ACCOUNT, &json!({})), "", "{user} {subject}");
    }
}

#[test]
fn lines_and_what_is_kept_of_them_are_bounded() {
    let mut world = World::new();
    let long = "é".repeat(5000);
    for n in 0..1100 {
        let text = format!("{n}{long}");
        world.memphis.logged(None, Severity::Info, &text, Wall(0));
    }
    let shown = world.log_of(ACCOUNT, LOGS, &json!({"start_index": 0}));
    let lines = shown["logs"].as_array().expect("a list");
    assert_eq!(lines.len(), 100);
    assert_eq!(lines[0]["message_seq"], 101);
    let text = lines[0]["data"].as_str().expect("a text");
    assert!(text.len() <= 4096, "{}", text.len());
}

#[test]
fn system_logs_are_pushed_to_pages_of_their_own_tenant() {
    let mut world = world();
    let topic = "syslogs_data.warn.broker";
    let told = world.ask_as(WEB_USER, &format!("$memphis_ws_subs.{topic}"), &Value::Null);
    assert_eq!(told, r#"{"name":"memphis-0"}"#);
    let pushed = format!("$memphis_ws_pubs.{topic}.memphis-0");
    world.host.listened.push(pushed.clone());
    world.pass(core::time::Duration::from_secs(5));
    world.memphis.handle_timeout(&mut world.host);
    world.run();
    let page = world.take_published(&pushed).pop().expect("pushed");
    let page: Value = serde_json::from_str(&page.body).expect("JSON");
    let asked = json!({"log_type": "warn", "log_source": "broker"});
    assert_eq!(page, world.manage(LOGS, &asked));
    assert_eq!(page["logs"].as_array().map(alloc::vec::Vec::len), Some(2));
}
