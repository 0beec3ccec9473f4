//! Whose messages are kept until they were copied elsewhere: those of accounts that have a place for them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use config::options::{Memphis, Tenant, TenantLimits, User};
use protocol::id::ConnId;

use super::super::harness::World;
use super::{LOGIN, request, sdk, world_that_flushes};
use crate::effects::{Rules, WorkOp};

const S3: &str = "{\"name\":\"s3\",\"keys\":{\"access_key\":\"a\",\"secret_key\":\"s\",\
                  \"bucket_name\":\"bucket\",\"region\":\"r\"}}";

/// A broker of two tenants that writes checkpoints often.
fn world() -> World {
    let mut memphis = Memphis::default();
    memphis.tenants.push(Tenant {
        id: 2,
        name: "acme".into(),
        limits: TenantLimits::default(),
        users: Vec::from([User {
            name: "app".into(),
            password: Some("pw".into()),
            ..User::default()
        }]),
    });
    world_that_flushes(memphis)
}

/// Connects a client of the second tenant.
fn other(world: &mut World) -> ConnId {
    let id = world.accept(Rules::Memphis);
    let login = LOGIN
        .replace("root$1", "app$2")
        .replace("\"memphis\"", "\"pw\"");
    world.ask(id, &login);
    world.ask(id, "SUB in.* 2\r\n");
    id
}

/// Makes a stream of one message that wants what leaves it copied, as a NATS client does.
fn add_stream(world: &mut World, client: ConnId, name: &str) {
    let body = format!(
        "{{\"name\":\"{name}\",\"subjects\":[\"{name}\"],\"max_msgs\":1,\"storage\":\"file\",\
         \"metadata\":{{\"memphis.tiered_storage_enabled\":\"true\"}}}}"
    );
    let made = request(
        world,
        client,
        &format!("$JS.API.STREAM.CREATE.{name}"),
        &body,
    );
    assert!(made.contains("\"did_create\":true"), "{made}");
}

/// Returns how many messages each stream keeps that have left it, by its name.
fn parked(world: &World) -> Vec<(String, usize)> {
    let streams = world.shard.jetstream().expect("JetStream is on").streams();
    let parked = streams.map(|stream| {
        let count = stream.core.index.parked_count();
        (stream.core.name().into(), count)
    });
    parked.collect()
}

fn integrate(world: &mut World, client: ConnId) {
    let made = request(
        world,
        client,
        "$memphis_api.integrations.createIntegration",
        S3,
    );
    assert!(made.contains("\"status\":200"), "{made}");
}

#[test]
fn a_stream_of_an_account_without_a_place_keeps_nothing_and_none_of_it_goes_to_anothers() {
    let mut world = world();
    let (a, b) = (sdk(&mut world), other(&mut world));
    for (client, name) in [(a, "ours"), (b, "theirs")] {
        add_stream(&mut world, client, name);
    }
    let publish_three = |world: &mut World| {
        for (client, name) in [(a, "ours"), (b, "theirs")] {
            for _ in 0..3 {
                request(world, client, name, "x");
            }
        }
    };
    publish_three(&mut world);
    assert!(parked(&world).iter().all(|(_, count)| *count == 0));
    integrate(&mut world, a);
    publish_three(&mut world);
    let expected = [("ours", 3), ("theirs", 0)];
    let expected = expected.map(|(name, count)| (String::from(name), count));
    assert_eq!(parked(&world), expected);
    world.wait(Duration::from_secs(20));
    let mut keys = Vec::new();
    for op in core::mem::take(&mut world.work) {
        if let WorkOp::Upload(upload) = op {
            keys.push(upload.key);
        }
    }
    let [key] = keys.as_slice() else {
        panic!("one object, which nobody has confirmed: {keys:?}");
    };
    assert!(key.starts_with("memphis/global/ours/"), "{key}");
}

#[test]
fn a_place_that_a_checkpoint_says_keeps_what_leaves_after_a_restart() {
    let mut world = world();
    let a = sdk(&mut world);
    add_stream(&mut world, a, "ours");
    integrate(&mut world, a);
    let body = "x".repeat(8 << 10);
    for _ in 0..100 {
        request(&mut world, a, "ours", &body);
        world.wait(Duration::from_secs(1));
        world.settle();
    }
    let before = parked(&world);
    assert_eq!(before, [(String::from("ours"), 99)]);
    world.restart();
    assert_eq!(parked(&world), before);
    let a = sdk(&mut world);
    request(&mut world, a, "ours", "x");
    assert_eq!(parked(&world), [(String::from("ours"), 100)]);
}
