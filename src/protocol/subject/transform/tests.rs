//! What nats-server 2.15.1 made of the same subjects.

use alloc::string::{String, ToString};

use super::*;

fn apply(source: &str, destination: &str, subject: &str) -> String {
    let transform = Transform::new(source, destination).unwrap();
    assert!(transform.matches(subject.as_bytes()), "{subject}");
    let (mut rng, mut out) = (Rng::new(1, 1), Vec::new());
    transform.apply(subject.as_bytes(), &mut rng, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn wildcards_are_copied_by_their_number() {
    assert_eq!(
        apply("in.*.*", "out.{{wildcard(2)}}.$1", "in.a.b"),
        "out.b.a"
    );
    assert_eq!(apply("w.*", "q.{{ Wildcard( 1 ) }}", "w.foo"), "q.foo");
    assert_eq!(apply("z.*.*", "z.{{wildcard(0)}}.$2", "z.a.b"), "z.z.b");
    assert_eq!(apply("z.*", "z.$x.$", "z.a"), "z.$x.$");
}

#[test]
fn what_a_full_wildcard_stands_for_is_appended() {
    assert_eq!(apply("t.*.>", "t.>", "t.a.b.c"), "t.b.c");
    assert_eq!(apply("t2.*.>", "t3.$1.>", "t2.a.b.c"), "t3.a.b.c");
    assert_eq!(apply("", "p.>", "a.b"), "p.a.b");
    assert_eq!(apply(">", ">", "a.b"), "a.b");
    assert_eq!(apply("s.>", ">", "s.a.b"), "a.b");
}

#[test]
fn partitions_are_the_hashes_that_clients_calculate() {
    for (source, destination, subject, expected) in [
        ("part.*", "p.{{partition(10,1)}}", "part.blue", "p.1"),
        ("part.*", "p.{{partition(10,1)}}", "part.green", "p.4"),
        ("lit", "x.{{partition(10)}}", "lit", "x.0"),
        ("lit2", "x.{{partition(10,1)}}", "lit2", "x.6"),
        (
            "w.*",
            "q.{{partition(0)}}.{{partition(5)}}",
            "w.foo",
            "q.0.1",
        ),
    ] {
        assert_eq!(apply(source, destination, subject), expected, "{subject}");
    }
}

#[test]
fn tokens_are_cut() {
    for (call, token, expected) in [
        ("split(1,-)", "-a-b--c", "a.b.c"),
        ("split(1,-)", "-a-", "a"),
        ("split(1,-)", "--a", ".a"),
        ("split(1,-)", "--", ""),
        ("left(1,2)", "abcd", "ab"),
        ("left(1,9)", "abcd", "abcd"),
        ("right(1,2)", "abcd", "cd"),
        ("right(1,0)", "abcd", "abcd"),
        ("SplitFromLeft(1,3)", "abcdef", "abc.def"),
        ("SplitFromRight(1,2)", "abcdef", "abcd.ef"),
        ("splitfromleft(1,6)", "abcdef", "abcdef"),
        ("SliceFromLeft(1,2)", "abcde", "ab.cd.e"),
        ("SliceFromRight(1,2)", "abcde", "a.bc.de"),
        ("slicefromright(1,2)", "abcd", "ab.cd"),
        ("slicefromleft(1,-1)", "abcd", "abcd"),
    ] {
        let destination = "{{".to_string() + call + "}}";
        assert_eq!(apply("*", &destination, token), expected, "{call} {token}");
    }
}

#[test]
fn random_numbers_stay_below_the_bound() {
    let transform = Transform::new("r.*", "r.{{random(3)}}").unwrap();
    let mut rng = Rng::new(7, 1);
    let mut seen = [false; 3];
    for _ in 0..100 {
        let mut out = Vec::new();
        transform.apply(b"r.x", &mut rng, &mut out);
        let drawn = out.strip_prefix(b"r.").unwrap();
        seen[usize::from(drawn[0] - b'0')] = true;
        assert_eq!(drawn.len(), 1);
    }
    assert_eq!(seen, [true; 3]);
    assert_eq!(apply("r.*", "r.{{random(0)}}", "r.x"), "r.0");
}

#[test]
fn what_cannot_work_is_refused_with_the_reason() {
    for (source, destination, error) in [
        ("a.*", "b.>", "invalid subject"),
        ("a.*", "b.*", "invalid subject"),
        (
            "a.*",
            "b.$2",
            "invalid mapping destination: wildcard index out of range in $2: [2]",
        ),
        (
            "a",
            "b.$1",
            "invalid mapping destination: wildcard index out of range in $1",
        ),
        (
            "a.*",
            "b.{{wildcard()}}",
            "invalid mapping destination: not enough arguments passed to the function in \
             {{wildcard()}}",
        ),
        (
            "a.*",
            "b.{{left(1,2,3)}}",
            "invalid mapping destination: too many arguments passed to the function in \
             {{left(1,2,3)}}",
        ),
        ("a.*", "b.{{split(1, )}}", ""),
        (
            "a.*",
            "b.{{no(1)}}",
            "invalid mapping destination: unknown function in {{no(1)}}",
        ),
    ] {
        let found =
            Transform::new(source, destination).map_or_else(|e| e.to_string(), |_| String::new());
        assert_eq!(found, error, "{source} to {destination}");
    }
}
