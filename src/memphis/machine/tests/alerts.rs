//! What a service outside is told.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::{Value, json};

use super::world::{ACCOUNT, World, consumer, producer, station};
use crate::dispatch::{CONSUMER_CREATIONS, NOTIFICATIONS, PRODUCER_CREATIONS};
use crate::machine::{Misfit, Notice};

fn slack(properties: &Value) -> Value {
    json!({
        "name": "slack", "properties": properties,
        "keys": {"auth_token": "xoxb-123-456", "channel_id": "C1"},
    })
}

fn all() -> Value {
    json!({
        "poison_message_alert": true,
        "schema_validation_fail_alert": true,
        "disconnection_events_alert": true,
    })
}

/// Lets a beat pass; returns what was told.
fn told(world: &mut World) -> Vec<String> {
    world.run();
    world.pass(Duration::from_secs(5));
    world.memphis.handle_timeout(&mut world.host);
    let notices = core::mem::take(&mut world.host.notices);
    let text = |notice: Notice| {
        assert_eq!((&*notice.token, &*notice.channel), ("xoxb-123-456", "C1"));
        notice.text
    };
    notices.into_iter().map(text).collect()
}

#[test]
fn an_integration_is_kept_and_its_secret_not_shown() {
    let mut world = World::new();
    let (status, refused) = world.call(
        "root",
        "integrations/createIntegration",
        &json!({"name": "slack"}),
    );
    assert_eq!(status, 406, "{refused}");
    let shown = world.manage("integrations/createIntegration", &slack(&all()));
    assert_eq!(
        shown["keys"],
        json!({"auth_token": "xoxb-****", "channel_id": "C1"})
    );
    world.crash();
    assert_eq!(
        world.manage("integrations/getAllIntegrations", &json!({})),
        json!([shown])
    );
    // The secret comes back as it was shown, and stays.
    let some = json!({"name": "slack", "keys": shown["keys"], "properties": {"poison_message_alert": false}});
    let shown = world.manage("integrations/updateIntegration", &some);
    assert_eq!(shown["properties"]["poison_message_alert"], false);
    assert_eq!(shown["properties"]["disconnection_events_alert"], true);
    let kept = &world.rows().integrations["slack"];
    assert_eq!(kept.keys["auth_token"], "xoxb-123-456");
    let gone = json!({"name": "slack"});
    assert_eq!(
        world.manage("integrations/disconnectIntegration", &gone),
        json!({})
    );
    assert_eq!(
        world.manage("integrations/getAllIntegrations", &json!({})),
        json!([])
    );
}

#[test]
fn dead_letters_misfits_and_lost_clients_are_told_once() {
    let mut world = World::new();
    world.manage("stations/createStation", &station("plain", 1));
    world.manage("integrations/createIntegration", &slack(&all()));
    world.memphis.connected(ACCOUNT, "u1::root");
    world.ask(PRODUCER_CREATIONS, &producer("p", "plain"));
    world.ask(CONSUMER_CREATIONS, &consumer("c", "plain", "g"));
    world.store("plain$1", "", "x");
    world.note_death("plain$1", "g", "");
    let sdk = json!({
        "title": "Schema validation has failed", "msg": "Station: plain\nProducer: p\nError: e",
        "type": "schema_validation_fail_alert", "code": "{}",
    });
    world.tell(NOTIFICATIONS, &sdk);
    let misfit = Misfit {
        stream: "plain$1",
        reply: b"",
        headers: b"",
        payload: b"bad",
        client: "nats",
        reason: "not JSON",
    };
    world.memphis.misfit(ACCOUNT, misfit, &mut world.host);
    let texts = told(&mut world);
    let has = |part: &str| texts.iter().filter(|text| text.contains(part)).count();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert_eq!(
        (has("Consumer group: g"), has("Error: e"), has("not JSON")),
        (1, 1, 1),
        "{texts:?}"
    );
    // The connection of an SDK's first try is no loss.
    world.memphis.connected(ACCOUNT, "u1::root");
    world.memphis.disconnected(ACCOUNT, "u1::root");
    assert_eq!(told(&mut world), [""; 0]);
    world.memphis.disconnected(ACCOUNT, "u1::root");
    let texts = told(&mut world);
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(
        texts[0].contains("Producer p of station plain"),
        "{texts:?}"
    );
    assert!(
        texts[0].contains("Consumer c of station plain"),
        "{texts:?}"
    );
    assert_eq!(told(&mut world), [""; 0]);
}

#[test]
fn nobody_is_told_what_is_not_wanted_and_floods_are_counted() {
    let mut world = World::new();
    world.manage("stations/createStation", &station("plain", 1));
    let wants = |world: &mut World| {
        world.ask_json(PRODUCER_CREATIONS, &producer("p", "plain"))["send_notification"].clone()
    };
    let alert = json!({"title": "t", "type": "schema_validation_fail_alert"});
    world.tell(NOTIFICATIONS, &alert);
    assert_eq!(told(&mut world), [""; 0]);
    assert_eq!(wants(&mut world), false);
    let some = json!({"schema_validation_fail_alert": true});
    world.manage("integrations/createIntegration", &slack(&some));
    let pushed = world.take_published("$memphis_sdk_clients_updates");
    assert!(
        pushed[0]
            .body
            .contains(r#""type":"send_notification","update":true"#)
    );
    assert_eq!(wants(&mut world), true);
    world.store("plain$1", "", "x");
    world.note_death("plain$1", "g", "");
    for _ in 0..15 {
        world.tell(NOTIFICATIONS, &alert);
    }
    let texts = told(&mut world);
    assert_eq!(texts.len(), 11, "{texts:?}");
    assert_eq!(texts[10], "5 more events are not shown");
}
