//! How users and accounts of operator mode are shown to people: by their names beside their keys.

use alloc::string::String;

use identity::claims::Standard;
use monitor::stats::Process;
use serde_json::{Value, json};

use super::signed::{NOW, account, free, log_in, name, user_token, user_token_for, world};

/// Returns a monitoring document.
fn document(world: &super::harness::World, path: &str, query: &str) -> Value {
    let source = world.shard.monitoring(world.now, Process::default());
    let response = monitor::http::respond(&source, path, query);
    serde_json::from_slice(&response.body).expect("a document")
}

#[test]
fn a_user_is_told_its_names_and_how_long_it_may_stay() {
    let mut world = world(json!({}));
    let standard = Standard {
        exp: NOW + 60,
        ..Standard::default()
    };
    let token = user_token_for(standard, &account(2), free());
    let (id, _) = log_in(&mut world, &token);
    let heard = world.ask(id, "SUB in 1\r\nPUB $SYS.REQ.USER.INFO in 0\r\n\r\n");
    let body = heard.split("\r\n").find(|line| line.starts_with('{'));
    let answer: Value = serde_json::from_str(body.expect("an answer")).expect("JSON");
    assert_eq!(answer["data"]["account"], name(&account(2)));
    assert_eq!(answer["data"]["account_name"], "acme");
    assert_eq!(answer["data"]["user_name"], "bob");
    assert_eq!(answer["data"]["expires"], 60_000_000_000_u64);
}

#[test]
fn monitoring_shows_who_signed_what() {
    let mut world = world(json!({}));
    let mut claims = free();
    claims["tags"] = json!(["blue"]);
    let token = user_token(&account(2), claims);
    log_in(&mut world, &token);
    let conn = &document(&world, "/connz", "auth=1")["connections"][0];
    assert_eq!(conn["jwt"], token);
    assert_eq!(conn["issuer_key"], name(&account(2)));
    assert_eq!(conn["name_tag"], "acme");
    assert_eq!(conn["tags"], json!(["blue"]));
    let conn = &document(&world, "/connz", "")["connections"][0];
    assert_eq!((&conn["jwt"], &conn["tags"]), (&Value::Null, &Value::Null));
    let query = String::from("acc=") + &name(&account(2));
    let shown = &document(&world, "/accountz", &query)["account_detail"];
    assert_eq!(shown["name_tag"], "acme");
    assert_eq!(shown["decoded_jwt"]["sub"], name(&account(2)));
    let stats = &document(&world, "/accstatz", "")["account_statz"][0];
    assert_eq!(
        (&stats["acc"], &stats["name"]),
        (&json!(name(&account(2))), &json!("acme"))
    );
}
