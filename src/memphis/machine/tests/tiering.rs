//! What has left stations goes to an object store, and is let go only then.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::{Value, json};

use super::world::{World, station, with};
use crate::dispatch::STATION_CREATIONS;
use crate::machine::{Parked, Upload};

const INTERVAL: Duration = Duration::from_secs(8);

fn keys() -> Value {
    json!({
        "access_key": "AK", "secret_key": "very-secret", "bucket_name": "logs",
        "region": "eu-west-1", "url": "http://127.0.0.1:9001", "s3_path_style": "true",
    })
}

fn s3(keys: &Value) -> Value {
    json!({"name": "s3", "keys": keys})
}

/// A broker with a place for objects.
fn world() -> World {
    let mut world = World::new();
    world.manage("integrations/createIntegration", &s3(&keys()));
    world
}

/// Lets so much time pass; returns the objects that were made.
fn after(world: &mut World, time: Duration) -> Vec<Upload> {
    world.pass(time);
    world.memphis.handle_timeout(&mut world.host);
    core::mem::take(&mut world.host.uploads)
}

fn end(world: &mut World, upload: &Upload, result: Result<(), &str>) {
    let result = result.map_err(String::from);
    world.memphis.uploaded(upload.id, result, &mut world.host);
}

fn seqs(released: &[(String, u64)]) -> Vec<u64> {
    released.iter().map(|(_, seq)| *seq).collect()
}

#[test]
fn the_streams_of_a_station_say_that_it_wants_tiered_storage() {
    let mut world = World::new();
    let asked = with(station("t", 2), "tiered_storage_enabled", true);
    world.ask_ok(STATION_CREATIONS, &asked);
    world.ask_ok(STATION_CREATIONS, &station("plain", 1));
    let metadata = |stream: &str| world.host.streams[stream].config["metadata"].clone();
    let says = json!({"memphis.tiered_storage_enabled": "true"});
    assert_eq!(metadata("t$1"), says);
    assert_eq!(metadata("t$2"), says);
    assert_eq!(metadata("plain$1"), Value::Null);
}

#[test]
fn what_has_left_goes_out_in_one_object_for_each_station() {
    let mut world = world();
    world.park("a#b$1", 3);
    world.park("a#b$2", 1);
    assert!(after(&mut world, INTERVAL / 2).is_empty(), "not yet");
    let uploads = after(&mut world, INTERVAL);
    let [upload] = uploads.as_slice() else {
        panic!("one object: {uploads:?}");
    };
    assert_eq!(upload.key, "memphis/global/a.b/u1(2).json");
    assert_eq!(upload.bucket.secret_key, "very-secret");
    assert!(upload.bucket.is_path_style);
    let body: Value = serde_json::from_str(&upload.body).unwrap();
    let message = |payload: &str| json!({"payload": payload, "headers": {"my-key": "V"}});
    assert_eq!(body, json!([message("6d33"), message("6d31")]));
    assert!(world.let_go().is_empty(), "it is not confirmed yet");
    assert!(after(&mut world, INTERVAL).is_empty(), "it is under way");
    end(&mut world, upload, Ok(()));
    assert_eq!(seqs(&world.let_go()), [3, 1]);
    assert!(after(&mut world, INTERVAL).is_empty(), "nothing is left");
}

#[test]
fn what_is_let_go_is_not_sent_again_before_the_log_says_so() {
    let mut world = world();
    world.park("a$1", 1);
    let first = after(&mut world, INTERVAL).remove(0);
    world.park("a$1", 2);
    end(&mut world, &first, Ok(()));
    let second = world.host.uploads.pop();
    assert!(second.is_none(), "the station has had its turn");
    let second = after(&mut world, INTERVAL).remove(0);
    assert_eq!(second.key, "memphis/global/a/u2(1).json");
    assert!(second.body.contains("6d32"), "{}", second.body);
}

#[test]
fn stations_take_turns_and_a_large_backlog_goes_out_at_once() {
    let mut world = world();
    for seq in 1..=5001 {
        world.park("a$1", seq);
    }
    world.park("b$1", 1);
    let mut keys = Vec::new();
    let mut uploads = after(&mut world, INTERVAL);
    for _ in 0..3 {
        let upload = uploads.pop().expect("an object");
        end(&mut world, &upload, Ok(()));
        world.let_go();
        keys.push(upload.key);
        uploads = core::mem::take(&mut world.host.uploads);
        if uploads.is_empty() {
            uploads = after(&mut world, Duration::from_millis(50));
        }
    }
    let expected = ["a/u1(5000)", "b/u2(1)", "a/u3(1)"];
    assert_eq!(
        keys,
        expected.map(|key| format!("memphis/global/{key}.json"))
    );
    assert!(uploads.is_empty() && world.host.parked.is_empty());
}

#[test]
fn a_store_that_is_away_is_tried_again_with_longer_and_longer_pauses() {
    let mut world = world();
    world.park("a$1", 1);
    let mut upload = after(&mut world, INTERVAL).remove(0);
    for pause in [16, 32, 64, 128, 256, 300, 300] {
        end(&mut world, &upload, Err("503 Slow Down"));
        let warned = world.host.warnings.pop().expect("operators are told");
        assert!(warned.contains("503 Slow Down"), "{warned}");
        assert!(world.let_go().is_empty(), "it is kept");
        let pause = Duration::from_secs(pause);
        let early = after(&mut world, pause - Duration::from_millis(1));
        assert!(early.is_empty(), "before {pause:?}");
        upload = after(&mut world, Duration::from_millis(1)).remove(0);
    }
    end(&mut world, &upload, Ok(()));
    assert_eq!(seqs(&world.let_go()), [1]);
}

#[test]
fn a_message_that_the_disk_has_to_be_asked_for_comes_a_little_later() {
    let mut world = world();
    world.park("a$1", 1);
    world.park("a$1", 2);
    world.host.parked.insert(("a$1".into(), 1), Parked::Later);
    assert!(after(&mut world, INTERVAL).is_empty());
    let upload = after(&mut world, Duration::from_millis(50)).remove(0);
    assert!(upload.key.ends_with("(2).json"), "{}", upload.key);
}

#[test]
fn a_message_that_is_lost_does_not_keep_the_others_back() {
    let mut world = world();
    world.park("a$1", 1);
    world.park("a$1", 2);
    world.host.parked.insert(("a$1".into(), 1), Parked::Lost);
    let upload = after(&mut world, INTERVAL).remove(0);
    assert!(upload.key.ends_with("(1).json"), "{}", upload.key);
    assert_eq!(seqs(&world.let_go()), [1]);
    assert_eq!(world.host.warnings.len(), 1);
}

#[test]
fn without_an_integration_nothing_waits() {
    let mut world = World::new();
    world.park("a$1", 1);
    assert!(after(&mut world, INTERVAL).is_empty());
    assert_eq!(seqs(&world.let_go()), [1]);
}

#[test]
fn after_a_crash_what_was_not_confirmed_goes_out_again() {
    let mut world = world();
    world.park("a$1", 1);
    let lost = after(&mut world, INTERVAL).remove(0);
    world.crash();
    end(&mut world, &lost, Ok(()));
    assert!(world.let_go().is_empty(), "nobody waits for that one");
    let again = after(&mut world, INTERVAL).remove(0);
    assert_eq!(again.body, lost.body);
}

#[test]
fn operators_are_told_once_of_what_was_given_up() {
    let mut world = world();
    world.park("a$1", 1);
    world.host.surplus = 4;
    let upload = after(&mut world, INTERVAL).remove(0);
    end(&mut world, &upload, Err("away"));
    after(&mut world, INTERVAL * 2);
    let told = world.host.warnings.iter();
    let told: Vec<&String> = told.filter(|text| text.contains("given up")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("4 messages of stream a$1"), "{told:?}");
}

#[test]
fn keys_are_checked_and_the_secret_is_never_shown() {
    let mut world = World::new();
    for (key, value, text) in [
        (
            "access_key",
            json!(""),
            "Must provide access key for S3 integration",
        ),
        (
            "secret_key",
            json!(""),
            "Must provide secret key for S3 integration",
        ),
        (
            "bucket_name",
            json!(""),
            "Must provide bucket name for S3 integration",
        ),
        (
            "bucket_name",
            json!("a/b"),
            "the bucket name is not one of S3",
        ),
        (
            "region",
            json!(""),
            "Must provide region for S3 integration",
        ),
        ("access_key", json!("a\r\nb"), "keys are single words"),
        (
            "url",
            json!("ftp://x"),
            "the url must begin with http:// or https:// and name nothing but a server",
        ),
    ] {
        let asked = s3(&with(keys(), key, value));
        let (status, body) = world.call("root", "integrations/createIntegration", &asked);
        assert_eq!((status, body["message"].as_str()), (406, Some(text)));
    }
    let shown = world.manage("integrations/createIntegration", &s3(&keys()));
    assert_eq!(shown["keys"]["secret_key"], "****");
    assert_eq!(shown["keys"]["access_key"], "AK");
    let again = s3(&with(shown["keys"].clone(), "bucket_name", "other"));
    world.manage("integrations/updateIntegration", &again);
    let kept = &world.rows().integrations["s3"];
    assert_eq!(kept.keys["secret_key"], "very-secret");
    assert_eq!(kept.keys["bucket_name"], "other");
    let all = world
        .manage("integrations/getAllIntegrations", &json!({}))
        .to_string();
    assert!(!all.contains("very-secret"), "{all}");
    world.manage("integrations/disconnectIntegration", &json!({"name": "s3"}));
    let details = world.manage("integrations/getIntegrationDetails", &json!({"name": "s3"}));
    assert_eq!(details, json!({}));
}
