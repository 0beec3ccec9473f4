//! A pull consumer with explicit acks against a model that keeps everything in plain lists.
//!
//! Machine and model must agree on every delivery, on every number that consumer info shows, and
//! after a crash at any moment.

mod model;
mod settings;

use proptest::prelude::*;
use protocol::text::rfc3339;
use protocol::time::Wall;

use proptests::world::{self, ACCOUNT, Bench, Delivered};

use model::Model;
use settings::{BACKOFF_MS, Settings, settings};

const INBOX: &str = "in.1";

#[derive(Clone, Debug)]
enum Op {
    Publish { wanted: bool },
    Fetch(u64),
    Ack(prop::sample::Index, Say),
    Advance(u64),
    Delete(prop::sample::Index),
    Purge,
    Pause(u64),
    Resume,
    Sync,
    Checkpoint,
    SlowReads(bool),
    Crash,
}

/// What a client says about a message that it was given at any time.
#[derive(Clone, Copy, Debug)]
enum Say {
    Done,
    Term,
    Nak,
    NakLater(u64),
    Progress,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_pull_consumer_delivers_as_its_model_says(settings in settings(), ops in ops()) {
        let mut bench = start(settings);
        let mut model = Model::new(settings);
        // What is left of the model if the process ends now.
        let mut synced = model.clone();
        let mut handed_out: Vec<String> = Vec::new();

        for op in ops {
            apply(&op, &mut bench, &mut model, &mut synced, &handed_out);
            let got = deliveries(&mut bench);
            prop_assert_eq!(numbers_of(&got), core::mem::take(&mut model.sent), "{:?}", op);
            handed_out.extend(got.into_iter().map(|d| d.reply));
            prop_assert_eq!(shown(&bench), model.shown(), "{:?}", op);
            prop_assert_eq!(stored(&bench), model.stored(), "{:?}", op);
        }
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let index = any::<prop::sample::Index>;
    let say = prop_oneof![
        8 => Just(Say::Done),
        1 => Just(Say::Term),
        2 => Just(Say::Nak),
        1 => (1u64..3_000).prop_map(Say::NakLater),
        1 => Just(Say::Progress),
    ];
    let op = prop_oneof![
        6 => any::<bool>().prop_map(|wanted| Op::Publish { wanted }),
        6 => (1u64..6).prop_map(Op::Fetch),
        13 => (index(), say).prop_map(|(at, say)| Op::Ack(at, say)),
        3 => (1u64..1_500).prop_map(Op::Advance),
        1 => index().prop_map(Op::Delete),
        1 => Just(Op::Purge),
        1 => (1u64..2_000).prop_map(Op::Pause),
        1 => Just(Op::Resume),
        3 => Just(Op::Sync),
        1 => Just(Op::Checkpoint),
        1 => any::<bool>().prop_map(Op::SlowReads),
        1 => Just(Op::Crash),
    ];
    prop::collection::vec(op, 1..80)
}

fn start(settings: Settings) -> Bench {
    let mut bench = world::bench();
    let retention = if settings.work_queue {
        "workqueue"
    } else {
        "limits"
    };
    let messages_max = settings.messages_max.map_or(-1, |max| max as i64);
    let stream = format!(
        r#"{{"name":"S","subjects":["s.>"],"retention":"{retention}","max_msgs":{messages_max}}}"#
    );
    bench.request_with_reply("STREAM.CREATE.S", "", &stream);
    bench.sync();
    let Settings {
        pending_acks_max,
        deliveries_max,
        ..
    } = settings;
    let waits = if settings.backoff {
        let ns = BACKOFF_MS.map(|ms| (ms * 1_000_000).to_string());
        format!(r#""backoff":[{}]"#, ns.join(","))
    } else {
        r#""ack_wait":1000000000"#.to_string()
    };
    let filters = settings.filters();
    let config = format!(
        r#"{{"durable_name":"c","name":"c","ack_policy":"explicit",{waits},{filters}
            "max_ack_pending":{pending_acks_max},
            "max_deliver":{deliveries_max},"max_waiting":100000}}"#
    );
    let body = format!(r#"{{"stream_name":"S","config":{config}}}"#);
    bench.request_with_reply("CONSUMER.CREATE.S.c", "", &body);
    bench.sync();
    assert!(
        bench
            .js
            .stream(ACCOUNT, "S")
            .is_some_and(|s| s.consumers.get("c").is_some())
    );
    bench
}

/// Does the same to the machine and to the model.
fn apply(op: &Op, bench: &mut Bench, model: &mut Model, synced: &mut Model, acks: &[String]) {
    match op {
        Op::Publish { wanted } => {
            let (subject, wanted) = model.settings.subject(*wanted, model.messages.len());
            bench.publish_for("", &subject, "", "body");
            bench.sync();
            model.publish(wanted);
        }
        Op::Fetch(batch) => {
            bench.request_with_reply("CONSUMER.MSG.NEXT.S.c", INBOX, &batch.to_string());
            model.waiting.push_back(*batch);
        }
        Op::Ack(at, say) => {
            if !acks.is_empty() {
                acknowledge(&acks[at.index(acks.len())], *say, bench, model);
            }
        }
        Op::Advance(ms) => {
            bench.advance_ms(*ms);
            model.advance(*ms);
        }
        Op::Delete(at) => {
            let seq = at.index(model.messages.len() + 1) as u64;
            bench.request_with_reply("STREAM.MSG.DELETE.S", "", &format!(r#"{{"seq":{seq}}}"#));
            bench.sync();
            model.delete(seq);
        }
        Op::Purge => {
            bench.request_with_reply("STREAM.PURGE.S", "", "");
            bench.sync();
            model.purge();
        }
        Op::Pause(ms) => {
            model.paused_until_ms = model.now_ms + ms;
            pause(bench, *ms);
        }
        Op::Resume => {
            model.paused_until_ms = 0;
            bench.request_with_reply("CONSUMER.PAUSE.S.c", "", "");
            bench.sync();
        }
        Op::Sync => bench.sync(),
        Op::Checkpoint => {
            bench.sync();
            bench.checkpoint();
        }
        Op::SlowReads(slow) => bench.world.slow_reads = *slow,
        Op::Crash => {
            bench.pump();
            bench.crash();
            let now_ms = model.now_ms;
            *model = synced.clone();
            model.recover(now_ms);
        }
    }
    bench.pump();
    model.deliver();
    if matches!(
        op,
        Op::Publish { .. }
            | Op::Delete(_)
            | Op::Purge
            | Op::Pause(_)
            | Op::Resume
            | Op::Sync
            | Op::Checkpoint
    ) {
        bench.sync();
        model.release();
        synced.clone_from(model);
    }
}

/// Asks for no deliveries for so long.
fn pause(bench: &mut Bench, ms: u64) {
    let until = Wall(bench.world.now.wall.0 + ms * 1_000_000);
    let body = format!(r#"{{"pause_until":"{}"}}"#, rfc3339::Rfc3339(until));
    bench.request_with_reply("CONSUMER.PAUSE.S.c", "", &body);
    bench.sync();
}

fn acknowledge(subject: &str, say: Say, bench: &mut Bench, model: &mut Model) {
    let payload = match say {
        Say::Done => String::new(),
        Say::Term => "+TERM".to_string(),
        Say::Nak => "-NAK".to_string(),
        Say::NakLater(ms) => format!("-NAK {ms}ms"),
        Say::Progress => "+WPI".to_string(),
    };
    bench.js.ack(
        &mut bench.world,
        ACCOUNT,
        subject.as_bytes(),
        b"",
        payload.as_bytes(),
    );
    let seq = token(subject, 5);
    match say {
        Say::Done | Say::Term => model.settle(seq),
        Say::Nak => model.nak(seq),
        Say::NakLater(ms) => model.wait(seq, ms),
        Say::Progress => model.progress(seq),
    }
}

/// Takes the messages that were delivered; statuses have no body.
fn deliveries(bench: &mut Bench) -> Vec<Delivered> {
    let all = core::mem::take(&mut bench.world.delivered);
    all.into_iter()
        .filter(|d| d.to == INBOX && !d.payload.is_empty())
        .collect()
}

fn numbers_of(delivered: &[Delivered]) -> Vec<[u64; 4]> {
    let numbers = |d: &Delivered| [5, 4, 6, 8].map(|at| token(&d.reply, at));
    delivered.iter().map(numbers).collect()
}

fn token(subject: &str, at: usize) -> u64 {
    subject
        .split('.')
        .nth(at)
        .and_then(|t| t.parse().ok())
        .expect("an ack subject")
}

fn shown(bench: &Bench) -> [u64; 8] {
    let stream = bench.js.stream(ACCOUNT, "S").expect("created");
    let consumer = stream.consumers.get("c").expect("created");
    let info = consumer.snapshot_info(&stream.core, bench.world.now.wall);
    [
        info.delivered.consumer_seq,
        info.delivered.stream_seq,
        info.ack_floor.consumer_seq,
        info.ack_floor.stream_seq,
        info.num_ack_pending,
        info.num_redelivered,
        info.num_pending,
        info.num_waiting,
    ]
}

fn stored(bench: &Bench) -> u64 {
    bench
        .js
        .stream(ACCOUNT, "S")
        .expect("created")
        .core
        .index
        .messages()
}
