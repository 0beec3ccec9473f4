//! A checkpoint that has lost a part of a stream closes this stream: nobody is told that it is not there,
//! or that it is empty.

use alloc::format;

use crate::testing::{Bench, machine};

/// Two streams with a consumer each, of which the first is to suffer.
fn two_streams() -> Bench {
    let mut bench = Bench::new();
    for name in ["A", "B"] {
        let subject = name.to_lowercase();
        let body =
            format!("{{\"name\":\"{name}\",\"subjects\":[\"{subject}.>\"],\"allow_direct\":true}}");
        bench.ask(&format!("STREAM.CREATE.{name}"), &body);
        let create = format!("CONSUMER.CREATE.{name}.c");
        let body = format!(
            "{{\"stream_name\":\"{name}\",\"config\":{{\"name\":\"c\",\"durable_name\":\"c\",\
             \"ack_policy\":\"explicit\"}}}}"
        );
        bench.ask(&create, &body);
        bench.publish(&format!("{subject}.x"), &[], "stored");
    }
    bench.sync();
    bench
}

#[test]
fn a_stream_that_lacks_a_section_is_not_served_and_not_denied() {
    // Its configuration, its state and its consumers: the kinds in the upper byte of a section's number.
    for kind in [0, 1, 4] {
        let before = two_streams();
        let mut bench = Bench::new();
        bench.js = machine();
        for (key, body) in before.js.sections() {
            if key.group == 1 && key.number >> 56 == kind {
                assert!(!bench.js.section_lost(key), "the log cannot be applied");
            } else {
                bench.js.restore(key, &body).expect("whole");
            }
        }
        bench.js.recovered(&mut bench.world);
        bench.js.poison(&mut bench.world, "damaged");
        for (what, body) in [
            ("STREAM.INFO.A", ""),
            ("STREAM.CREATE.A", "{\"name\":\"A\",\"subjects\":[\"a.>\"]}"),
            ("STREAM.DELETE.A", ""),
            ("CONSUMER.INFO.A.c", ""),
            ("STREAM.MSG.GET.A", "{\"seq\":1}"),
        ] {
            let told = bench.ask(what, body);
            assert!(told.contains("\"err_code\":10008"), "{kind} {what}: {told}");
        }
        let info = bench.ask("STREAM.INFO.B", "");
        assert!(info.contains("\"consumer_count\":1"), "{info}");
        assert!(info.contains("\"messages\":1"), "{info}");
        if kind != 0 {
            bench.publish("a.x", &[], "refused");
            let told = bench.world.take("ack").pop().unwrap_or_default();
            assert!(told.contains("10008"), "{told}");
        }
    }
}
