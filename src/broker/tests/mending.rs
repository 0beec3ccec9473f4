//! Damaged stores: a check names what is damaged, and a repair keeps everything else.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use config::Options;
use jetstream::StreamLosses;
use protocol::id::{ConnId, StreamId};
use protocol::rng::Rng;
use storage::{Check, CheckReport, DiskOp, FileName, StoreOptions};

use super::harness::World;
use crate::streams::{Progress, Storage};

/// Small enough that some hundred messages make segments and several checkpoints.
fn options() -> StoreOptions {
    StoreOptions {
        log_file_len: 16 << 10,
        log_file_len_first: 8 << 10,
        log_reserve: 512,
        chunk_len: 2 << 10,
        recovery_read_len: 4 << 10,
        recovery_read_attempts: 3,
        flush_threshold: 16 << 10,
        checkpoint_step: 4 << 10,
        scrub_rate: 0,
        ..StoreOptions::default()
    }
}

type Files = BTreeMap<FileName, Vec<u8>>;
/// Streams by name, and their messages by sequence as the API answers them.
type Contents = BTreeMap<String, BTreeMap<u64, String>>;

const STREAMS: [&str; 3] = ["ORDERS", "EVENTS", "IDLE"];

fn world() -> World {
    let mut config = Options::default();
    config.jetstream.enabled = true;
    World::with_store(config, options())
}

/// Returns the files of a store with segments, checkpoints and some log, whose beginning has been given up, and
/// what lies in it.
fn stored() -> (Files, Contents) {
    stored_of(590)
}

/// Does the same with messages of less than so many bytes and some.
fn stored_of(len_max: usize) -> (Files, Contents) {
    let mut world = world();
    world.recover();
    let client = world.client();
    world.say(client, "SUB in 1\r\n");
    for name in STREAMS {
        let compression = if name == "EVENTS" { "s2" } else { "none" };
        let config =
            format!(r#"{{"name":"{name}","subjects":["{name}.*"],"compression":"{compression}"}}"#);
        let made = request(
            &mut world,
            client,
            &format!("$JS.API.STREAM.CREATE.{name}"),
            &config,
        );
        assert!(made.contains("did_create"), "{made}");
    }
    let durable =
        r#"{"stream_name":"IDLE","config":{"durable_name":"worker","ack_policy":"explicit"}}"#;
    let made = request(
        &mut world,
        client,
        "$JS.API.CONSUMER.CREATE.IDLE.worker",
        durable,
    );
    assert!(made.contains("worker"), "{made}");
    for number in 0..240_usize {
        let name = if number < 12 {
            "IDLE"
        } else {
            STREAMS[number % 2]
        };
        let subject = format!("{name}.{}", number % 5);
        let body = format!("{name} {number} {}", "x".repeat(number * 7 % len_max));
        let ack = request(&mut world, client, &subject, &body);
        assert!(ack.contains("\"seq\""), "{ack}");
    }
    for seq in [3, 40] {
        let body = format!("{{\"seq\":{seq}}}");
        request(
            &mut world,
            client,
            "$JS.API.STREAM.MSG.DELETE.ORDERS",
            &body,
        );
    }
    world.wait(Duration::from_secs(3));
    world.settle_disk();
    world.hear(client);
    let contents = contents(&mut world, client);
    (world.files_mut().clone(), contents)
}

fn contents(world: &mut World, client: ConnId) -> Contents {
    let mut all = Contents::new();
    for name in STREAMS {
        let messages = all.entry(name.into()).or_default();
        for seq in 1..200 {
            let body = format!("{{\"seq\":{seq}}}");
            let got = request(
                world,
                client,
                &format!("$JS.API.STREAM.MSG.GET.{name}"),
                &body,
            );
            if let Some((_, data)) = got.split_once("\"data\":") {
                messages.insert(seq, data.into());
            }
        }
    }
    all
}

/// Asks the API, and returns what comes back on the inbox.
fn request(world: &mut World, client: ConnId, subject: &str, body: &str) -> String {
    let len = body.len();
    world.say(client, &format!("PUB {subject} in {len}\r\n{body}\r\n"));
    world.settle_disk();
    let heard = world.hear(client);
    String::from(heard.split("\r\n").nth(1).unwrap_or_default())
}

fn check(world: &mut World) -> CheckReport {
    let mut check = Check::new(options());
    let mut ops: Vec<DiskOp> = Vec::new();
    check.start(&mut ops);
    while let Some(op) = ops.pop() {
        check.handle(world.run(op), &mut ops);
    }
    check.outcome().unwrap().unwrap().clone()
}

/// What a check and a repair have said.
struct Said {
    report: CheckReport,
    losses: Vec<StreamLosses>,
    without: Vec<String>,
}

impl Said {
    fn has_hole(&self) -> bool {
        let mut files = self
            .report
            .findings
            .iter()
            .map(|finding| finding.damage.file);
        files.any(is_log)
    }

    /// Whether the loss of a message has been told.
    fn names(&self, stream: &str, seq: u64) -> bool {
        let loss = self.losses.iter().find(|loss| loss.name == stream);
        let rows = loss.map(|loss| loss.damaged.iter().chain(&loss.missing));
        let told = rows.is_some_and(|mut rows| rows.any(|(a, b)| (a.0..=b.0).contains(&seq)));
        // Where nothing of a stream is left it has no name.
        let gone = loss.is_none() && !self.report.findings.is_empty();
        told || gone || self.without.iter().any(|text| text.contains(stream))
    }
}

/// Checks and repairs damaged files, and starts a server on what that leaves.
fn mend(files: Files) -> (World, Said) {
    let mut world = world();
    *world.files_mut() = files;
    let report = check(&mut world);
    world.start_mending();
    assert_eq!(world.shard.mending(), Some(&Progress::Opened), "{report:?}");
    let said = Said {
        losses: world.shard.losses(&report.places()),
        without: world.shard.without().to_vec(),
        report,
    };
    world.shard.mend(said.report.places());
    world.input(crate::effects::Input::Settle);
    for _ in 0..3 {
        world.settle_disk();
        world.wait(Duration::from_secs(1));
    }
    assert_eq!(
        world.shard.mending(),
        Some(&Progress::Mended),
        "{:?}",
        said.report
    );
    let after = check(&mut world);
    assert_eq!(after.findings, [], "after {:?}", said.report);
    world.restart();
    let storage = world.shard.storage().map(|view| view.storage);
    assert_eq!(storage, Some(Storage::Live), "{:?}", said.report);
    (world, said)
}

/// Repairs, and sees that nothing is gone that was not told; returns what was said.
fn mend_and_compare(files: Files, before: &Contents, what: &str) -> Said {
    let (mut world, said) = mend(files);
    let client = world.client();
    world.say(client, "SUB in 1\r\n");
    let after = contents(&mut world, client);
    for (stream, messages) in before {
        for (seq, body) in messages {
            match after[stream].get(seq) {
                Some(found) => assert_eq!(found, body, "{what}: {stream} {seq}"),
                None => assert!(
                    said.names(stream, *seq),
                    "{what}: {stream} {seq} is gone: {:?}",
                    said.report
                ),
            }
        }
        // A removal that lay in a hole of the log is lost with it.
        if !said.has_hole() {
            let back = after[stream].keys().find(|seq| !messages.contains_key(seq));
            assert_eq!(back, None, "{what}: {stream}");
        }
    }
    said
}

/// Returns the files and where `text` lies in one of them.
fn find(files: &Files, wanted: impl Fn(FileName) -> bool, text: &str) -> (FileName, usize) {
    let found = files
        .iter()
        .filter(|(name, _)| wanted(**name))
        .find_map(|(name, bytes)| {
            let at = bytes
                .windows(text.len())
                .position(|part| part == text.as_bytes())?;
            Some((*name, at))
        });
    found.expect("it is stored")
}

fn is_log(name: FileName) -> bool {
    matches!(name, FileName::Log(_))
}

fn is_segment(name: FileName) -> bool {
    matches!(name, FileName::Segment { .. })
}

fn is_checkpoint(name: FileName) -> bool {
    matches!(name, FileName::Checkpoint(_))
}

#[test]
fn a_repair_of_an_undamaged_store_changes_nothing_that_can_be_seen() {
    let (files, before) = stored();
    let kinds = |wanted: fn(FileName) -> bool| files.keys().any(|name| wanted(*name));
    assert!(
        kinds(is_segment) && kinds(is_checkpoint),
        "{:?}",
        files.keys()
    );
    let said = mend_and_compare(files, &before, "whole");
    assert_eq!((said.report.findings.len(), said.without.len()), (0, 0));
    assert!(
        said.losses
            .iter()
            .all(|loss| loss.damaged.is_empty() && loss.missing.is_empty())
    );
}

#[test]
fn a_rotten_message_of_a_segment_is_the_only_one_given_up_and_stream_info_tells_it() {
    let (mut files, before) = stored();
    let (file, at) = find(&files, is_segment, "ORDERS 24 ");
    files.get_mut(&file).unwrap()[at] ^= 4;
    let (mut world, said) = mend(files);
    let orders = said
        .losses
        .iter()
        .find(|loss| loss.name == "ORDERS")
        .unwrap();
    let [(first, last)] = orders.damaged.as_slice() else {
        panic!("{orders:?}");
    };
    assert_eq!(first, last);
    let client = world.client();
    world.say(client, "SUB in 1\r\n");
    let info = request(&mut world, client, "$JS.API.STREAM.INFO.ORDERS", "");
    assert!(
        info.contains(&format!("\"lost\":{{\"msgs\":[{}]", first.0)),
        "{info}"
    );
    let mut expected = before;
    expected.get_mut("ORDERS").unwrap().remove(&first.0);
    assert_eq!(contents(&mut world, client), expected);
}

#[test]
fn a_hole_in_the_log_is_closed_and_the_streams_go_on_behind_it() {
    let (mut files, before) = stored();
    let (file, at) = find(&files, is_log, "ORDERS 236 ");
    files.get_mut(&file).unwrap()[at] ^= 4;
    let (file, _) = find(&files, is_log, "EVENTS 237 ");
    let said = mend_and_compare(files, &before, "hole");
    assert!(
        said.report.findings.iter().any(|f| f.damage.file == file),
        "{:?}",
        said.report
    );
}

#[test]
fn a_segment_that_the_older_checkpoint_does_not_know_may_be_written_anew_under_its_number() {
    let (mut files, before) = stored_of(290);
    let newest = *files.keys().rfind(|name| is_checkpoint(**name)).unwrap();
    files.get_mut(&newest).unwrap()[2374] ^= 3;
    let gone = |name: &FileName| matches!(name, FileName::Segment { stream, .. } if *stream == StreamId(3));
    let segment = *files.keys().find(|name| gone(name)).unwrap();
    files.remove(&segment);
    let said = mend_and_compare(files, &before, "gone");
    assert!(said.report.findings.len() > 1, "{:?}", said.report);
}

#[test]
fn a_stream_whose_consumers_are_lost_keeps_its_messages() {
    let (mut files, before) = stored();
    rot_sections(&mut files, "worker");
    let (mut world, said) = mend(files);
    let told = ["stream IDLE: its consumers are lost"];
    assert_eq!(said.without, told);
    let client = world.client();
    world.say(client, "SUB in 1\r\n");
    assert_eq!(contents(&mut world, client), before);
}

#[test]
fn one_of_two_copies_is_enough() {
    let (files, before) = stored();
    // The configuration stands in the state, too.
    for (text, copies) in [("worker", 2), ("\"name\":\"IDLE\"", 4)] {
        for nth in 0..2 {
            let mut files = files.clone();
            rot_sections_but(&mut files, text, |at, all| at * copies / all % 2 != nth);
            let (mut world, said) = mend(files);
            assert!(said.without.is_empty(), "{text} {nth}: {:?}", said.without);
            assert!(!said.report.findings.is_empty(), "{text} {nth}");
            let client = world.client();
            world.say(client, "SUB in 1\r\n");
            assert_eq!(contents(&mut world, client), before, "{text} {nth}");
        }
    }
}

#[test]
fn a_stream_that_is_closed_stops_no_other_and_a_repair_has_its_messages() {
    let (mut files, before) = stored();
    rot_sections(&mut files, "worker");
    let mut world = world();
    *world.files_mut() = files;
    for start in 0..2 {
        if start == 0 {
            world.recover();
        } else {
            world.restart();
        }
        let client = world.client();
        world.say(client, "SUB in 1\r\n");
        let info = request(&mut world, client, "$JS.API.STREAM.INFO.IDLE", "");
        assert!(info.contains("10008"), "{start}: {info}");
        let refused = request(&mut world, client, "IDLE.1", "no");
        assert!(refused.contains("10008"), "{start}: {refused}");
        for number in 0..60 {
            let body = format!("{number} {}", "y".repeat(200));
            let ack = request(&mut world, client, "EVENTS.new", &body);
            assert!(ack.contains("\"seq\""), "{start}: {ack}");
        }
        world.wait(Duration::from_secs(2));
        world.settle_disk();
    }
    let files = world.files_mut().clone();
    let (mut world, said) = mend(files);
    let told = said.without.join(" ");
    assert!(told.contains("IDLE"), "{told}");
    let client = world.client();
    world.say(client, "SUB in 1\r\n");
    assert_eq!(contents(&mut world, client)["IDLE"], before["IDLE"]);
}

#[test]
fn a_configuration_of_which_both_copies_are_lost_is_had_from_the_state() {
    let (mut files, before) = stored();
    rot_sections_but(&mut files, "\"name\":\"IDLE\"", |at, all| at * 2 / all == 1);
    let (mut world, said) = mend(files);
    assert!(said.without.is_empty(), "{:?}", said.without);
    assert!(!said.report.findings.is_empty());
    let client = world.client();
    world.say(client, "SUB in 1\r\n");
    assert_eq!(contents(&mut world, client), before);
}

#[test]
fn a_stream_whose_configuration_is_lost_keeps_its_messages_under_another_name() {
    let (mut files, before) = stored();
    rot_sections(&mut files, "\"name\":\"IDLE\"");
    let (mut world, said) = mend(files);
    assert!(
        said.without.iter().any(|text| text.contains("RECOVERED_3")),
        "{:?}",
        said.without
    );
    let client = world.client();
    world.say(client, "SUB in 1\r\n");
    for (seq, body) in &before["IDLE"] {
        let subject = "$JS.API.STREAM.MSG.GET.RECOVERED_3";
        let got = request(&mut world, client, subject, &format!("{{\"seq\":{seq}}}"));
        assert!(got.ends_with(body), "{got}");
    }
    let mut rest = before;
    rest.insert("IDLE".into(), BTreeMap::new());
    assert_eq!(contents(&mut world, client), rest);
}

/// Returns where the parity of a checkpoint of some ten blocks begins, which is four blocks long or
/// one for each.
fn parity_of(len: usize) -> usize {
    const BLOCK: usize = 4096;
    assert!(len <= 68 * BLOCK, "{len}: it has more parity");
    len - (4 * BLOCK).min(len / 2)
}

/// Damages the sections that hold `text`, in every checkpoint, and what would make them good.
fn rot_sections(files: &mut Files, text: &str) {
    rot_sections_but(files, text, |_, _| false);
}

/// Does the same, but for those that are to stay, by their place among so many of a file.
fn rot_sections_but(files: &mut Files, text: &str, stays: impl Fn(usize, usize) -> bool) {
    for (_, bytes) in files.iter_mut().filter(|(name, _)| is_checkpoint(**name)) {
        // Parity would make good what rots, and shows the text once more where nothing shares a sum with it.
        let begin = parity_of(bytes.len());
        let (bytes, parity) = bytes.split_at_mut(begin);
        parity.fill(0);
        let found: Vec<usize> = (bytes.windows(text.len()).enumerate())
            .filter(|(_, part)| *part == text.as_bytes())
            .map(|(at, _)| at)
            .collect();
        let all = found.len();
        for (nth, at) in found.into_iter().enumerate() {
            if !stays(nth, all) {
                // One flipped bit alone would be put right.
                bytes[at + 1] ^= 1;
                bytes[at + 2] ^= 1;
            }
        }
    }
}

#[test]
fn whatever_is_damaged_a_check_names_it_and_a_repair_keeps_everything_else() {
    let (files, before) = stored();
    let mut rng = Rng::new(11, 4);
    let mut pick = |below: usize| usize::try_from(rng.below(below.max(1) as u64)).unwrap();
    let mut damaged = 0;
    for round in 0..120 {
        let mut files = files.clone();
        let mut what = format!("round {round}");
        for _ in 0..=pick(2) {
            let name = *files.keys().nth(pick(files.len())).unwrap();
            let bytes = files.get_mut(&name).unwrap();
            let used = bytes
                .iter()
                .rposition(|&byte| byte != 0)
                .map_or(0, |at| at + 1);
            let at = pick(used);
            match pick(5) {
                0 | 1 if used > 0 => bytes[at] ^= 1 << pick(8),
                2 => bytes.truncate(at),
                // What proves the log's last batch lies behind it: with both gone, nothing can tell.
                3 if is_log(name) && at + 512 >= used => {}
                3 => {
                    let end = (at + 512).min(bytes.len());
                    bytes[at..end].fill(0);
                }
                _ if files.len() > 1 => drop(files.remove(&name)),
                _ => {}
            }
            what = format!("{what}, {name} at {at}");
        }
        let said = mend_and_compare(files, &before, &what);
        damaged += usize::from(!said.report.findings.is_empty());
    }
    assert!(damaged > 60, "{damaged} of 120 rounds hit something");
}
