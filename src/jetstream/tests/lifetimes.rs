//! Messages that bring their own end, and the markers that subjects leave.

use alloc::format;
use alloc::string::String;

use crate::testing::{ACCOUNT, Bench, restored};

fn bench(storage: &str, config: &str) -> Bench {
    let mut bench = Bench::new();
    let body =
        format!("{{\"name\":\"S\",\"subjects\":[\"s.>\"],\"storage\":\"{storage}\",{config}}}");
    let answer = bench.ask("STREAM.CREATE.S", &body);
    assert!(answer.contains("\"did_create\":true"), "{answer}");
    bench
}

/// Lets time pass as a server would: timers fire when they are due.
fn pass_ms(bench: &mut Bench, ms: u64) {
    for _ in 0..ms / 10 {
        bench.world.advance_ms(10);
        bench.js.handle_timeout(&mut bench.world);
        bench.sync();
    }
}

fn subjects(bench: &Bench) -> String {
    let core = &bench.js.stream(ACCOUNT, "S").unwrap().core;
    let counts = core.subject_counts(">");
    let names: alloc::vec::Vec<_> = counts.iter().map(|(name, _)| name.as_str()).collect();
    names.join(" ")
}

const TTL: &str = "Nats-TTL";

#[test]
fn a_message_ends_when_its_time_to_live_is_over() {
    for storage in ["file", "memory"] {
        let mut bench = bench(storage, "\"allow_msg_ttl\":true");
        bench.publish_acked("s.stays", &[], "0");
        bench.publish_acked("s.long", &[(TTL, "3")], "1");
        bench.publish_acked("s.short", &[(TTL, "1")], "2");
        pass_ms(&mut bench, 900);
        assert_eq!(subjects(&bench), "s.long s.short s.stays");
        pass_ms(&mut bench, 200);
        assert_eq!(subjects(&bench), "s.long s.stays");
        pass_ms(&mut bench, 2_000);
        assert_eq!(subjects(&bench), "s.stays");
    }
}

#[test]
fn never_outlives_the_age_limit_and_nothing_else_does() {
    for storage in ["file", "memory"] {
        let mut bench = bench(storage, "\"allow_msg_ttl\":true,\"max_age\":1000000000");
        bench.publish_acked("s.never", &[(TTL, "never")], "1");
        bench.publish_acked("s.plain", &[], "2");
        bench.publish_acked("s.long", &[(TTL, "1h")], "3");
        pass_ms(&mut bench, 1_200);
        assert_eq!(subjects(&bench), "s.never");
        bench.publish_acked("s.later", &[], "4");
        pass_ms(&mut bench, 1_200);
        assert_eq!(subjects(&bench), "s.never");
    }
}

#[test]
fn a_subject_whose_last_message_ends_gets_a_marker_that_ends_without_one() {
    let config = "\"allow_msg_ttl\":true,\"max_age\":2000000000,\
                  \"subject_delete_marker_ttl\":1000000000";
    for storage in ["file", "memory"] {
        let mut bench = bench(storage, config);
        bench.publish_acked("s.a", &[], "1");
        bench.publish_acked("s.b", &[(TTL, "1")], "2");
        bench.publish_acked("s.kv", &[("KV-Operation", "PURGE")], "");
        pass_ms(&mut bench, 1_100);
        let found = bench.ask("STREAM.MSG.GET.S", "{\"last_by_subj\":\"s.b\"}");
        // NATS/1.0, Nats-Marker-Reason: MaxAge, Nats-TTL: 1s, Nats-Rollup: sub
        let block = "TkFUUy8xLjANCk5hdHMtTWFya2VyLVJlYXNvbjogTWF4QWdlDQpOYXRzLVRUTDogMXMNCk5hdHMt\
                     Um9sbHVwOiBzdWINCg0K";
        assert!(
            found.contains(&format!("\"seq\":4,\"hdrs\":\"{block}\"")),
            "{found}"
        );
        pass_ms(&mut bench, 1_100);
        assert_eq!(
            subjects(&bench),
            "s.a",
            "its marker is there, the others ended"
        );
        pass_ms(&mut bench, 1_100);
        assert_eq!(subjects(&bench), "");
    }
}

#[test]
fn a_message_published_while_the_marker_is_under_way_is_not_lost() {
    let config = "\"allow_msg_ttl\":true,\"subject_delete_marker_ttl\":5000000000,\
                  \"max_msgs_per_subject\":1";
    let mut bench = bench("file", config);
    bench.publish_acked("s.a", &[(TTL, "1")], "old");
    bench.world.advance_ms(1_100);
    bench.publish("s.a", &[], "new");
    bench.js.handle_timeout(&mut bench.world);
    bench.sync();
    let found = bench.ask("STREAM.MSG.GET.S", "{\"last_by_subj\":\"s.a\"}");
    assert!(found.contains("\"seq\":2,\"data\":\"bmV3\""), "{found}");
    pass_ms(&mut bench, 6_000);
    assert_eq!(subjects(&bench), "s.a");
}

#[test]
fn a_time_to_live_shorter_than_the_marker_is_raised() {
    let config = "\"allow_msg_ttl\":true,\"subject_delete_marker_ttl\":3000000000";
    let mut bench = bench("file", config);
    bench.publish_acked("s.a", &[(TTL, "1"), ("K", "V")], "x");
    let found = bench.ask("STREAM.MSG.GET.S", "{\"seq\":1}");
    // NATS/1.0, K: V, Nats-TTL: 3
    assert!(
        found.contains("\"hdrs\":\"TkFUUy8xLjANCks6IFYNCk5hdHMtVFRMOiAzDQoNCg==\""),
        "{found}"
    );
}

#[test]
fn lifetimes_survive_a_checkpoint_and_a_replay() {
    let config = "\"allow_msg_ttl\":true,\"max_age\":5000000000,\
                  \"subject_delete_marker_ttl\":1000000000";
    let mut bench = bench("file", config);
    bench.publish_acked("s.never", &[(TTL, "never")], "1");
    bench.publish_acked("s.short", &[(TTL, "2")], "2");
    bench.publish_acked("s.long", &[(TTL, "4")], "3");
    pass_ms(&mut bench, 2_100);
    assert_eq!(restored(&bench.js).state_hash(), bench.js.state_hash());

    let mut replayed = Bench::with_log(bench.world.log.clone());
    assert_eq!(replayed.js.state_hash(), bench.js.state_hash());
    replayed.world.now = bench.world.now;
    pass_ms(&mut replayed, 3_500);
    assert_eq!(subjects(&replayed), "s.never");
}
