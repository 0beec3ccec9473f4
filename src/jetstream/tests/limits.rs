//! Limits of streams, accounts and the disk: what goes for a new message, and which is refused.

use protocol::js::info::AccountLimits;

use super::publish::{ack, bench, refusal, state};
use crate::testing::{ACCOUNT, Bench};

#[test]
fn a_full_stream_discards_old_messages_or_refuses_new_ones() {
    let mut old = bench(",\"max_msgs\":2");
    for _ in 0..3 {
        old.publish_acked("s.1", &[], "x");
    }
    assert_eq!(state(&old), (2, 2, 3));
    let mut new = bench(",\"max_msgs\":2,\"discard\":\"new\"");
    new.publish_acked("s.1", &[], "x");
    new.publish_acked("s.1", &[], "x");
    assert_eq!(
        new.publish_acked("s.1", &[], "x"),
        refusal(503, 10077, "maximum messages exceeded")
    );
    assert_eq!(state(&new), (2, 1, 2));
}

#[test]
fn bytes_are_counted_as_nats_does() {
    for (storage, empty, with_headers) in [("file", 38, 65), ("memory", 24, 47)] {
        let mut bench = bench(&alloc::format!(",\"storage\":\"{storage}\""));
        let bytes = |b: &Bench| b.js.stream(ACCOUNT, "S").unwrap().core.index.bytes();
        bench.publish_acked("s.234567", &[], "");
        assert_eq!(bytes(&bench), empty);
        bench.publish_acked("s.234567", &[("A", "b")], "hello");
        assert_eq!(bytes(&bench), empty + with_headers);
    }
}

#[test]
fn max_bytes_fits_a_message_exactly() {
    for (storage, room) in [("file", 67), ("memory", 81)] {
        let config =
            alloc::format!(",\"storage\":\"{storage}\",\"max_bytes\":100,\"discard\":\"new\"");
        let mut bench = bench(&config);
        let body = "x".repeat(room + 1);
        assert_eq!(
            bench.publish_acked("s.1", &[], &body),
            refusal(503, 10077, "maximum bytes exceeded")
        );
        assert_eq!(bench.publish_acked("s.1", &[], &body[1..]), ack(1));
    }
}

#[test]
fn a_limit_per_subject_replaces_or_refuses() {
    let mut bench = bench(",\"max_msgs_per_subject\":1,\"discard\":\"new\",\"max_msgs\":2");
    for (subject, expected) in [
        ("s.1", ack(1)),
        ("s.2", ack(2)),
        ("s.1", ack(3)),
        ("s.3", refusal(503, 10077, "maximum messages exceeded")),
    ] {
        assert_eq!(bench.publish_acked(subject, &[], "x"), expected);
    }
    assert_eq!(state(&bench), (2, 2, 3));
    bench.ask(
        "STREAM.UPDATE.S",
        "{\"name\":\"S\",\"subjects\":[\"s.>\"],\"max_msgs_per_subject\":1,\
         \"discard\":\"new\",\"max_msgs\":2,\"discard_new_per_subject\":true}",
    );
    assert_eq!(
        bench.publish_acked("s.1", &[], "x"),
        refusal(503, 10077, "maximum messages per subject exceeded")
    );
}

#[test]
fn messages_over_the_size_limit_are_refused() {
    let mut bench = bench(",\"max_msg_size\":5");
    assert_eq!(bench.publish_acked("s.1", &[], "12345"), ack(1));
    assert_eq!(
        bench.publish_acked("s.1", &[], "123456"),
        refusal(400, 10054, "message size exceeds maximum allowed")
    );
}

#[test]
fn a_subject_that_no_entry_has_room_for_is_refused() {
    let mut bench = bench("");
    let longest = alloc::format!("s.{}", "a".repeat(65_533));
    assert_eq!(bench.publish_acked(&longest, &[], "x"), ack(1));
    assert_eq!(
        bench.publish_acked(&alloc::format!("{longest}a"), &[], "x"),
        refusal(400, 10054, "message size exceeds maximum allowed")
    );
}

#[test]
fn a_publish_beyond_what_may_wait_gets_a_status() {
    let mut bench = bench("");
    let big = "x".repeat(1 << 20);
    for _ in 0..128 {
        bench.publish("s.1", &[], &big);
    }
    let answers = bench.world.take("ack");
    assert_eq!(
        answers.last().unwrap(),
        "NATS/1.0 429 Too Many Requests\r\n\r\n{\"error\":{\"code\":429,\"err_code\":10167,\
         \"description\":\"too many requests\"},\"stream\":\"S\",\"seq\":0}"
    );
    bench.sync();
    assert_eq!(answers.len() + bench.world.take("ack").len(), 128);
}

#[test]
fn an_account_out_of_bytes_is_refused_before_the_log() {
    let mut bench = bench("");
    let limits = AccountLimits {
        max_storage: 70,
        ..AccountLimits::UNLIMITED
    };
    bench.js.configure_account(ACCOUNT, "$G", Some(limits));
    assert_eq!(bench.publish_acked("s.1", &[], "x"), ack(1));
    assert_eq!(bench.publish_acked("s.1", &[], "x"), ack(2));
    let entries = bench.world.log.len();
    assert_eq!(
        bench.publish_acked("s.1", &[], "x"),
        refusal(400, 10002, "resource limits exceeded for account")
    );
    assert_eq!(bench.world.log.len(), entries);
}

#[test]
fn a_full_disk_refuses_what_stores_and_allows_what_frees() {
    let mut bench = bench("");
    bench.publish_acked("s.1", &[], "x");
    bench.world.log_len_max = 0;
    let full = refusal(500, 10047, "insufficient storage resources available");
    assert_eq!(bench.publish_acked("s.1", &[], "x"), full);
    let answer = bench.ask("STREAM.CREATE.T", "{\"name\":\"T\"}");
    assert!(answer.contains("\"err_code\":10047"), "{answer}");
    let answer = bench.ask("STREAM.PURGE.S", "");
    assert!(answer.contains("\"purged\":1"), "{answer}");
}

#[test]
fn old_messages_expire_by_a_log_entry() {
    let mut bench = bench(",\"max_age\":1000000000");
    bench.world.advance_ms(1);
    bench.publish_acked("s.1", &[], "x");
    bench.world.advance_ms(600);
    bench.publish_acked("s.1", &[], "x");
    let (at, _) = bench.js.poll_timeout().expect("the first message expires");
    assert_eq!(at.0 - bench.world.now.mono.0, 400_000_000);
    bench.world.advance_ms(400);
    bench.js.handle_timeout(&mut bench.world);
    assert_eq!(state(&bench), (2, 1, 2));
    bench.sync();
    assert_eq!(state(&bench), (1, 2, 2));
    bench.world.advance_ms(600);
    bench.js.handle_timeout(&mut bench.world);
    bench.sync();
    assert_eq!(state(&bench), (0, 3, 2));
    assert_eq!(bench.js.poll_timeout(), None);
}
