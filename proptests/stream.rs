//! A stream against a model that keeps everything in one plain map: limits, discard policies, ids that
//! repeat, expectations, rollups, atomic batches, counters, lifetimes, purges of each form, transforms.
//!
//! Publishes are under way until the log is synced, so that a crash can take them. Machine and model must
//! agree on what each publisher is told and on what the stream holds, before and after a crash at any moment.

mod model;

use proptest::prelude::*;

use proptests::world::{self, ACCOUNT, Bench};
use protocol::id::Seq;

use model::{Limits, Model, Publish, Rollup, Told};

#[derive(Clone, Debug)]
enum Op {
    Publish(Publish),
    Batch { count: u64, wrong: bool },
    Delete(prop::sample::Index),
    PurgeAll,
    PurgeSubject(usize),
    PurgeKeep(Option<usize>, u64),
    PurgeBelow(Option<usize>, prop::sample::Index),
    Limit(u64),
    Advance(u64),
    Sync,
    Checkpoint,
    Crash,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_stream_holds_what_its_model_says(limits in limits(), ops in ops()) {
        let mut bench = start(&limits);
        let mut model = Model::new(limits);
        for (at, op) in ops.iter().enumerate() {
            apply(op, &mut bench, &mut model);
            prop_assert_eq!(told(&mut bench), core::mem::take(&mut model.told), "{} {:?}", at, op);
            prop_assert_eq!(held(&bench), model.held(), "{} {:?}", at, op);
        }
    }
}

fn limits() -> impl Strategy<Value = Limits> {
    let small = |low: u64, high: u64| prop::option::weighted(0.4, low..high);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let all = (small(2, 9), small(1, 4), small(500, 4_000), flags);
    all.prop_map(|(messages, per_subject, age_ms, flags)| {
        let (discard_new, per_subject_too, transform, counts) = flags;
        Limits {
            messages,
            per_subject,
            // A counter keeps the last of each subject, whatever its age.
            age_ms: age_ms.filter(|_| !counts),
            // Counters never refuse an increment for want of room.
            discard_new: discard_new && !counts,
            discard_new_per_subject: discard_new
                && !counts
                && per_subject_too
                && per_subject.is_some(),
            transform: transform && !counts,
            counts,
        }
    })
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let index = any::<prop::sample::Index>;
    let rollup = prop_oneof![
        8 => Just(None),
        1 => Just(Some(Rollup::Subject)),
        1 => Just(Some(Rollup::All)),
    ];
    let publish = (
        0..4usize,
        prop::option::weighted(0.3, 0..5u64),
        prop::option::weighted(0.2, 0..3u64),
        prop::option::weighted(0.2, 0..3u64),
        prop::option::weighted(0.2, 1..4u64),
        rollup,
    );
    let publish = publish.prop_map(|(subject, id, behind, behind_subject, ttl_s, rollup)| {
        Op::Publish(Publish {
            subject,
            id,
            behind,
            behind_subject,
            ttl_s,
            rollup,
        })
    });
    let batch = (1..5u64, any::<bool>()).prop_map(|(count, wrong)| Op::Batch { count, wrong });
    let subject = || prop::option::of(0..4usize);
    let op = prop_oneof![
        12 => publish,
        2 => batch,
        1 => index().prop_map(Op::Delete),
        1 => Just(Op::PurgeAll),
        1 => (0..4usize).prop_map(Op::PurgeSubject),
        1 => (subject(), 0..4u64).prop_map(|(of, keep)| Op::PurgeKeep(of, keep)),
        1 => (subject(), index()).prop_map(|(of, below)| Op::PurgeBelow(of, below)),
        1 => (2..9u64).prop_map(Op::Limit),
        2 => (1..1_500u64).prop_map(Op::Advance),
        4 => Just(Op::Sync),
        1 => Just(Op::Checkpoint),
        1 => Just(Op::Crash),
    ];
    prop::collection::vec(op, 1..70)
}

fn start(limits: &Limits) -> Bench {
    let mut bench = world::bench();
    bench.request_with_reply("STREAM.CREATE.S", "", &limits.config());
    bench.sync();
    assert!(bench.js.stream(ACCOUNT, "S").is_some(), "{limits:?}");
    bench
}

/// Does the same to the machine and to the model.
fn apply(op: &Op, bench: &mut Bench, model: &mut Model) {
    match op {
        Op::Publish(publish) => {
            let publish = model.fitting(publish);
            let (headers, body) = model.message(&publish);
            publish_with(bench, &publish.subject(), &headers, &body, "in.p");
            model.propose(publish);
            return;
        }
        Op::Batch { count, wrong } => {
            sync(bench, model);
            batch(*count, *wrong, bench, model);
        }
        Op::Delete(at) => {
            sync(bench, model);
            let seq = at.index(usize::try_from(model.last).expect("fits") + 1);
            request(bench, "MSG.DELETE.S", &format!(r#"{{"seq":{seq}}}"#));
            model.messages.remove(&(seq as u64));
        }
        Op::PurgeAll => purge(None, 0, u64::MAX, "", bench, model),
        Op::PurgeSubject(subject) => purge(Some(*subject), 0, u64::MAX, "", bench, model),
        Op::PurgeKeep(subject, keep) => {
            let body = format!(r#""keep":{keep}"#);
            purge(*subject, *keep, u64::MAX, &body, bench, model);
        }
        Op::PurgeBelow(subject, at) => {
            sync(bench, model);
            let below = at.index(usize::try_from(model.last).expect("fits") + 1) as u64;
            // Zero says that nothing is said.
            let (body, below) = match below {
                0 => (String::new(), u64::MAX),
                below => (format!(r#""seq":{below}"#), below),
            };
            purge(*subject, 0, below, &body, bench, model);
        }
        Op::Limit(max) => {
            sync(bench, model);
            model.limits.messages = Some(*max);
            request(bench, "UPDATE.S", &model.limits.config());
            model.enforce();
        }
        Op::Advance(ms) => {
            sync(bench, model);
            let ms = model.clear_of_ends(*ms);
            bench.advance_ms(ms);
            model.now_ms += ms;
        }
        Op::Sync => {}
        Op::Checkpoint => {
            sync(bench, model);
            bench.checkpoint();
        }
        Op::Crash => {
            bench.pump();
            bench.crash();
            model.pending.clear();
            // What ended meanwhile ends now.
            bench.advance_ms(0);
        }
    }
    sync(bench, model);
}

fn request(bench: &mut Bench, what: &str, body: &str) {
    bench.request_with_reply(&format!("STREAM.{what}"), "", body);
    bench.sync();
}

/// Publishes with lines of headers; the ack goes to `reply`.
fn publish_with(bench: &mut Bench, subject: &str, lines: &str, body: &str, reply: &str) {
    let block = match lines {
        "" => String::new(),
        lines => format!("NATS/1.0\r\n{lines}\r\n"),
    };
    bench.publish_for(reply, subject, &block, body);
}

fn sync(bench: &mut Bench, model: &mut Model) {
    bench.sync();
    model.sync();
}

fn batch(count: u64, wrong: bool, bench: &mut Bench, model: &mut Model) {
    // What a batch may not do depends on more than this model knows.
    if model.limits.discard_new || model.limits.counts {
        return;
    }
    for number in 1..=count {
        let mut headers = format!("Nats-Batch-Id: b\r\nNats-Batch-Sequence: {number}\r\n");
        if wrong && number == 1 {
            headers.push_str("Nats-Expected-Last-Sequence: 999999\r\n");
        }
        let mut reply = "";
        if number == count {
            headers.push_str("Nats-Batch-Commit: 1\r\n");
            reply = "in.p";
        }
        publish_with(bench, "s.0", &headers, "x", reply);
    }
    let outcome = if wrong {
        Told::Refused
    } else {
        for _ in 0..count {
            model.push(0);
        }
        Told::Stored(model.last)
    };
    model.told.push(outcome);
}

fn purge(
    subject: Option<usize>,
    keep: u64,
    below: u64,
    more: &str,
    bench: &mut Bench,
    model: &mut Model,
) {
    sync(bench, model);
    let filter = subject.map(|subject| format!(r#""filter":"{}""#, model.limits.stored(subject)));
    let parts = filter.as_deref().into_iter().chain(Some(more));
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    request(bench, "PURGE.S", &format!("{{{}}}", parts.join(",")));
    model.purge(subject, keep, below);
}

/// Takes what publishers were told.
fn told(bench: &mut Bench) -> Vec<Told> {
    let delivered = core::mem::take(&mut bench.world.delivered);
    let answers = delivered.into_iter().filter(|d| d.to == "in.p");
    let read = |text: &str| {
        let number = text.split("\"seq\":").nth(1)?;
        let end = number.find(|c: char| !c.is_ascii_digit())?;
        number[..end].parse().ok()
    };
    answers
        .map(|answer| match read(&answer.payload) {
            _ if answer.payload.contains("\"error\"") => Told::Refused,
            Some(seq) if answer.payload.contains("\"duplicate\"") => Told::Repeated(seq),
            Some(seq) => Told::Stored(seq),
            None => panic!("{}", answer.payload),
        })
        .collect()
}

/// Returns each message's sequence and subject, and the stream's last sequence.
fn held(bench: &Bench) -> (Vec<(u64, String)>, u64) {
    let index = &bench.js.stream(ACCOUNT, "S").expect("created").core.index;
    let all = (1..=index.last_seq().0).filter_map(|seq| {
        let meta = index.meta(Seq(seq))?;
        let subject = String::from_utf8_lossy(index.subject(meta.subject));
        Some((seq, subject.into_owned()))
    });
    let all: Vec<_> = all.collect();
    assert_eq!(index.messages(), all.len() as u64);
    let first = all.first().map_or(index.last_seq().0 + 1, |(seq, _)| *seq);
    assert_eq!(index.first_seq().0, first);
    (all, index.last_seq().0)
}
