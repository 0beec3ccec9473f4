//! What keys mean, and what nats-server 2.15.1 says when they are wrong.

mod encryption;
mod memphis;
mod proxies;
mod releases;
mod tls;
mod websocket;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::check;
use crate::fake::Fake;
use crate::options::{ConnectionType, ExportKind, ImportKind, Options, Peers, SyncInterval};
use crate::parse::parse_file;

fn checked(text: &str) -> super::Checked {
    let mut around = Fake::with_config(text);
    let map = parse_file("nats.conf", &mut around).expect("follows the grammar");
    check(&map, &mut around)
}

fn options(text: &str) -> Options {
    let checked = checked(text);
    assert_eq!(checked.errors, []);
    checked.options
}

fn errors(text: &str) -> Vec<String> {
    checked(text)
        .errors
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn an_option_that_is_not_set_has_nats_servers_default() {
    let options = options("debug: false");
    let expected = Options::default();
    assert_eq!(options, expected);
    assert_eq!(expected.limits.payload_max, 1_048_576);
    assert_eq!(expected.ping_interval, Duration::from_secs(120));
}

#[test]
fn keys_are_matched_in_any_case_and_by_their_aliases() {
    let options = options("Max_Conn: 7\nMAX_SUBS: 8\nmonitor_port: 8222\nnet: localhost");
    assert_eq!(options.limits.connections_max, 7);
    assert_eq!(options.limits.subscriptions_max, 8);
    assert_eq!(options.http.expect("on").port, 8222);
    assert_eq!(options.listen.expect("on").host, "localhost");
}

#[test]
fn a_number_is_no_password() {
    let reason = "interface conversion: interface {} is int64, not string";
    for text in [
        "authorization {user: a, password: 0123}",
        "authorization {token: 5k}",
        "accounts {A {users: [{user: 1, password: a}]}}",
    ] {
        let errors = errors(text);
        assert!(
            errors.iter().any(|e| e.ends_with(reason)),
            "{text}: {errors:?}"
        );
    }
}

#[test]
fn listen_takes_ports_and_addresses() {
    let table = [
        ("listen: 4300", "0.0.0.0", 4300),
        ("listen: \"127.0.0.1:-1\"", "127.0.0.1", 0),
        ("listen: \"[::1]:5000\"", "::1", 5000),
        ("port: -1", "0.0.0.0", 0),
        ("port: 0", "0.0.0.0", 4222),
    ];
    for (text, host, port) in table {
        let listen = options(text).listen.expect("on");
        assert_eq!((listen.host.as_str(), listen.port), (host, port), "{text}");
    }
}

#[test]
fn mistakes_are_told_as_nats_server_tells_them() {
    for (text, expected) in MISTAKES {
        assert_eq!(errors(text), [*expected], "{text}");
    }
}

const MISTAKES: &[(&str, &str)] = &[
    ("\n\nfoo = 3", "nats.conf:3:1: unknown field \"foo\""),
    (
        "cluster { zap: 1, name: x }",
        "nats.conf:1:10: unknown field \"zap\"",
    ),
    (
        "listen: localhost",
        "nats.conf:1:0: could not parse address string \"localhost\"",
    ),
    (
        "listen: \"127.0.0.1:x\"",
        "nats.conf:1:0: could not parse port \"x\"",
    ),
    (
        "max_payload: 3000000000",
        "nats.conf:1:0: max_payload value is too big",
    ),
    (
        "max_sub_tokens: 300",
        "nats.conf:1:0: max_subscription_tokens value is too big",
    ),
    (
        "ping_interval: \"5x\"",
        "nats.conf:1:0: error parsing ping_interval: time: unknown unit \"x\" in duration \"5x\"",
    ),
    (
        "lame_duck_duration: \"10s\"",
        "nats.conf:1:0: invalid lame_duck_duration of 10s, minimum is 30 seconds",
    ),
    (
        "authorization { user: a, password: b, token: c }",
        "nats.conf:1:0: Cannot have a user/pass and token",
    ),
    (
        "authorization { users: [{user: b, pasword: c}] }",
        "nats.conf:1:34: unknown field \"pasword\"",
    ),
    (
        "authorization { users: [{user: b, password: c},{user: b, password: d}] }",
        "nats.conf:1:0: Duplicate user \"b\" detected",
    ),
    (
        "accounts { A { limits: {foo: 1} } }",
        "nats.conf:1:24: Unknown field \"foo\" parsing account limits",
    ),
    (
        "accounts { $G { } }",
        "nats.conf:1:11: \"$G\" is a Reserved Account",
    ),
    (
        "accounts: [A, A]",
        "nats.conf:1:14: Duplicate Account Entry: A",
    ),
    (
        "jetstream: maybe",
        "nats.conf:1:0: Expected 'enabled' or 'disabled' for string value, got 'maybe'",
    ),
    (
        "jetstream: {store_dir: \"/x\"}\nstore_dir: \"/y\"",
        "nats.conf:2:1: Duplicate 'store_dir' configuration",
    ),
    (
        "tls { cert_file: x }",
        "nats.conf:1:0: missing 'key_file' in TLS configuration",
    ),
    (
        "mappings = { foo: [{dest: a, weight: 60%},{dest: b, weight: 60%}] }",
        "nats.conf:1:13: Error adding mapping for \"foo\" : total weight needs to be <= 100",
    ),
];

#[test]
fn all_mistakes_are_told_at_once() {
    assert_eq!(errors("foo: 1\nbar: 2\ncluster { zap: 1 }").len(), 3);
}

#[test]
fn a_key_that_only_a_variable_refers_to_is_no_mistake() {
    assert_eq!(options("X: 4333\nport: $X").listen.expect("on").port, 4333);
    assert_eq!(errors("X: 4333\nport: 1").len(), 1);
}

#[test]
fn numbers_for_durations_count_as_seconds_and_are_warned_about() {
    let checked = checked("write_deadline: 5");
    assert_eq!(checked.options.write_deadline, Duration::from_secs(5));
    let warnings: Vec<_> = checked.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "nats.conf:1:0: invalid use of field \"write_deadline\": write_deadline should be converted to a duration"
        ]
    );
}

#[test]
fn permissions_come_in_three_forms() {
    let options = options(
        "authorization { users: [
           {user: a, password: b, permissions: {publish: foo, subscribe: [\"a q\", b]}}
           {user: c, password: d, permissions: {
              publish: {allow: [x, y], deny: z}, allow_responses: {max: 5, expires: \"1m\"}}}
           {user: e, password: f, permissions: {allow_responses: true}
            allowed_connection_types: [standard]}
         ] }"
        .replace("}\n           {", "},\n           {")
        .as_str(),
    );
    let [a, c, e] = options.auth.users.as_slice() else {
        panic!("three users")
    };
    let a = a.permissions.as_ref().expect("has permissions");
    let publish = a.publish.as_ref().expect("publish");
    assert_eq!(publish.allow.as_deref(), Some(&["foo".to_string()][..]));
    let c = c.permissions.as_ref().expect("has permissions");
    assert_eq!(c.publish.as_ref().expect("publish").deny, ["z"]);
    let limits = c.responses.expect("may respond");
    assert_eq!(limits.msgs_max, Some(5));
    assert_eq!(limits.expires, Some(Duration::from_secs(60)));
    assert_eq!(e.allowed_connection_types, [ConnectionType::Standard]);
    // Who may answer may publish nothing else.
    let e = e.permissions.as_ref().expect("has permissions");
    assert_eq!(e.publish.as_ref().expect("publish").allow, Some(Vec::new()));
}

#[test]
fn subjects_in_permissions_are_checked() {
    let config = |permissions: &str| {
        errors(
            &[
                "authorization { users: [{user: a, password: b, permissions: {",
                permissions,
                "}}]}",
            ]
            .concat(),
        )
    };
    assert_eq!(config("publish: \"foo..bar\"").len(), 1);
    assert_eq!(config("publish: \"foo bar\"").len(), 1);
    assert_eq!(config("subscribe: \"a b c\"").len(), 1);
    assert_eq!(config("subscribe: \"a.> q\"").len(), 0);
}

#[test]
fn accounts_have_users_limits_jetstream_and_share() {
    let options = options(
        "accounts {
           A { users: [{user: a, password: b}], jetstream: {max_mem: 1G, max_file: -1, max_streams: 3}
               exports: [{service: q.>, accounts: [B]}, {stream: s}], limits: {max_conn: 4} }
           B { jetstream: enabled, imports: [{service: {account: A, subject: q.x}, to: y}] }
         }",
    );
    let [a, b] = options.accounts.as_slice() else {
        panic!("two accounts")
    };
    let js = a.jetstream.as_ref().expect("on");
    assert_eq!(js.memory_max, Some(1_000_000_000));
    assert_eq!((js.file_max, js.streams_max), (None, Some(3)));
    assert_eq!(a.limits.connections_max, Some(4));
    assert!(matches!(
        a.exports.first().map(|e| e.kind),
        Some(ExportKind::Service { .. })
    ));
    let import = b.imports.first().expect("imports");
    assert_eq!(import.account, "A");
    assert!(matches!(&import.kind, ImportKind::Service { to: Some(to), .. } if to == "y"));
}

#[test]
fn jetstream_settings_are_taken() {
    let js = options(
        "jetstream { store_dir: /data, max_mem: 1GB, max_file: \"10G\", domain: hub
           sync_interval: always, limits { max_ack_pending: 100, duplicate_window: 1m } }"
            .replace("1m }", "\"1m\" }")
            .as_str(),
    )
    .jetstream;
    assert!(js.enabled);
    assert_eq!(js.directory("/tmp"), "/data/jetstream");
    assert_eq!(js.memory_max, Some(1 << 30));
    assert_eq!(js.file_max, Some(10 << 30));
    assert_eq!(js.domain.as_deref(), Some("hub"));
    assert_eq!(js.sync_interval, SyncInterval::Always);
    assert_eq!(js.limits.ack_pending_max, Some(100));
    assert_eq!(js.limits.duplicate_window, Duration::from_secs(60));
}

#[test]
fn what_has_no_effect_is_listed_and_what_protects_is_refused() {
    let checked = checked("mqtt { port: 1883 }\njetstream { tpm { keys_file: k } }");
    let listed: Vec<_> = checked
        .unsupported
        .iter()
        .map(|u| (u.key.as_str(), u.refuse))
        .collect();
    assert_eq!(listed, [("mqtt", false), ("jetstream.tpm", true)]);
}

#[test]
fn listeners_for_others_are_opened_and_connections_to_others_are_refused() {
    let noted = |config| {
        let checked = checked(config);
        assert_eq!(checked.errors, []);
        let doors = checked.options.closed_doors.iter();
        let doors: Vec<_> = doors.map(|d| (d.peers, d.listen.port)).collect();
        (doors, checked.unsupported.first().map(|u| u.refuse))
    };
    let table = [
        ("leafnodes { port: -1 }", Some((Peers::LeafNodes, 0)), false),
        (
            "leafnodes { Remotes: [{ url: \"nats://a:7422\" }] }",
            None,
            true,
        ),
        ("leafnodes { remotes: [] }", None, false),
        ("cluster { name: x }", None, false),
        (
            "cluster { listen: \"a:6222\" }",
            Some((Peers::Cluster, 6222)),
            false,
        ),
        (
            "cluster { port: 5, routes: [\"nats://a:6222\"] }",
            Some((Peers::Cluster, 5)),
            true,
        ),
        (
            "gateway { name: A, port: 5, gateways: [{name: A, url: u}] }",
            Some((Peers::Gateway, 5)),
            false,
        ),
        (
            "gateway { name: A, port: 5, gateways: [{name: B, url: u}] }",
            Some((Peers::Gateway, 5)),
            true,
        ),
        ("mqtt { port: 1883 }", Some((Peers::Mqtt, 1883)), false),
    ];
    for (config, door, refused) in table {
        let doors = door.into_iter().collect();
        assert_eq!(noted(config), (doors, Some(refused)), "{config}");
    }
}
