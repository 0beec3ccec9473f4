//! Requests about messages of a stream: they are had by sequence, subject and time, deleted and purged.

use alloc::format;

use super::api::{bench, error};

#[test]
fn messages_are_found_by_sequence_subject_and_time() {
    let mut bench = bench();
    for (subject, payload) in [("s.1", "a"), ("s.2", "b"), ("s.1", "c")] {
        bench.publish_acked(subject, &[], payload);
    }
    for (body, seq) in [
        ("{\"seq\":2}", 2),
        ("{\"last_by_subj\":\"s.1\"}", 3),
        ("{\"last_by_subj\":\"s.*\"}", 3),
        ("{\"next_by_subj\":\"s.2\"}", 2),
        ("{\"seq\":2,\"next_by_subj\":\"s.1\"}", 3),
        ("{\"start_time\":\"2020-01-01T00:00:00Z\"}", 1),
    ] {
        let answer = bench.ask("STREAM.MSG.GET.S", body);
        assert!(
            answer.contains(&format!("\"seq\":{seq},")),
            "{body} {answer}"
        );
    }
    for body in [
        "",
        "{}",
        "{\"seq\":1,\"batch\":3}",
        "{\"seq\":2,\"last_by_subj\":\"x\"}",
    ] {
        let expected = error("stream_msg_get", 400, 10003, "bad request");
        assert_eq!(bench.ask("STREAM.MSG.GET.S", body), expected, "{body}");
    }
    assert_eq!(
        bench.ask("STREAM.MSG.GET.S", "{\"seq\":9}"),
        error("stream_msg_get", 404, 10037, "no message found")
    );
}

#[test]
fn direct_gets_answer_with_the_message_itself() {
    let mut bench = bench();
    bench.publish_acked("s.1", &[("A", "b")], "hello");
    let expected = "NATS/1.0\r\nA: b\r\nNats-Stream: S\r\nNats-Subject: s.1\r\n\
        Nats-Sequence: 1\r\nNats-Time-Stamp: 2023-11-14T22:13:20.000000001Z\r\n\r\nhello";
    for (subject, body) in [
        ("DIRECT.GET.S", "{\"seq\":1}"),
        ("DIRECT.GET.S", "{\"last_by_subj\":\"s.1\"}"),
        ("DIRECT.GET.S.s.1", ""),
    ] {
        assert_eq!(bench.ask(subject, body), expected, "{subject} {body}");
    }
    for (subject, body, status) in [
        ("DIRECT.GET.S", "", "408 Empty Request"),
        ("DIRECT.GET.S", "{}", "408 Empty Request"),
        ("DIRECT.GET.S", "{", "408 Malformed Request"),
        ("DIRECT.GET.S.s.1", "xx", "408 Malformed Request"),
        ("DIRECT.GET.S", "{\"batch\":3}", "408 Empty Request"),
        (
            "DIRECT.GET.S",
            "{\"seq\":1,\"last_by_subj\":\"s.1\"}",
            "408 Bad Request",
        ),
        (
            "DIRECT.GET.S",
            "{\"seq\":100,\"batch\":3}",
            "404 Message Not Found",
        ),
        (
            "DIRECT.GET.S",
            "{\"multi_last\":[\"x.>\"]}",
            "404 No Results",
        ),
        (
            "DIRECT.GET.S",
            "{\"multi_last\":[\"s.>\"],\"up_to_seq\":2}",
            "404 No Results",
        ),
        ("DIRECT.GET.S", "{\"seq\":5}", "404 Message Not Found"),
        ("DIRECT.GET.S.s.9", "", "404 Message Not Found"),
    ] {
        assert_eq!(
            bench.ask(subject, body),
            format!("NATS/1.0 {status}\r\n\r\n")
        );
    }
    assert!(!bench.request("DIRECT.GET.nope", "{\"seq\":1}"));
}

#[test]
fn the_last_message_of_all_subjects_is_that_of_the_last_sequence() {
    let mut bench = bench();
    bench.publish_acked("s.1", &[], "one");
    bench.publish_acked("s.2", &[], "two");
    let all = "{\"last_by_subj\":\">\"}";
    assert!(bench.ask("STREAM.MSG.GET.S", all).contains("\"seq\":2"));

    bench.ask("STREAM.MSG.DELETE.S", "{\"seq\":2}");

    assert!(bench.ask("STREAM.MSG.GET.S", all).contains("10037"));
    let every = "{\"last_by_subj\":\"s.*\"}";
    assert!(bench.ask("STREAM.MSG.GET.S", every).contains("\"seq\":1"));
}

#[test]
fn a_batch_of_direct_gets_ends_in_a_status() {
    for slow in [false, true] {
        let mut bench = bench();
        for i in 0..10 {
            bench.publish_acked(&format!("s.{}", i % 3), &[], &format!("x{i}"));
        }
        for (body, seqs, pending, end) in [
            ("{\"seq\":1,\"batch\":3}", &[1, 2, 3][..], 7, "7,3"),
            ("{\"seq\":9,\"batch\":3}", &[9, 10], 0, "0,10"),
            ("{\"batch\":2,\"next_by_subj\":\"s.1\"}", &[2, 5], 1, "1,5"),
            (
                "{\"seq\":1,\"batch\":10,\"max_bytes\":40}",
                &[1, 2, 3, 4, 5, 6, 7, 8],
                2,
                "2,8",
            ),
            ("{\"multi_last\":[\"s.>\"]}", &[8, 9, 10], 0, "0,10,10"),
            (
                "{\"multi_last\":[\"s.>\"],\"seq\":9}",
                &[9, 10],
                0,
                "0,10,10",
            ),
            (
                "{\"multi_last\":[\"s.1\",\"s.2\"],\"batch\":1}",
                &[8],
                1,
                "1,8,10",
            ),
            (
                "{\"multi_last\":[\"s.>\"],\"up_to_seq\":5}",
                &[3, 4, 5],
                0,
                "0,5,5",
            ),
        ] {
            bench.world.slow_reads = slow;
            bench.request("DIRECT.GET.S", body);
            bench.answer_reads();
            let mut answers = bench.world.take("api");
            let last = answers.pop().unwrap();
            assert!(last.starts_with("NATS/1.0 204 EOB\r\n"), "{last}");
            let told: alloc::vec::Vec<_> =
                last.lines().filter_map(|l| l.split(": ").nth(1)).collect();
            assert_eq!(told.join(","), end, "{body}");
            let sent: alloc::vec::Vec<u64> = answers
                .iter()
                .map(|a| a.split("Nats-Sequence: ").nth(1).unwrap())
                .map(|a| a.lines().next().unwrap().parse().unwrap())
                .collect();
            assert_eq!(sent, seqs, "{body}");
            let of_last = format!("Nats-Num-Pending: {pending}\r\n");
            assert!(
                answers.last().unwrap().contains(&of_last),
                "{body} {answers:?}"
            );
        }
    }
}

#[test]
fn a_message_on_disk_is_answered_when_the_disk_has() {
    let mut bench = bench();
    bench.publish_acked("s.1", &[], "hello");
    bench.world.slow_reads = true;
    bench.request("STREAM.MSG.GET.S", "{\"seq\":1}");
    bench.request("DIRECT.GET.S.s.1", "");
    assert!(bench.world.take("api").is_empty());
    bench.answer_reads();
    let answers = bench.world.take("api");
    assert!(answers[0].contains("aGVsbG8="), "{answers:?}");
    assert!(answers[1].ends_with("\r\n\r\nhello"), "{answers:?}");
}

#[test]
fn deleting_a_message_leaves_a_gap() {
    let mut bench = bench();
    for _ in 0..3 {
        bench.publish_acked("s.1", &[], "x");
    }
    let done =
        "{\"type\":\"io.nats.jetstream.api.v1.stream_msg_delete_response\",\"success\":true}";
    assert_eq!(bench.ask("STREAM.MSG.DELETE.S", "{\"seq\":2}"), done);
    assert_eq!(
        bench.ask("STREAM.MSG.DELETE.S", "{\"seq\":2}"),
        error("stream_msg_delete", 400, 10043, "sequence 2 not found")
    );
    assert_eq!(
        bench.ask("STREAM.MSG.DELETE.S", "{\"seq\":22}"),
        error("stream_msg_delete", 500, 10057, "stream store EOF")
    );
    let info = bench.ask("STREAM.INFO.S", "{\"deleted_details\":true}");
    assert!(
        info.contains("\"num_deleted\":1,\"deleted\":[2],"),
        "{info}"
    );
}

#[test]
fn purges_go_by_filter_count_and_sequence() {
    let mut bench = bench();
    for i in 0..10 {
        bench.publish_acked(if i % 2 == 0 { "s.even" } else { "s.odd" }, &[], "x");
    }
    for (body, purged) in [
        ("{\"filter\":\"s.odd\",\"keep\":3}", 2),
        ("{\"seq\":4}", 2),
        ("{\"filter\":\"s.nothing\"}", 0),
        ("{\"keep\":1}", 5),
        ("", 1),
        ("{\"seq\":100}", 0),
    ] {
        let answer = bench.ask("STREAM.PURGE.S", body);
        assert!(
            answer.ends_with(&format!("\"success\":true,\"purged\":{purged}}}")),
            "{body} {answer}"
        );
    }
    let info = bench.ask("STREAM.INFO.S", "");
    assert!(info.contains("\"first_seq\":100,"), "{info}");
    assert!(info.contains("\"last_seq\":99,"), "{info}");
    let answer = bench.ask("STREAM.PURGE.S", "{\"seq\":1,\"keep\":1}");
    assert!(
        answer.contains("10003") && answer.ends_with(",\"purged\":0}"),
        "{answer}"
    );
}
