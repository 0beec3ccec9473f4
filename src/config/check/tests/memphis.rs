//! The `memphis` block, and what of it comes from the environment.

use alloc::string::ToString;

use super::{check, checked, options};
use crate::fake::Fake;
use crate::parse::parse_file;

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
