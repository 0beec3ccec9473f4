//! The sublist against a list of subscriptions that is searched from end to end.

use std::collections::BTreeMap;

use proptest::prelude::*;
use routing::sublist::Sublist;

use crate::subject::{literal, naive_match, naive_overlap, pattern};

#[derive(Clone, Debug)]
enum Step {
    Insert(String, Option<&'static str>, u8),
    Remove(String, Option<&'static str>, u8),
    /// Removes the subscription at this place, counted around.
    RemoveAt(usize),
    Match(String),
    Overlap(String),
}

type Subscription = (String, Option<&'static str>, u8);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_sublist_finds_what_a_search_of_all_subscriptions_finds(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut model: Vec<Subscription> = Vec::new();
        let mut list = Sublist::new(42);
        for step in steps {
            match step {
                Step::Insert(subject, queue, value) => {
                    list.insert(subject.as_bytes(), queue.map(str::as_bytes), value)
                        .expect("patterns are generated well formed");
                    model.push((subject, queue, value));
                }
                Step::Remove(subject, queue, value) => {
                    let wanted = (subject, queue, value);
                    let at = model.iter().position(|known| *known == wanted);
                    let removed = list.remove(wanted.0.as_bytes(), queue.map(str::as_bytes), value);
                    prop_assert_eq!(removed, at.is_some());
                    at.map(|at| model.swap_remove(at));
                }
                Step::RemoveAt(at) => {
                    if model.is_empty() {
                        continue;
                    }
                    let (subject, queue, value) = model.swap_remove(at % model.len());
                    prop_assert!(list.remove(subject.as_bytes(), queue.map(str::as_bytes), value));
                }
                Step::Match(subject) => {
                    // More than once, so that the cache answers too.
                    for _ in 0..3 {
                        prop_assert_eq!(found(&mut list, &subject), expected(&model, &subject));
                    }
                }
                Step::Overlap(pattern) => {
                    let mut found = Vec::new();
                    list.overlapping(pattern.as_bytes(), |value| found.push(value));
                    found.sort_unstable();
                    let mut expected: Vec<u8> = model
                        .iter()
                        .filter(|(subject, ..)| naive_overlap(subject, &pattern))
                        .map(|(.., value)| *value)
                        .collect();
                    expected.sort_unstable();
                    prop_assert_eq!(found, expected);
                }
            }
            prop_assert_eq!(list.len(), model.len() as u64);
        }
    }
}

/// Plain values and the members of each group, sorted.
type Found = (Vec<u8>, BTreeMap<String, Vec<u8>>);

fn found(list: &mut Sublist<u8>, subject: &str) -> Found {
    let matches = list.matches(subject.as_bytes());
    let mut plain = matches.plain().to_vec();
    plain.sort_unstable();
    let mut groups = BTreeMap::new();
    for group in matches.groups() {
        let name = list
            .queue_name(group.queue)
            .expect("a group with members has a name");
        let mut members = group.members.to_vec();
        members.sort_unstable();
        let before = groups.insert(String::from_utf8_lossy(name).into_owned(), members);
        assert_eq!(before, None, "each name comes once");
    }
    (plain, groups)
}

fn expected(model: &[Subscription], subject: &str) -> Found {
    let mut plain = Vec::new();
    let mut groups: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (pattern, queue, value) in model {
        if !naive_match(pattern, subject) {
            continue;
        }
        match queue {
            None => plain.push(*value),
            Some(queue) => groups.entry((*queue).to_owned()).or_default().push(*value),
        }
    }
    plain.sort_unstable();
    for members in groups.values_mut() {
        members.sort_unstable();
    }
    (plain, groups)
}

fn step() -> impl Strategy<Value = Step> {
    let queue = || prop::sample::select(vec![None, None, Some("q"), Some("r")]);
    prop_oneof![
        4 => (pattern(), queue(), 0u8..4).prop_map(|(s, q, v)| Step::Insert(s, q, v)),
        1 => (pattern(), queue(), 0u8..4).prop_map(|(s, q, v)| Step::Remove(s, q, v)),
        3 => any::<usize>().prop_map(Step::RemoveAt),
        6 => literal().prop_map(Step::Match),
        1 => pattern().prop_map(Step::Overlap),
    ]
}
