//! Tiered storage whichever step the power goes at, with a store outside that fails: each message
//! that retention let go is in an object in the end, and none is that did not leave its station.

use core::time::Duration;
use std::collections::BTreeMap;

use broker::{Input, Upload, WorkDone, WorkOp};
use protocol::rng::Rng;

use super::{Dark, Server, at_every_operation, is_lie_noticed, lives};

const STATION: &str = "{\"name\":\"plain.a\",\"partitions_number\":1,\"username\":\"root\",\
                       \"retention_type\":\"messages\",\"retention_value\":2,\"tiered_storage_enabled\":true}";
const S3: &str = "{\"name\":\"s3\",\"keys\":{\"access_key\":\"a\",\"secret_key\":\"s\",\
                  \"bucket_name\":\"bucket\",\"region\":\"r\"}}";
/// How many messages are published; all but two leave.
const MESSAGES: u64 = 6;
const LEFT: u64 = MESSAGES - 2;
/// How often a store is looked at before everything must be there.
const LOOKS_MAX: u32 = 100;
const LOOK: Duration = Duration::from_secs(8);

/// What has happened so far.
struct Seen {
    stored: u64,
    /// How often each message is in an object, by its number.
    objects: BTreeMap<u64, u64>,
    rng: Rng,
}

impl Seen {
    fn new(seed: u64) -> Self {
        Self {
            stored: 0,
            objects: BTreeMap::new(),
            rng: Rng::new(seed, 77),
        }
    }

    fn is_all_there(&self) -> bool {
        (1..=LEFT).all(|n| self.objects.contains_key(&n))
    }

    /// Takes an object, or does not, and says so, or does not.
    fn take(&mut self, upload: &Upload, first_left: u64) -> Result<(), String> {
        let fate = self.rng.below(4);
        if fate == 0 {
            return Err("503 Slow Down".to_owned());
        }
        assert!(
            upload.key.starts_with("memphis/global/plain.a/"),
            "{}",
            upload.key
        );
        for n in 1..=MESSAGES {
            if upload
                .body
                .contains(&format!("\"payload\":\"{:02x}\"", u64::from(b'0') + n))
            {
                assert!(
                    n < first_left,
                    "message {n} has not left, the first is {first_left}"
                );
                *self.objects.entry(n).or_default() += 1;
            }
        }
        match fate {
            1 => Err("the answer is lost".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Does what the store outside is asked for.
fn serve(server: &mut Server, seen: &mut Seen) -> Result<(), Dark> {
    for op in core::mem::take(&mut server.work) {
        let WorkOp::Upload(upload) = op else { continue };
        let streams = server.shard.jetstream().expect("JetStream is on").streams();
        let stream = streams
            .into_iter()
            .find(|stream| stream.core.name() == "plain#a$1");
        let first = stream.map_or(u64::MAX, |stream| stream.core.index.first_seq().0);
        let result = seen.take(&upload, first);
        let done = Input::Work(WorkDone::Uploaded(upload.id, result));
        server.shard.handle(server.now, done, &mut server.fx);
        server.settle()?;
    }
    Ok(())
}

fn live(server: &mut Server, seen: &mut Seen) -> Result<(), Dark> {
    server.boot()?;
    let said = server.ask("$memphis_api.integrations.createIntegration", S3)?;
    let is_there = said.contains("already exists");
    assert!(is_there || said.contains("\"status\":200"), "{said}");
    server.ask("$memphis_station_creations", STATION)?;
    while seen.stored < MESSAGES {
        let n = seen.stored + 1;
        let said = publish(server, n)?;
        assert!(said.contains(&format!("\"seq\":{n}")), "{said}");
        seen.stored = n;
        if n == MESSAGES / 2 {
            // Some go out while others have not come.
            server.wait(LOOK)?;
            serve(server, seen)?;
        }
    }
    for _ in 0..LOOKS_MAX {
        let parked = server.shard.jetstream().expect("JetStream is on").streams();
        let parked: usize = parked.map(|stream| stream.core.index.parked_count()).sum();
        if seen.is_all_there() && parked == 0 {
            return Ok(());
        }
        assert!(parked > 0 || seen.is_all_there(), "a message is nowhere");
        server.wait(LOOK)?;
        // It is there, as the server's pings ask.
        server.say("PONG\r\n")?;
        serve(server, seen)?;
    }
    panic!("it comes to an end: {:?}", seen.objects);
}

fn publish(server: &mut Server, n: u64) -> Result<String, Dark> {
    server.publish(1, &format!("msg-id: m{n}"), &n.to_string())
}

fn run(server: &mut Server) -> bool {
    let mut seen = Seen::new(server.seed);
    let went = lives(server, |server| live(server, &mut seen));
    assert!(seen.is_all_there(), "{:?}", seen.objects);
    went
}

#[test]
fn each_message_that_left_is_in_an_object_whatever_power_and_store_do() {
    at_every_operation(1..4, 20, run);
}

#[test]
fn a_disk_that_keeps_nothing_of_what_it_syncs_is_noticed_by_what_is_in_no_object() {
    assert!(is_lie_noticed(20..60, run));
}
