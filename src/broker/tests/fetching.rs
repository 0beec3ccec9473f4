//! Accounts that are asked for when somebody of theirs comes.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use identity::claims::Standard;
use identity::encode;
use protocol::errors::CloseReason;
use serde_json::json;

use super::harness::World;
use super::signed::{
    account, account_token, free, log_in, name, operator, options, typed, user_token,
};
use crate::effects::{Input, WorkDone, WorkOp};

const REFUSED: &str = "-ERR 'Authorization Violation'\r\n";

fn world() -> World {
    let operator = name(&operator());
    World::new(options(&format!(
        "trusted_keys: [{operator}]\nresolver: URL(\"http://accounts/v1\")\n"
    )))
}

/// Returns what is asked for, and forgets it.
fn asked(world: &mut World) -> Vec<String> {
    let work = core::mem::take(&mut world.work);
    let urls = work.into_iter().filter_map(|op| match op {
        WorkOp::FetchAccount { server, key } => Some(server.url + &key),
        WorkOp::CheckPassword { .. }
        | WorkOp::Notify { .. }
        | WorkOp::Upload(_)
        | WorkOp::ChangeFiles { .. } => None,
    });
    urls.collect()
}

fn answer(world: &mut World, key: &str, token: Result<String, String>) {
    let key = key.to_string();
    world.input(Input::Work(WorkDone::AccountFetched { key, token }));
}

#[test]
fn a_user_waits_for_its_account_and_others_of_it_do_not_ask_again() {
    let mut world = world();
    let key = name(&account(2));
    let token = user_token(&account(2), free());
    let (first, heard) = log_in(&mut world, &token);
    assert_eq!(heard, "");
    let (second, _) = log_in(&mut world, &token);
    assert_eq!(asked(&mut world), [format!("http://accounts/v1/{key}")]);
    answer(&mut world, &key, Ok(account_token(&account(2), json!({}))));
    for id in [first, second] {
        let heard = world.hear(id);
        assert!(heard.starts_with("+OK\r\n"), "{heard}");
    }
    log_in(&mut world, &token);
    assert_eq!(asked(&mut world), Vec::<String>::new());
}

#[test]
fn who_is_of_an_account_that_nobody_has_is_refused_and_asked_for_again_next_time() {
    let mut world = world();
    let key = name(&account(2));
    let token = user_token(&account(2), free());
    for refusal in [
        Err("404 Not Found".to_string()),
        Ok("nonsense".to_string()),
        // Somebody else's, and one that nobody trusted has signed.
        Ok(account_token(&account(3), json!({}))),
        Ok(encode(
            Standard {
                sub: key.clone(),
                ..Standard::default()
            },
            &typed("account", json!({})),
            &account(2),
        )),
    ] {
        let (id, _) = log_in(&mut world, &token);
        assert_eq!(asked(&mut world).len(), 1);
        answer(&mut world, &key, refusal);
        assert_eq!(world.hear(id), REFUSED);
    }
}

#[test]
fn nobody_is_asked_about_what_is_no_token() {
    let mut world = world();
    let (_, heard) = log_in(&mut world, "nonsense");
    assert_eq!(heard, REFUSED);
    assert_eq!(asked(&mut world), Vec::<String>::new());
}

#[test]
fn who_waits_too_long_is_gone_when_the_answer_comes() {
    let mut world = world();
    let key = name(&account(2));
    let (id, _) = log_in(&mut world, &user_token(&account(2), free()));
    world.wait(Duration::from_secs(3));
    let reason = world.reason(id);
    assert_eq!(reason, Some(CloseReason::AuthenticationTimeout));
    answer(&mut world, &key, Ok(account_token(&account(2), json!({}))));
    assert_eq!(world.reason(id), Some(CloseReason::AuthenticationTimeout));
}

#[test]
fn what_an_account_imports_from_is_asked_for_too() {
    let mut world = world();
    let key = name(&account(2));
    log_in(&mut world, &user_token(&account(2), free()));
    asked(&mut world);
    let imports = json!({"imports": [{"name": "i", "subject": "s", "account": name(&account(3)), "type": "service"}]});
    answer(&mut world, &key, Ok(account_token(&account(2), imports)));
    let exporter = name(&account(3));
    assert_eq!(
        asked(&mut world),
        [format!("http://accounts/v1/{exporter}")]
    );
}
