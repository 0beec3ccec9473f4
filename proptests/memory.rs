//! What the shard holds in memory when more is sent than it can store: row "memory cap" of the
//! fault matrix. Whoever publishes is paused or refused; nothing grows with what was sent.

use broker::ConnId;
use bytes::BytesMut;

use crate::costs::{World, held};

const MIB: usize = 1 << 20;

/// As much as a socket gives at once.
fn messages(subject: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..16 {
        out.extend_from_slice(format!("PUB {subject} _INBOX.c.p 4000\r\n").as_bytes());
        out.extend_from_slice(&[b'x'; 4000]);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn publishers(world: &mut World, count: usize) -> Vec<(ConnId, BytesMut)> {
    let mut publisher = |_| {
        let conn = world.connect();
        let mut rest = BytesMut::from("CONNECT {\"verbose\":false}\r\n");
        world.read(conn, &mut rest);
        (conn, rest)
    };
    (0..count).map(&mut publisher).collect()
}

/// A flood of 400 MiB meets a disk that answers nothing: what it may keep of that is bounded, and
/// all of it is stored once the disk goes on.
#[test]
fn memory_cap_of_a_disk_that_stands_still() {
    let mut world = World::with(|_| {});
    let mut publishers = publishers(&mut world, 16);
    let flood = messages("s.a");
    world.is_stuck = true;
    let before = held();
    let (mut most, mut sent) = (0, 0u64);
    for _ in 0..400 {
        for (conn, rest) in &mut publishers {
            if world.paused.contains(conn) {
                continue;
            }
            rest.extend_from_slice(&flood);
            world.read(*conn, rest);
            sent += 16;
            most = most.max(held().saturating_sub(before));
        }
    }
    assert_eq!(world.paused.len(), 16, "all of them wait");
    let taken = usize::try_from(sent).unwrap() * 4000;
    assert!((30 * MIB..40 * MIB).contains(&taken), "{taken} bytes taken");
    assert!(most < 96 * MIB, "{most} bytes held for {taken}");

    world.is_stuck = false;
    world.settle();
    assert!(world.paused.is_empty(), "they may go on");
    world.api("STREAM.INFO.S", "");
    let heard = String::from_utf8_lossy(&world.heard);
    assert!(heard.contains(&format!("\"messages\":{sent}")), "{heard}");
}

/// Streams in memory take what `max_memory_store` says, and then refuse, at once; a purge makes room.
#[test]
fn memory_cap_of_streams_in_memory() {
    let mut world = World::with(|config| config.jetstream.memory_max = Some(8 << 20));
    let config = "{\"name\":\"M\",\"subjects\":[\"m.*\"],\"storage\":\"memory\"}";
    world.api("STREAM.CREATE.M", config);
    let flood = messages("m.a");
    let before = held();
    let mut refused = 0;
    for _ in 0..400 {
        world.heard.clear();
        world.say(&flood);
        let answers = String::from_utf8_lossy(&world.heard);
        let answers: Vec<&str> = answers
            .lines()
            .filter(|line| line.starts_with('{'))
            .collect();
        assert_eq!(answers.len(), 16, "each is answered");
        refused += answers
            .iter()
            .filter(|answer| answer.contains("\"err_code\":"))
            .count();
    }
    assert!(refused > 4000, "{refused} of 6400 refused");
    let most = held().saturating_sub(before);
    assert!(most < 16 * MIB, "{most} bytes held");
    // Others go on meanwhile.
    let is_stored = |world: &mut World, subject: &str| {
        world.heard.clear();
        world.say(&messages(subject));
        let answers = String::from_utf8_lossy(&world.heard);
        !answers.contains("\"error\"") && answers.contains("\"seq\":")
    };
    assert!(is_stored(&mut world, "s.a"));
    assert!(!is_stored(&mut world, "m.a"));
    world.api("STREAM.PURGE.M", "");
    assert!(is_stored(&mut world, "m.a"));
}
