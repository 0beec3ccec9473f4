//! Streams that leave through one machine and come in through another.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::BytesMut;
use protocol::store::ReadError;

use super::frame::{put_frame, put_start};
use crate::testing::{ACCOUNT, Bench, restored};

const CONFIG: &str = "{\"name\":\"S\",\"subjects\":[\"s.>\"],\"allow_msg_ttl\":true}";

/// A stream with gaps, headers, a long message and two consumers, of which one has worked.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.ask("STREAM.CREATE.S", CONFIG);
    let consumer =
        "{\"stream_name\":\"S\",\"config\":{\"durable_name\":\"C\",\"ack_policy\":\"explicit\"}}";
    bench.ask("CONSUMER.CREATE.S.C", consumer);
    let push =
        "{\"stream_name\":\"S\",\"config\":{\"durable_name\":\"P\",\"deliver_subject\":\"push\"}}";
    bench.ask("CONSUMER.CREATE.S.P", push);
    let long = "x".repeat(150_000);
    for i in 0..20 {
        let payload = if i == 9 { &*long } else { "short" };
        let id = format!("id{i}");
        let headers = [("Nats-Msg-Id", id.as_str()), ("Nats-TTL", "1h")];
        bench.publish(&format!("s.{}", i % 3), &headers[..i % 3], payload);
    }
    bench.sync();
    for seq in [1, 5, 20] {
        bench.ask("STREAM.MSG.DELETE.S", &format!("{{\"seq\":{seq}}}"));
    }
    bench.request_with_reply("CONSUMER.MSG.NEXT.S.C", "next", "{\"batch\":4}");
    bench.sync();
    let replies = bench.world.delivered.iter().map(|d| d.reply.clone());
    let acks: Vec<String> = replies.filter(|r| r.starts_with("$JS.ACK.")).collect();
    bench
        .js
        .ack(&mut bench.world, ACCOUNT, acks[1].as_bytes(), b"", b"+ACK");
    bench.sync();
    bench.world.delivered.clear();
    bench
}

/// Writes the stream out; returns the whole archive.
fn write_out(bench: &mut Bench, options: &str) -> Vec<u8> {
    bench.world.interest.push("out".to_string());
    let body = format!("{{\"deliver_subject\":\"out\"{options}}}");
    bench.ask("STREAM.SNAPSHOT.S", &body);
    let mut archive = Vec::new();
    loop {
        let chunks = core::mem::take(&mut bench.world.bytes);
        for (to, reply, payload) in chunks {
            if to != "out" {
                continue;
            }
            if payload.is_empty() {
                return archive;
            }
            archive.extend_from_slice(&payload);
            if !reply.is_empty() {
                let (world, reply) = (&mut bench.world, reply.as_bytes());
                bench.js.backup_message(world, ACCOUNT, reply, b"", b"");
            }
        }
        bench.sync();
        bench.js.handle_timeout(&mut bench.world);
    }
}

/// Asks for a restore; returns where the chunks go.
fn begin_restore(bench: &mut Bench, config: &str) -> String {
    let body = format!("{{\"config\":{config},\"state\":{{}}}}");
    let answer = bench.ask("STREAM.RESTORE.S", &body);
    let (_, subject) = answer.split_once("\"deliver_subject\":\"").expect(&answer);
    subject.trim_end_matches("\"}").to_string()
}

fn send_chunk(bench: &mut Bench, to: &str, chunk: &[u8]) -> Vec<String> {
    bench
        .js
        .backup_message(&mut bench.world, ACCOUNT, to.as_bytes(), b"chunk", chunk);
    bench.sync();
    bench.world.take("chunk")
}

/// Takes the archive in; returns the last answer.
fn take_in(bench: &mut Bench, archive: &[u8], chunk_len: usize) -> String {
    let to = begin_restore(bench, CONFIG);
    for chunk in archive.chunks(chunk_len) {
        let answer = send_chunk(bench, &to, chunk).remove(0);
        if !answer.is_empty() {
            return answer;
        }
    }
    send_chunk(bench, &to, b"").remove(0)
}

/// What a client can see of the stream and its consumers, without the moments of asking.
fn visible(bench: &mut Bench) -> Vec<String> {
    let mut seen = Vec::new();
    let mut ask = |what: &str, body: &str| {
        let answer = bench.ask(what, body);
        let (answer, _) = answer.split_once(",\"ts\":").unwrap_or((&answer, ""));
        // When a consumer was last active is not shown after it came back.
        let mut parts = answer.split(",\"last_active\":\"");
        let mut shown = parts.next().unwrap_or_default().to_string();
        shown.extend(parts.filter_map(|part| part.split_once('"')).map(|p| p.1));
        seen.push(shown);
    };
    ask(
        "STREAM.INFO.S",
        "{\"deleted_details\":true,\"subjects_filter\":\">\"}",
    );
    for seq in 1..=20 {
        ask("STREAM.MSG.GET.S", &format!("{{\"seq\":{seq}}}"));
    }
    ask("CONSUMER.INFO.S.C", "");
    ask("CONSUMER.INFO.S.P", "");
    seen
}

#[test]
fn a_stream_taken_in_is_the_stream_that_was_written_out() {
    let mut from = bench();
    let seen = visible(&mut from);
    for (options, chunk_len) in [("", 64 << 10), (",\"chunk_size\":1024", 7_000)] {
        let archive = write_out(&mut from, options);
        let mut to = Bench::new();
        to.world.advance_ms(1_000);

        let answer = take_in(&mut to, &archive, chunk_len);

        assert!(answer.contains("\"messages\":17"), "{answer}");
        assert_eq!(visible(&mut to), seen);
        // Ids of before are still known, and numbers go on where they stopped.
        let again = to.publish_acked("s.2", &[("Nats-Msg-Id", "id4")], "again");
        assert_eq!(again, "{\"stream\":\"S\",\"seq\":21}");
        let again = to.publish_acked("s.2", &[("Nats-Msg-Id", "id10")], "again");
        assert_eq!(again, "{\"stream\":\"S\",\"seq\":11,\"duplicate\": true}");
    }
}

#[test]
fn a_restored_stream_survives_a_restart() {
    let archive = write_out(&mut bench(), "");
    let mut to = Bench::new();
    take_in(&mut to, &archive, 64 << 10);
    let seen = visible(&mut to);

    let mut again = Bench::with_log(to.world.log.clone());

    assert_eq!(again.js.state_hash(), to.js.state_hash());
    assert_eq!(visible(&mut again), seen);
}

#[test]
fn a_crash_leaves_the_whole_stream_or_none_of_it() {
    let archive = write_out(&mut bench(), "");
    let mut to = Bench::new();
    take_in(&mut to, &archive, 64 << 10);
    let log = to.world.log.clone();
    for cut in 0..=log.len() {
        let mut again = Bench::with_log(log[..cut].to_vec());
        again.sync();
        let answer = again.ask("STREAM.NAMES", "");
        let is_there = answer.contains("\"S\"");
        assert_eq!(is_there, cut == log.len(), "after {cut} of {}", log.len());
        if is_there {
            continue;
        }
        assert!(again.js.streams.is_empty());
        // What is left of it stands in nobody's way.
        let answer = take_in(&mut again, &archive, 64 << 10);
        assert!(answer.contains("\"messages\":17"), "{answer}");
    }
}

#[test]
fn a_checkpoint_in_between_keeps_the_stream_hidden() {
    let archive = write_out(&mut bench(), "");
    let mut to = Bench::new();
    let subject = begin_restore(&mut to, CONFIG);
    send_chunk(&mut to, &subject, &archive[..100_000]);

    let mut again = Bench::with_log(Vec::new());
    again.js = restored(&to.js);

    assert_eq!(again.js.streams.len(), 1);
    assert_eq!(again.js.streams().count(), 0);
    again.js.recovered(&mut again.world);
    again.sync();
    assert!(again.js.streams.is_empty());
}

#[test]
fn archives_that_are_not_ours_whole_and_sound_are_refused() {
    let archive = write_out(&mut bench(), "");
    let mut foreign = BytesMut::new();
    put_start(&mut foreign);
    put_frame(&mut foreign, b"NATSARC1 and more");
    let mut damaged = archive.clone();
    damaged[50_000] ^= 1;
    let cases: [(&[u8], &str); 4] = [
        (&foreign, "backups of nats-server can not be restored"),
        (b"tar file", "backups of nats-server can not be restored"),
        (&damaged, "the archive is damaged"),
        (&archive[..archive.len() - 1], "the archive is not complete"),
    ];
    for (archive, why) in cases {
        let mut to = Bench::new();
        let answer = take_in(&mut to, archive, 64 << 10);
        assert!(
            answer.contains("\"err_code\":10062") && answer.contains(why),
            "{answer}"
        );
        assert!(to.js.streams.is_empty());
        assert!(to.js.backups.is_idle());
    }
}

#[test]
fn a_name_that_is_taken_meanwhile_is_not_taken_over() {
    let archive = write_out(&mut bench(), "");
    let mut to = Bench::new();
    let subject = begin_restore(&mut to, CONFIG);
    send_chunk(&mut to, &subject, &archive);
    to.ask(
        "STREAM.CREATE.S",
        "{\"name\":\"S\",\"subjects\":[\"other\"]}",
    );

    let answer = send_chunk(&mut to, &subject, b"").remove(0);

    assert!(answer.contains("\"error\""), "{answer}");
    assert_eq!(to.js.streams.len(), 1);
    assert_eq!(
        to.publish_acked("other", &[], "x"),
        "{\"stream\":\"S\",\"seq\":1}"
    );
}

#[test]
fn a_client_that_falls_silent_leaves_nothing_behind() {
    let mut from = bench();
    let archive = write_out(&mut from, "");
    let mut to = Bench::new();
    let subject = begin_restore(&mut to, CONFIG);
    send_chunk(&mut to, &subject, &archive[..70_000]);
    to.world.advance_ms(5_001);
    to.js.handle_timeout(&mut to.world);
    to.sync();
    assert!(to.js.streams.is_empty() && to.js.backups.is_idle());
    assert!(
        !to.js
            .backup_message(&mut to.world, ACCOUNT, subject.as_bytes(), b"r", b"")
    );

    from.world.interest.push("slow".to_string());
    let body = "{\"deliver_subject\":\"slow\",\"chunk_size\":1024,\"window_size\":4096}";
    from.ask("STREAM.SNAPSHOT.S", body);
    assert_eq!(from.world.take("slow").len(), 4);
    from.world.advance_ms(5_001);
    from.js.handle_timeout(&mut from.world);
    from.sync();
    assert_eq!(
        from.world.take("slow"),
        ["NATS/1.0 408 No Flow Response\r\n\r\n"]
    );
    assert!(from.js.backups.is_idle());
}

#[test]
fn a_receiver_has_two_seconds_to_come_and_ends_the_backup_by_going() {
    let mut from = bench();
    from.ask(
        "STREAM.SNAPSHOT.S",
        "{\"deliver_subject\":\"late\",\"chunk_size\":1024,\"window_size\":1024}",
    );
    from.world.advance_ms(1_900);
    from.js.handle_timeout(&mut from.world);
    assert!(from.world.take("late").is_empty());
    from.world.interest.push("late".to_string());
    from.js.interest_changed(&mut from.world, ACCOUNT, b"late");
    from.sync();
    assert_eq!(from.world.take("late").len(), 1);

    from.world.interest.clear();
    from.js.interest_changed(&mut from.world, ACCOUNT, b"late");

    assert_eq!(
        from.world.take("late"),
        ["NATS/1.0 408 No Interest\r\n\r\n"]
    );
    assert!(from.js.backups.is_idle());
}

#[test]
fn messages_on_disk_are_waited_for_and_a_damaged_one_is_named() {
    let mut from = bench();
    from.world.slow_reads = true;
    from.world.interest.push("out".to_string());
    from.ask("STREAM.SNAPSHOT.S", "{\"deliver_subject\":\"out\"}");
    assert!(from.world.take("out").is_empty());

    from.answer_reads();

    let chunks = from.world.take("out");
    assert_eq!(
        chunks.last().map(String::as_str),
        Some("NATS/1.0 204\r\n\r\n")
    );
    assert!(chunks.len() > 1 && from.js.backups.is_idle());

    let mut from = bench();
    from.world.slow_reads = true;
    from.world.interest.push("out".to_string());
    from.ask("STREAM.SNAPSHOT.S", "{\"deliver_subject\":\"out\"}");
    from.fail_reads(ReadError::Damaged);
    assert_eq!(
        from.world.take("out"),
        ["NATS/1.0 500 message 2 can not be read\r\n\r\n"]
    );
}

#[test]
fn a_stream_in_memory_is_taken_in_at_once() {
    let mut from = bench();
    let archive = write_out(&mut from, ",\"no_consumers\":true");
    let mut to = Bench::new();
    let config = CONFIG.replace("}", ",\"storage\":\"memory\"}");
    let subject = begin_restore(&mut to, &config);
    send_chunk(&mut to, &subject, &archive);

    let answer = send_chunk(&mut to, &subject, b"").remove(0);

    assert!(answer.contains("\"messages\":17"), "{answer}");
    assert!(answer.contains("\"consumer_count\":0"), "{answer}");
    assert!(to.world.log.is_empty());
}

#[test]
fn more_snapshots_at_once_than_may_be_are_refused() {
    let mut from = bench();
    for _ in 0..super::UNDER_WAY_MAX {
        let answer = from.ask("STREAM.SNAPSHOT.S", "{\"deliver_subject\":\"out\"}");
        assert!(!answer.contains("\"error\""), "{answer}");
    }
    let answer = from.ask("STREAM.SNAPSHOT.S", "{\"deliver_subject\":\"out\"}");
    let refused = "\"error\":{\"code\":500,\"err_code\":10064,\"description\":\"snapshot failed: ";
    assert!(answer.contains(refused), "{answer}");
}
