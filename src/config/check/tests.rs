//! What keys mean, and what nats-server 2.15.1 says when they are wrong.

mod encryption;
mod proxies;
mod releases;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::check;
use crate::fake::Fake;
use crate::options::{
    CipherSuite, ConnectionType, Curve, ExportKind, HandshakeFirst, ImportKind, Options, Peers,
    SyncInterval, TlsVersion,
};
use crate::parse_file;

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
fn memphis_takes_tenants_and_its_defaults_from_the_environment() {
    let text = "memphis { users: [{user: app, password: x}]
        tenants { acme { id: 2, users: [{user: u, password: p}] } } }\ndls_retention_hours: 5";
    let mut around = Fake::with_config(text);
    around.env.insert("ROOT_PASSWORD", "secret");
    let map = parse_file("nats.conf", &mut around).expect("follows the grammar");
    let checked = check(&map, &mut around);
    assert_eq!(checked.errors, []);
    let memphis = checked.options.memphis.expect("on");
    assert_eq!(memphis.listen.port, 6666);
    assert_eq!(memphis.listen.host, "0.0.0.0");
    assert_eq!(memphis.root_password, "secret");
    assert_eq!(memphis.dls_retention_hours, 5);
    assert_eq!(memphis.tenants.first().map(|t| t.id), Some(2));
}

#[test]
fn tenants_of_memphis_have_limits_in_the_words_of_accounts() {
    let text = "memphis { limits { max_connections: 7 }, tenants { acme { id: 2,
        limits { max_payload: 1k }, jetstream { max_file: 10M, max_streams: 3 } } } }";
    let memphis = options(text).memphis.expect("on");
    let limits = |account: &str| memphis.limits_of(account).cloned().expect("a tenant");
    assert_eq!(limits("$G").connections.connections_max, Some(7));
    assert_eq!(limits("$G").jetstream, None);
    let acme = limits("acme");
    assert_eq!(acme.connections.payload_max, Some(1000));
    let stored = acme.jetstream.expect("it was said");
    assert_eq!(
        (stored.file_max, stored.streams_max),
        (Some(10_000_000), Some(3))
    );
    assert!(memphis.limits_of("other").is_none());
    assert_ne!(
        checked("memphis { tenants { acme { id: 2, limits { no: 1 } } } }").errors,
        []
    );
}

#[test]
fn memphis_over_http_is_off_until_it_is_given_ports() {
    let rest = options("memphis: true").memphis.expect("on").rest;
    assert_eq!((rest.management, rest.gateway), (None, None));
    let text = "ui_port: 9000\nmemphis { root_password: pw, rest_gw_port: 4444, ws_port: 7770, jwt_secret: s }";
    let rest = options(text).memphis.expect("on").rest;
    let shown = |listen: Option<crate::options::Listen>| listen.map(|listen| listen.to_string());
    assert_eq!(shown(rest.management).as_deref(), Some("0.0.0.0:9000"));
    assert_eq!(shown(rest.gateway).as_deref(), Some("0.0.0.0:4444"));
    assert_eq!(shown(rest.websocket).as_deref(), Some("0.0.0.0:7770"));
    assert_eq!(rest.jwt_secret.as_deref(), Some("s"));
    let off = options("memphis { ui_port: 0 }").memphis.expect("on").rest;
    assert_eq!(off.management, None);
    assert_ne!(checked("memphis { ui_port: 70000 }").errors, []);
}

#[test]
fn memphis_takes_what_tokens_are_signed_with_and_how_long_they_hold_from_the_environment() {
    let mut around = Fake::with_config("memphis: true");
    around.env.insert("JWT_SECRET", "a");
    around.env.insert("REFRESH_JWT_SECRET", "b");
    around.env.insert("JWT_EXPIRES_IN_MINUTES", "5");
    around.env.insert("REFRESH_JWT_EXPIRES_IN_MINUTES", "soon");
    let map = parse_file("nats.conf", &mut around).expect("follows the grammar");
    let rest = check(&map, &mut around).options.memphis.expect("on").rest;
    assert_eq!(rest.jwt_secret.as_deref(), Some("a"));
    assert_eq!(rest.refresh_jwt_secret.as_deref(), Some("b"));
    let minutes = (
        rest.jwt_expires_in_minutes,
        rest.refresh_jwt_expires_in_minutes,
    );
    assert_eq!(minutes, (5, 2880));
}

#[test]
fn memphis_with_the_password_that_everyone_knows_stays_on_the_loopback_interface() {
    let memphis = options("memphis: true").memphis.expect("on");
    assert_eq!(memphis.listen.host, "127.0.0.1");
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

#[test]
fn a_tls_block_is_read_with_its_limits_on_what_may_be_negotiated() {
    let text = "tls { cert_file: c, key_file: k, verify_and_map: true, timeout: 0.5, min_version: \"1.3\"\n\
                first: \"300ms\", curve_preferences: [CurveP256, CurveP521]\n\
                cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA] }";
    let checked = checked(text);
    assert_eq!(checked.errors, []);
    // What is not served of a list is told, and the rest of it holds.
    assert_eq!(checked.unsupported.len(), 2);
    let tls = checked.options.tls.expect("on");
    assert!(tls.verify && tls.verify_and_map);
    assert_eq!(tls.timeout(), Duration::from_millis(500));
    assert_eq!(tls.min_version, TlsVersion::V1_3);
    assert_eq!(tls.curves, [Curve::P256]);
    assert_eq!(tls.cipher_suites, [CipherSuite::EcdheRsaAes128]);
    assert_eq!(
        tls.handshake_first,
        HandshakeFirst::Within(Duration::from_millis(300))
    );
}

#[test]
fn mistakes_in_a_tls_block_are_told_as_nats_server_tells_them() {
    for (inside, at, reason) in TLS_MISTAKES {
        let text = alloc::format!("tls {{ cert_file: c, key_file: k, {inside} }}");
        let expected = alloc::format!("nats.conf:1:{at}: {reason}");
        assert_eq!(errors(&text), [expected], "{text}");
    }
}

const TLS_MISTAKES: &[(&str, u32, &str)] = &[
    ("cipher_suites: [NOPE]", 49, "unrecognized cipher NOPE"),
    (
        "cipher_suites: []",
        33,
        "error parsing tls config, 'cipher_suites' cannot be empty",
    ),
    (
        "cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]",
        0,
        "insecure cipher suites configured without 'allow_insecure_cipher_suites' option set: \
         TLS_RSA_WITH_AES_128_CBC_SHA",
    ),
    (
        "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]",
        33,
        "none of these cipher suites is served",
    ),
    (
        "curve_preferences: [NOPE]",
        53,
        "unrecognized curve preference NOPE",
    ),
    (
        "min_version: \"1.1\"",
        33,
        "error parsing tls config: unsupported TLS version: TLS 1.1",
    ),
    (
        "min_version: \"9\"",
        33,
        "error parsing tls config: unknown version: 9",
    ),
    (
        "min_version: 1.2",
        33,
        "error parsing tls config: 'min_version' wrong type: 1.2",
    ),
    (
        "handshake_first: abc",
        33,
        "field \"handshake_first\"'s value \"abc\" is invalid",
    ),
    (
        "handshake_first: 3",
        33,
        "field \"handshake_first\" should be a boolean or a string, got int64",
    ),
    (
        "bogus: 1",
        33,
        "error parsing tls config, unknown field \"bogus\"",
    ),
    (
        "verify: a",
        33,
        "error parsing tls config, expected 'verify' to be a boolean",
    ),
    (
        "certs: [{cert_file: c, key_file: k}]",
        0,
        "error parsing tls config, cannot combine 'cert_file' option with 'certs' option",
    ),
    (
        "pinned_certs: [zz]",
        48,
        "error parsing tls config, 'pinned_certs' key zz does not look like hex-encoded sha256 of \
         DER encoded SubjectPublicKeyInfo",
    ),
    (
        "verify_cert_and_check_known_urls: true",
        33,
        "verify_cert_and_check_known_urls not supported in this context",
    ),
];

#[test]
fn a_websocket_block_is_read_and_without_a_port_it_is_none() {
    let text = "websocket { listen: \"127.0.0.1:-1\", no_tls: true, compress: true, origin: \"http://a\"\n\
                handshake_timeout: 3, jwt_cookie: j, headers { X-A: b }, authentication { token: t } }";
    let ws = options(text).websocket.expect("on");
    assert_eq!((ws.listen.host.as_str(), ws.listen.port), ("127.0.0.1", 0));
    assert!(ws.no_tls && ws.compression && ws.overrides_auth());
    assert_eq!(ws.handshake_timeout, Some(Duration::from_secs(3)));
    assert_eq!(ws.headers, [("X-A".into(), "b".into())]);
    assert_eq!(options("ws { no_tls: true }").websocket, None);
    assert_eq!(
        errors("ws { zap: 1 }"),
        ["nats.conf:1:5: unknown field \"zap\""]
    );
}

#[test]
fn a_websocket_block_that_does_not_fit_is_told_in_nats_servers_words() {
    let table = [
        ("", "websocket requires TLS configuration"),
        (
            "no_tls: true, origins: [\"ftp://x\"]",
            "unable to parse allowed origin \"ftp://x\": allowed origins must be absolute URLs with \
             http or https scheme",
        ),
        (
            "no_tls: true, headers { Upgrade: x }",
            "websocket: invalid header \"Upgrade\" not allowed",
        ),
        (
            "no_tls: true, headers { Sec-Websocket-Key: x }",
            "websocket: invalid header \"Sec-Websocket-Key\", \"Sec-WebSocket-\" prefix not allowed",
        ),
        (
            "no_tls: true, authorization { token: t }",
            "websocket authentication token not compatible with presence of users/nkeys",
        ),
        (
            "no_tls: true, no_auth_user: q",
            "no_auth_user: \"q\" not present as user or nkey in authorization block or account \
             configuration",
        ),
    ];
    for (inside, reason) in table {
        let users = "authorization { users = [{user: u, password: p}] }";
        let mut options = options(&alloc::format!(
            "websocket {{ port: 80, {inside} }}\n{users}"
        ));
        let told = super::settle(&mut options).expect_err(inside);
        assert_eq!(told.to_string(), reason);
    }
}
