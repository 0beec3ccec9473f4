//! Every check must find what it is for: small histories with one thing wrong each.

use protocol::time::Instant;

use super::*;
use crate::history::{
    Attempt, ConsumerLog, Delivered, Info, Keeps, Outcome, Publish, Removal, Value,
};

/// A history of one stream, and what the stream held at the end.
#[derive(Default)]
struct Case {
    history: History,
    audit: Audit,
}

fn value(number: u32) -> Value {
    Value {
        publisher: 0,
        number,
    }
}

impl Case {
    /// Four acknowledged messages that can all be read.
    fn good() -> Self {
        let mut case = Self::default();
        let keeps = Keeps {
            messages_max: 0,
            work_queue: false,
        };
        case.history.streams.insert("S".into(), keeps);
        for number in 0..4 {
            case.publish(number);
            case.ack(number, u64::from(number) + 1);
            case.stored(number, u64::from(number) + 1);
        }
        case
    }

    fn publish(&mut self, number: u32) {
        let sent = self.history.at(Instant(0));
        let attempt = Attempt {
            sent,
            link: 1,
            outcome: Outcome::Unknown,
        };
        let publish = self.history.publishes.entry(value(number));
        let publish = publish.or_insert_with(|| Publish {
            stream: "S".into(),
            subject: "s.0".into(),
            len: value(number).payload(0).len(),
            has_id: true,
            expected: None,
            attempts: Vec::new(),
        });
        publish.attempts.push(attempt);
    }

    fn end(&mut self, number: u32, outcome: Outcome) {
        let last = self.history.publishes[&value(number)].attempts.len() - 1;
        self.history.resolve(value(number), last, outcome);
    }

    fn ack(&mut self, number: u32, seq: u64) {
        let at = self.history.at(Instant(0));
        let duplicate = false;
        self.end(number, Outcome::Acked { seq, duplicate, at });
    }

    fn stored(&mut self, number: u32, seq: u64) {
        let body = value(number).payload(0);
        self.history.learn("S", seq, "s.0", &body);
        let contents = self.audit.entry("S".into()).or_default();
        contents.first_seq = 1;
        contents.last_seq = contents.last_seq.max(seq);
        contents.messages += 1;
        contents.read.insert(seq, ("s.0".into(), value(number)));
    }

    fn lose(&mut self, seq: u64) {
        let contents = self.audit.get_mut("S").unwrap();
        contents.read.remove(&seq);
        contents.messages -= 1;
    }

    fn removal(&mut self, from: u64, to: u64) -> &mut Removal {
        self.history.removals.push(Removal {
            stream: "S".into(),
            from,
            to,
            confirmed: None,
        });
        self.history.removals.last_mut().unwrap()
    }

    #[track_caller]
    fn finds(&self, invariant: &str) {
        let found = judge(&self.history, &self.audit);
        let names: Vec<_> = found.iter().map(|violation| violation.invariant).collect();
        assert!(names.contains(&invariant), "{found:?}");
    }

    #[track_caller]
    fn is_good(&self) {
        assert_eq!(judge(&self.history, &self.audit), []);
    }
}

#[test]
fn a_good_history_has_nothing_wrong() {
    Case::good().is_good();
}

#[test]
fn an_acknowledged_message_that_cannot_be_read_is_lost() {
    let mut case = Case::good();
    case.lose(2);
    case.finds("no_loss");
}

#[test]
fn removals_and_limits_excuse_what_they_took_and_no_more() {
    let mut case = Case::good();
    case.lose(2);
    case.removal(2, 2);
    case.is_good();
    let mut case = Case::good();
    case.history.streams.get_mut("S").unwrap().messages_max = 3;
    case.lose(1);
    case.is_good();
    case.lose(2);
    case.finds("no_loss");
}

#[test]
fn an_unknown_publish_may_be_stored_or_not() {
    let mut case = Case::good();
    case.publish(4);
    case.is_good();
    case.stored(4, 5);
    case.is_good();
}

#[test]
fn a_refused_publish_that_is_stored_is_invented() {
    let mut case = Case::good();
    case.publish(4);
    case.end(4, Outcome::Failed);
    case.is_good();
    case.stored(4, 5);
    case.finds("no_invention");
}

#[test]
fn a_body_that_nobody_sent_is_invented() {
    let mut case = Case::good();
    case.history.learn("S", 5, "s.0", b"<v0.9>");
    case.finds("no_invention");
    let mut case = Case::good();
    case.history.learn("S", 1, "s.1", &value(0).payload(0));
    case.finds("no_invention");
}

#[test]
fn a_sequence_that_changes_its_meaning_is_found() {
    let mut case = Case::good();
    case.publish(4);
    case.ack(4, 2);
    case.finds("sequence_is_forever");
}

#[test]
fn a_message_at_two_places_is_found() {
    let mut case = Case::good();
    case.stored(2, 5);
    case.finds("stored_once");
}

#[test]
fn counts_that_do_not_fit_are_found() {
    let mut case = Case::good();
    case.audit.get_mut("S").unwrap().messages = 5;
    case.finds("counts_are_true");
}

#[test]
fn overtaking_on_one_connection_is_found() {
    let mut case = Case::good();
    case.publish(4);
    case.publish(5);
    case.stored(4, 6);
    case.stored(5, 5);
    case.finds("order");
}

#[test]
fn an_id_stored_twice_or_called_a_duplicate_too_early_is_found() {
    let mut case = Case::good();
    case.publish(3);
    case.ack(3, 5);
    case.finds("dedup");
    let mut case = Case::good();
    case.publish(4);
    case.stored(4, 5);
    let at = case.history.at(Instant(0));
    let (seq, duplicate) = (5, true);
    case.end(4, Outcome::Acked { seq, duplicate, at });
    case.finds("dedup");
}

#[test]
fn a_conditional_publish_behind_another_message_is_found() {
    let mut case = Case::good();
    let publish = case.history.publishes.get_mut(&value(3));
    publish.unwrap().expected = Some(3);
    case.is_good();
    let publish = case.history.publishes.get_mut(&value(3));
    publish.unwrap().expected = Some(2);
    case.finds("compare_and_set");
}

#[test]
fn a_last_sequence_that_goes_back_is_found() {
    let mut case = Case::good();
    for last_seq in [4, 3] {
        let asked = case.history.at(Instant(0));
        let answered = case.history.at(Instant(0));
        case.history.infos.push(Info {
            stream: "S".into(),
            asked,
            answered,
            last_seq,
        });
    }
    case.finds("last_seq");
    let mut case = Case::good();
    case.lose(4);
    case.removal(4, 4);
    case.audit.get_mut("S").unwrap().last_seq = 3;
    case.finds("last_seq");
}

#[test]
fn a_confirmed_acknowledgement_is_final() {
    let mut case = Case::good();
    let mut log = ConsumerLog {
        stream: "S".into(),
        ..ConsumerLog::default()
    };
    let delivered = |case: &mut Case| Delivered {
        at: case.history.at(Instant(0)),
        seq: 1,
        value: value(0),
    };
    log.deliveries.push(delivered(&mut case));
    log.confirmed.insert(1, case.history.at(Instant(0)));
    case.history.consumers.insert("C".into(), log);
    case.is_good();
    let again = delivered(&mut case);
    let log = case.history.consumers.get_mut("C").unwrap();
    log.deliveries.push(again);
    case.finds("acked_stays_acked");
}

#[test]
fn a_message_that_a_drained_consumer_never_got_is_found() {
    let mut case = Case::good();
    let log = ConsumerLog {
        stream: "S".into(),
        drained: true,
        ..ConsumerLog::default()
    };
    case.history.consumers.insert("C".into(), log);
    case.finds("nothing_skipped");
}

#[test]
fn what_was_removed_and_is_there_is_found() {
    let mut case = Case::good();
    let removal = case.removal(1, 2);
    removal.confirmed = None;
    case.is_good();
    let at = case.history.at(Instant(0));
    case.removal(1, 2).confirmed = Some(at);
    case.finds("removed_stays_removed");
}

#[test]
fn a_restart_that_changes_what_is_stored_is_found() {
    let (before, mut after) = (Case::good(), Case::good());
    assert_eq!(compare(&before.audit, &after.audit), []);
    after.lose(4);
    assert_eq!(compare(&before.audit, &after.audit).len(), 1);
}
