//! What permissions let pass and what they stop.

use alloc::format;
use core::time::Duration;

use super::*;
use crate::limits::REPLIES_MAX;

const T0: Instant = Instant(0);

#[test]
fn without_rules_everything_is_allowed() {
    let mut permit = permit(PermissionSpec::default());
    assert!(permit.may_publish(b"a", T0));
    assert!(permit.may_subscribe(b">", Some(b"q")));
    assert!(permit.may_deliver(b"a", None));
}

#[test]
fn publishing_needs_an_allow_entry_and_no_deny_entry() {
    let mut permit = permit(PermissionSpec {
        publish: spec(Some(&["a.*", "b.>"]), &["b.no"]),
        ..PermissionSpec::default()
    });
    for _ in 0..2 {
        for (subject, expected) in [
            ("a.x", true),
            ("a.x.y", false),
            ("b.x.y", true),
            ("b.no", false),
            ("c", false),
        ] {
            assert_eq!(
                permit.may_publish(subject.as_bytes(), T0),
                expected,
                "{subject}"
            );
        }
    }
}

#[test]
fn a_subscription_must_lie_within_an_allow_entry() {
    let mut permit = permit(PermissionSpec {
        subscribe: spec(Some(&["foo.*", "bar.>"]), &[]),
        ..PermissionSpec::default()
    });
    for (subject, expected) in [
        ("foo.*", true),
        ("foo.x", true),
        ("foo.>", false),
        (">", false),
        ("bar.*.x", true),
        ("bar.>", true),
        ("*.x", false),
    ] {
        assert_eq!(
            permit.may_subscribe(subject.as_bytes(), None),
            expected,
            "{subject}"
        );
    }
}

#[test]
fn entries_with_a_queue_decide_about_queue_groups() {
    let mut allowed = permit(PermissionSpec {
        subscribe: spec(
            Some(&["q.x grp", "q.y g.*", "both", "both vip", "plain"]),
            &[],
        ),
        ..PermissionSpec::default()
    });
    for (subject, queue, expected) in [
        ("q.x", "", false),
        ("q.x", "grp", true),
        ("q.x", "other", false),
        ("q.y", "g.1", true),
        ("q.y", "h", false),
        ("both", "", true),
        ("both", "vip", true),
        ("both", "other", false),
        ("plain", "any", true),
    ] {
        assert_eq!(
            allowed.may_subscribe(subject.as_bytes(), named(queue)),
            expected,
            "{subject} {queue}"
        );
    }
    let mut denied = permit(PermissionSpec {
        subscribe: spec(None, &["foo.bar", "q.x grp", "q.y g.*"]),
        ..PermissionSpec::default()
    });
    for (subject, queue, expected) in [
        ("foo.bar", "", false),
        ("foo.bar", "grp", false),
        ("q.x", "", true),
        ("q.x", "grp", false),
        ("q.x", "oth", true),
        ("q.y", "g.1", false),
        ("q.y", "g", true),
    ] {
        assert_eq!(
            denied.may_subscribe(subject.as_bytes(), named(queue)),
            expected,
            "{subject} {queue}"
        );
    }
}

#[test]
fn a_subscription_wider_than_a_deny_entry_is_filtered_by_message() {
    let mut permit = permit(PermissionSpec {
        subscribe: spec(None, &["foo.bar", "q.x grp"]),
        ..PermissionSpec::default()
    });
    assert!(permit.may_subscribe(b"other.*", None));
    assert!(
        permit.may_deliver(b"foo.bar", None),
        "nothing to filter yet"
    );
    assert!(permit.may_subscribe(b"foo.*", None));
    assert!(permit.may_subscribe(b">", Some(b"grp")));
    for _ in 0..2 {
        assert!(!permit.may_deliver(b"foo.bar", None));
        assert!(!permit.may_deliver(b"foo.bar", Some(b"g")));
        assert!(permit.may_deliver(b"foo.baz", None));
        assert!(permit.may_deliver(b"q.x", None));
        assert!(permit.may_deliver(b"q.x", Some(b"other")));
        assert!(!permit.may_deliver(b"q.x", Some(b"grp")));
    }
}

#[test]
fn a_service_may_answer_what_it_was_asked_and_nothing_else() {
    let mut permit = permit(PermissionSpec {
        responses: Some(ResponseSpec::default()),
        ..PermissionSpec::default()
    });
    assert!(!permit.may_publish(b"r.1", T0));
    permit.on_delivered(b"r.1", T0);
    assert!(permit.may_publish(b"r.1", T0));
    assert!(!permit.may_publish(b"r.1", T0), "one answer only");
    permit.on_delivered(b"r.2", T0);
    assert!(
        !permit.may_publish(b"r.2", T0 + Duration::from_secs(121)),
        "too late"
    );
}

#[test]
fn the_oldest_reply_is_forgotten_when_there_are_too_many() {
    let unlimited = ResponseSpec {
        answers_max: None,
        expires: None,
    };
    let mut permit = permit(PermissionSpec {
        responses: Some(unlimited),
        ..PermissionSpec::default()
    });
    for n in 0..=REPLIES_MAX {
        permit.on_delivered(format!("r.{n}").as_bytes(), T0);
    }
    assert!(!permit.may_publish(b"r.0", T0));
    for _ in 0..3 {
        assert!(permit.may_publish(b"r.1", T0));
    }
}

#[test]
fn broken_entries_are_refused() {
    for entry in ["", "a..b", "a b c", "a .b"] {
        let spec = PermissionSpec {
            publish: spec(None, &[entry]),
            ..PermissionSpec::default()
        };
        assert_eq!(
            Permissions::new(&spec, 1).err(),
            Some(InvalidSubject),
            "{entry:?}"
        );
    }
}

fn permit(spec: PermissionSpec) -> Permit {
    Permit::new(Rc::new(Permissions::new(&spec, 1).unwrap()), 1)
}

fn spec(allow: Option<&[&str]>, deny: &[&str]) -> SubjectSpec {
    let list = |entries: &[&str]| entries.iter().map(|e| e.as_bytes().to_vec()).collect();
    SubjectSpec {
        allow: allow.map(list),
        deny: list(deny),
    }
}

fn named(queue: &str) -> Option<&[u8]> {
    (!queue.is_empty()).then_some(queue.as_bytes())
}
