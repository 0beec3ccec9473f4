//! What accounts may share, and what nats-server 2.15.1 says when they may not.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::fake::Fake;
use crate::options::{ExportKind, Options, ResponseType, Sampling};
use crate::parse::parse_file;

fn checked(text: &str) -> (Options, Vec<String>) {
    let mut around = Fake::with_config(text);
    let map = parse_file("nats.conf", &mut around).expect("follows the grammar");
    let checked = super::super::check(&map, &mut around);
    let errors = checked.errors.iter().map(ToString::to_string);
    (checked.options, errors.collect())
}

#[test]
fn mistakes_are_told_as_nats_server_tells_them() {
    for (accounts, expected) in MISTAKES {
        let (_, errors) = checked(&format!("accounts {{ {accounts} }}"));
        let places: Vec<_> = errors.iter().map(|e| e.splitn(4, ':').last()).collect();
        assert_eq!(places, [Some(&*format!(" {expected}"))], "{accounts}");
    }
}

const MISTAKES: &[(&str, &str)] = &[
    (
        "P { exports=[{service: \"a.*\"}] }, C { imports=[{service:{account:P,subject:b}}] }",
        "Error adding service import \"b\": service import not authorized",
    ),
    (
        "P { exports=[{stream: \"a.*\"}] }, C { imports=[{stream:{account:P,subject:b}}] }",
        "Error adding stream import \"b\": stream import not authorized",
    ),
    (
        "P { exports=[{stream: \"a.*\"}] }, C { imports=[{stream:{account:P,subject:\"a.*\"}, prefix: \"x.*\"}] }",
        "Error adding stream import \"a.*\": stream import prefix can not contain wildcard tokens",
    ),
    (
        "P { exports=[{stream: \"a.*\"}] }, C { imports=[{stream:{account:P,subject:\"a.*\"}, to: x}] }",
        "Error adding stream import \"a.*\": failed to create mapping transform for stream import subject from \"a.*\" to \"x\": invalid mapping destination: not using all of the token wildcard(s) in x",
    ),
    (
        "P { exports=[{stream: \"a.*.*\"}] }, C { imports=[{stream:{account:P,subject:\"a.*.*\"}, to: \"x.{{partition(3,1)}}\"}] }",
        "Error adding stream import \"a.*.*\": failed to create mapping transform for stream import subject from \"a.*.*\" to \"x.{{partition(3,1)}}\": invalid mapping destination: the only mapping function allowed for import transforms is {{Wildcard()}} in {{partition(3,1)}}",
    ),
    (
        "P { exports=[{stream: \"a.>\"}] }, C { imports=[{stream:{account:P,subject:\"a.>\"}, to: x}] }",
        "Error adding stream import \"a.>\": failed to create mapping transform for stream import subject from \"a.>\" to \"x\": invalid subject",
    ),
    (
        "P { exports=[{service: \"a.*.*\"}] }, C { imports=[{service:{account:P,subject:\"a.*.*\"}, to: \"x.$2\"}] }",
        "Error adding service import \"a.*.*\": failed to create mapping transform for service import subject from \"x.$2\" to \"a.*.*\": invalid mapping destination: not using all of the token wildcard(s) in x.$2",
    ),
    (
        "P { exports=[{service: \"a.*.*\"}] }, C { imports=[{service:{account:P,subject:\"a..*\"}, to: \"x.$2\"}] }",
        "Error adding service import \"a..*\": sublist: invalid subject",
    ),
    (
        "P { exports=[{service: \"a.*\"}] }, C { imports=[{service:{account:P,subject:\"a.*\"}},{service:{account:P,subject:\"a.*\"}}] }",
        "Duplicate service import subject \"a.*\", previously used in import for account \"P\", subject \"a.*\"",
    ),
    (
        "P { exports=[{stream: \"a.*\"}] }, C { imports=[{stream:{account:P,subject:\"a.*\"}},{stream:{account:P,subject:\"a.*\"}, prefix: q}] }",
        "Error adding stream import \"a.*\": stream import already exists",
    ),
    (
        "P { exports=[{service: \"a.*\", accounts: [D]}] }, C { imports=[{service:{account:P,subject:\"a.*\"}}] }, D {}",
        "Error adding service import \"a.*\": service import not authorized",
    ),
    (
        "P { exports=[{service: \"a.*\", accounts: [D]}] }",
        "\"D\" account not defined for service export",
    ),
    (
        "P { exports=[{stream: \"a.*\", account_token_position: 2}] }, C { imports=[{stream:{account:P,subject:\"a.C\"}}] }, D { imports=[{stream:{account:P,subject:\"a.C\"}}] }",
        "Error adding stream import \"a.C\": stream import not authorized",
    ),
    (
        "P { exports=[{stream: \"a.*\", account_token_position: 1}] }",
        "Error adding stream export \"a.*\": sublist: invalid subject",
    ),
    (
        "P { exports=[{stream: a}] }, C { imports=[{stream:{account:Q,subject:a},to:q}] }",
        "\"Q\" account not defined for stream import",
    ),
    (
        "P { exports=[{service: a}], imports=[{service:{account:C,subject:a}}] }, C { exports=[{service: a}], imports=[{service:{account:P,subject:a}}] }",
        "Error adding service import \"a\": import forms a cycle",
    ),
    (
        "P { exports=[{stream: a}], imports=[{stream:{account:C,subject:a}}] }, C { exports=[{stream: a}], imports=[{stream:{account:P,subject:a}}] }",
        "Error adding stream import \"a\": import forms a cycle",
    ),
    (
        "P { exports=[{service: a, response: stream, latency: {sampling: 50, subject: q}}] }",
        "Error adding service latency sampling for \"a\" on subject \"q\": bad service response type",
    ),
    (
        "P { exports=[{service: a, latency: {subject: \"q.*\"}}] }",
        "Error adding service latency sampling for \"a\" on subject \"q.*\": invalid publish subject",
    ),
    (
        "P { exports=[{service: a, latency: a}] }",
        "Error adding service latency sampling for \"a\" on subject \"a\": invalid publish subject",
    ),
    (
        "P { exports=[{service: a, latency: {sampling: 0, subject: x}}] }",
        "bad sampling percentage, should be 1-100",
    ),
    (
        "P { exports=[{service: a, latency: {sampling: 50}}] }",
        "Latency subject required, but missing",
    ),
    (
        "P { exports=[{service: a, stream: b}] }",
        "Detected stream \"b\" but already saw a service",
    ),
    (
        "P { exports=[{stream: a, latency: x}] }",
        "Detected latency directive on non-service",
    ),
    (
        "P { exports=[{stream: a, response_type: single}] }",
        "Detected response directive on non-service",
    ),
    (
        "P { exports=[{service: a, response_type: foo}] }",
        "Unknown response type: \"foo\"",
    ),
    (
        "P { exports=[{service: a, threshold: 3}] }",
        "Expected response threshold to be a parseable time duration, got int64",
    ),
    (
        "P { exports=[3 ] }",
        "Export Items should be a map with type entry, got int64",
    ),
    (
        "C { imports=[3 ] }",
        "Import Items should be a map with type entry, got int64",
    ),
    (
        "P { exports=[{service: a}] }, C { imports=[{service:{account:P}}] }",
        "Expect an account name and a subject",
    ),
    (
        "P { exports=[{service: a}] }, C { imports=[{service:P}] }",
        "Service entry should be an account map, got string",
    ),
    (
        "P { exports=[{service: a}] }, C { imports=[{service:{account:P,subject:a},allow_trace:true}] }",
        "Detected allow_trace directive on a non-stream",
    ),
    (
        "P { nkey: foo }",
        "Not a valid public nkey for an account: \"foo\"",
    ),
    (
        "P { msg_trace: {dest: \"a.*\"} }",
        "Trace destination \"a.*\" is not valid",
    ),
    (
        "P { msg_trace: {dest: a, sampling: 101} }",
        "Ttrace destination sampling value 101 is invalid, needs to be [1..100]",
    ),
];

#[test]
fn what_is_shared_is_taken_as_written() {
    let (options, errors) = checked(
        "accounts {
           P { exports: [{service: a, response: chunked, threshold: \"5s\", allow_trace: true},
                         {service: b, latency: {sampling: headers, subject: lat}},
                         {stream: s.>, accounts: [C]}, {}] },
           C { msg_trace: {dest: tr, sampling: \"20%\"},
               imports: [{stream: {account: P, subject: s.x}, to: y, allow_trace: true}] }
         }",
    );
    assert_eq!(errors, [""; 0]);
    let [p, c] = options.accounts.as_slice() else {
        panic!("two accounts")
    };
    let [a, b, s] = p.exports.as_slice() else {
        panic!("three exports, and one that is nothing")
    };
    assert!(matches!(
        a.kind,
        ExportKind::Service { response: ResponseType::Chunked, threshold: Some(five) }
            if five.as_secs() == 5
    ));
    assert!(a.allow_trace);
    let latency = b.latency.as_ref().expect("measured");
    assert_eq!(latency.sampling, Sampling::Headers);
    assert_eq!(s.accounts.as_deref(), Some(&["C".to_string()][..]));
    assert!(c.imports.first().is_some_and(|import| import.allow_trace));
    assert_eq!(c.trace.as_ref().map(|trace| trace.percent), Some(20));
}

#[test]
fn tracing_of_messages_is_read() {
    let mut around = Fake::with_config(
        "accounts {
           P { exports: [{service: a, allow_trace: true}] },
           C { msg_trace: tr, imports: [{stream: {account: P, subject: s}, allow_trace: true}] }
         }",
    );
    let map = parse_file("nats.conf", &mut around).expect("follows the grammar");
    let noted = super::super::check(&map, &mut around).unsupported;
    assert!(noted.is_empty(), "{noted:?}");
}
