//! The documents have the fields of those that nats-server 2.15.1 gave, and the same errors.
//! `testdata` holds its answers to the same requests, as it sent them.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::stats::Damage;
use crate::testing::Fixture;

fn get(target: &str) -> Response {
    get_from(&Fixture::default(), target)
}

fn get_from(source: &Fixture, target: &str) -> Response {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let endpoint = endpoint("", path).expect("a path");
    respond(source, endpoint, query)
}

fn body(response: &Response) -> &str {
    core::str::from_utf8(&response.body).expect("text")
}

/// Collects the paths of all fields; what is in lists and under free keys counts as one.
fn shape(value: &Value, path: &str, out: &mut BTreeSet<String>) {
    const FREE_KEYS: [&str; 3] = ["/http_req_stats", "/feature_flags", "/metadata"];
    match value {
        Value::Object(fields) if FREE_KEYS.iter().any(|free| path.ends_with(free)) => {
            assert!(!fields.is_empty());
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = format!("{path}/{key}");
                shape(value, &path, out);
                out.insert(path);
            }
        }
        Value::Array(items) => {
            for item in items {
                shape(item, path, out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn shape_of(json: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    shape(&serde_json::from_str(json).expect("JSON"), "", &mut out);
    out
}

/// Fields that nats-server shows and we do not: what only a Go program has.
const NOT_OURS: [&str; 1] = ["/git_commit"];

fn same_fields(target: &str, recorded: &str) {
    let mut expected = shape_of(recorded);
    expected.retain(|path| !NOT_OURS.contains(&path.as_str()));
    // How streams and consumers are configured is told by the protocol crate.
    let is_config = |path: &String| path.contains("_detail/") && path.contains("/config/");
    expected.retain(|path| !is_config(path));
    let mut ours = shape_of(body(&get(target)));
    ours.retain(|path| !is_config(path));
    let missing: Vec<_> = expected.difference(&ours).collect();
    let extra: Vec<_> = ours.difference(&expected).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{target}: missing {missing:?}, not in nats-server's: {extra:?}"
    );
}

#[test]
fn documents_have_the_fields_of_nats_servers() {
    same_fields("/varz", include_str!("testdata/varz.json"));
    same_fields("/connz", include_str!("testdata/connz.json"));
    same_fields(
        "/connz?auth=1&subs=detail",
        include_str!("testdata/connz_detail.json"),
    );
    same_fields(
        "/connz?state=closed",
        include_str!("testdata/connz_closed.json"),
    );
    same_fields("/subsz?subs=1", include_str!("testdata/subsz.json"));
    same_fields("/jsz", include_str!("testdata/jsz.json"));
    same_fields(
        "/jsz?accounts=1&streams=1&consumers=1&config=1",
        include_str!("testdata/jsz_detail.json"),
    );
    same_fields("/accountz", include_str!("testdata/accountz.json"));
    same_fields("/accountz?acc=A", include_str!("testdata/accountz_a.json"));
    same_fields("/accountz?acc=B", include_str!("testdata/accountz_b.json"));
    same_fields("/accstatz", include_str!("testdata/accstatz.json"));
    same_fields("/routez", include_str!("testdata/routez.json"));
    same_fields("/gatewayz", include_str!("testdata/gatewayz.json"));
    same_fields("/leafz", include_str!("testdata/leafz.json"));
}

#[test]
fn fields_come_in_nats_servers_order() {
    let recorded = include_str!("testdata/connz.json");
    let keys = |text: &str| -> Vec<String> {
        let quoted = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix('"'));
        let keys = quoted.filter_map(|line| Some(line.split_once("\":")?.0.to_owned()));
        keys.take(24).collect()
    };
    assert_eq!(keys(body(&get("/connz"))), keys(recorded));
    let (ours, theirs) = (get("/varz"), include_str!("testdata/varz.json"));
    let theirs: Vec<_> = keys(theirs)
        .into_iter()
        .filter(|key| key != "git_commit")
        .take(20)
        .collect();
    let ours: Vec<_> = keys(body(&ours)).into_iter().take(20).collect();
    assert_eq!(ours, theirs);
}

#[test]
fn without_jetstream_its_part_is_empty() {
    let source = Fixture {
        jetstream: false,
        ..Fixture::default()
    };
    assert!(body(&get_from(&source, "/varz")).contains("\"jetstream\": {},"));
    let jsz = get_from(&source, "/jsz?accounts=1");
    assert_eq!(
        shape_of(body(&jsz)),
        shape_of(include_str!("testdata/jsz_disabled.json"))
    );
}

#[test]
fn problems_are_told_with_nats_servers_status_and_text() {
    let table = [
        ("/connz?sort=foo", 400, "invalid sorting option: foo"),
        (
            "/jsz?accounts=x",
            400,
            "Error decoding boolean for 'accounts': strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
        ("/accountz?acc=Z", 400, "Account Z does not exist"),
        ("/raftz", 404, "No Raft nodes registered"),
        ("/nope", 404, "404 page not found\n"),
        (
            "/healthz?account=Z",
            404,
            "{\"status\":\"unavailable\",\"error\":\"JetStream account \\\"Z\\\" not found\"}",
        ),
        (
            "/healthz?account=A&stream=X",
            404,
            "{\"status\":\"unavailable\",\"error\":\"JetStream stream \\\"X\\\" not found on account \\\"A\\\"\"}",
        ),
        (
            "/healthz?stream=X",
            400,
            "{\"status\":\"error\",\"error\":\"\\\"account\\\" must not be empty when checking stream health\"}",
        ),
        (
            "/healthz?account=A&stream=S1&consumer=Y",
            404,
            "{\"status\":\"unavailable\",\"error\":\"JetStream consumer \\\"Y\\\" not found for stream \\\"S1\\\" on account \\\"A\\\"\"}",
        ),
        (
            "/healthz?account=A&stream=X&details=1",
            404,
            "{\"status\":\"error\",\"errors\":[{\"type\":\"STREAM\",\"account\":\"A\",\"stream\":\"X\",\"error\":\"JetStream stream \\\"X\\\" not found on account \\\"A\\\"\"}]}",
        ),
    ];
    for (target, status, text) in table {
        let response = get(target);
        assert_eq!(
            (response.status, body(&response)),
            (status, text),
            "{target}"
        );
    }
}

#[test]
fn a_healthy_broker_says_ok_in_one_line() {
    for target in [
        "/healthz",
        "/healthz?details=1",
        "/healthz?account=A&stream=S1",
    ] {
        let response = get(target);
        assert_eq!(response.status, 200);
        assert_eq!(body(&response), "{\"status\":\"ok\"}");
    }
}

#[test]
fn damage_and_recovery_are_not_healthy() {
    let mut source = Fixture::default();
    source.health.damaged.push(Damage {
        account: "A".to_owned(),
        stream: "S1".to_owned(),
        lost: 3,
    });
    assert_eq!(get_from(&source, "/healthz").status, 503);
    assert_eq!(
        get_from(&source, "/healthz?account=A&stream=S1").status,
        503
    );
    assert_eq!(
        get_from(&source, "/healthz?account=A&stream=M1").status,
        200
    );
    assert_eq!(get_from(&source, "/healthz?js-server-only=1").status, 200);
    source.health.unavailable = Some("recovery: 3 of 9 files read".to_owned());
    let response = get_from(&source, "/healthz?js-server-only=1");
    assert_eq!(response.status, 503);
    assert!(body(&response).contains("recovery: 3 of 9 files read"));
}

#[test]
fn a_base_path_is_taken_off() {
    assert_eq!(endpoint("/mon", "/mon/varz/"), Some("/varz"));
    assert_eq!(endpoint("/mon/", "/mon"), Some("/"));
    assert_eq!(endpoint("/mon", "/varz"), None);
    assert_eq!(endpoint("/mon", "/monitor"), None);
    assert_eq!(endpoint("/", "/varz"), Some("/varz"));
    assert_eq!(endpoint("", "/"), Some("/"));
}

#[test]
fn metrics_name_streams_and_consumers() {
    let response = get("/metrics");
    let text = body(&response);
    assert!(text.contains("\nbeale_connections 2\n"));
    assert!(text.contains("beale_stream_messages{account=\"A\",stream=\"S1\"} 0\n"));
    assert!(
        text.contains("beale_consumer_pending{account=\"A\",stream=\"S1\",consumer=\"C1\"} 0\n")
    );
}

#[test]
fn the_index_links_to_documents_that_exist() {
    let response = get("/");
    let links = body(&response).split("href=./").skip(1);
    let mut count = 0;
    for link in links {
        let path = link.split('>').next().unwrap_or_default();
        let target = format!("/{path}");
        assert_ne!(body(&get(&target)), "404 page not found\n", "{target}");
        count += 1;
    }
    assert!(count > 10);
}

#[test]
fn a_full_disk_is_not_healthy_but_no_reason_to_start_anew() {
    let mut source = Fixture::default();
    source.health.refuses = Some("JetStream cannot make its next log file".to_owned());
    let response = get_from(&source, "/healthz");
    assert_eq!(response.status, 503);
    assert!(body(&response).contains("next log file"));
    assert_eq!(get_from(&source, "/healthz?js-server-only=1").status, 200);
    assert_eq!(get_from(&source, "/healthz?js-enabled-only=1").status, 200);
}

#[test]
fn the_system_account_exports_what_every_account_imports_of_it() {
    let text = get("/accountz?acc=SYS");
    let document: Value = serde_json::from_str(body(&text)).unwrap();
    let detail = document.get("account_detail").unwrap();
    let of = |list: &str, key: &str| -> Vec<String> {
        let list = detail.get(list).and_then(|l| l.as_array()).unwrap();
        let told = list.iter().filter_map(|entry| entry.get(key)?.as_str());
        told.map(str::to_owned).collect()
    };
    let exports = [
        "$SYS.REQ.ACCOUNT.*.CONNZ",
        "$SYS.REQ.ACCOUNT.*.STATZ",
        "$SYS.DEBUG.SUBSCRIBERS",
        "$SYS.REQ.USER.*.INFO",
        "$JS.API.>",
    ];
    assert_eq!(of("exports", "subject"), exports);
    assert_eq!(of("imports", "subject"), ["$SYS.REQ.USER.SYS.INFO"]);
}
