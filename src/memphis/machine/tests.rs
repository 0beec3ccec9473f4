//! Whole requests against a host that remembers streams.

use alloc::collections::BTreeSet;
use alloc::vec;

use super::*;

const ACCOUNT: AccountId = AccountId(0);
const OK: &[u8] = br#"{"type":"io.nats.jetstream.api.v1.stream_create_response"}"#;

/// Executes API requests at once; `refuse` is the stream it answers with an error.
#[derive(Default)]
struct FakeHost {
    streams: BTreeSet<String>,
    refuse: Option<(String, &'static str)>,
    asked: Vec<(TaskId, String)>,
    answers: Vec<String>,
}

impl Host for FakeHost {
    fn api(&mut self, _: AccountId, task: TaskId, subject: &str, _: &[u8]) {
        self.asked.push((task, subject.into()));
    }

    fn reply(&mut self, _: AccountId, to: &[u8], payload: &[u8]) {
        assert_eq!(to, b"inbox");
        self.answers
            .push(String::from_utf8(payload.to_vec()).unwrap());
    }

    fn streams(&self, _: AccountId) -> Vec<String> {
        self.streams.iter().cloned().collect()
    }
}

/// Sends a request and answers what it asks until it is done; returns the reply.
fn ask(host: &mut FakeHost, subject: &str, body: &str) -> String {
    let mut memphis = Memphis::default();
    memphis.request(ACCOUNT, subject.as_bytes(), b"inbox", body.as_bytes(), host);
    while let Some((task, subject)) = host.asked.pop() {
        let mut answer = OK.to_vec();
        if let Some(stream) = subject.strip_prefix("$JS.API.STREAM.CREATE.") {
            match &host.refuse {
                Some((refused, error)) if refused == stream => answer = error.as_bytes().to_vec(),
                Some(_) | None => {
                    host.streams.insert(stream.into());
                }
            }
        } else if let Some(stream) = subject.strip_prefix("$JS.API.STREAM.DELETE.") {
            host.streams.remove(stream);
        }
        memphis.api_done(task, &answer, host);
    }
    assert!(memphis.tasks.is_empty(), "a task was left behind");
    host.answers.pop().expect("no answer")
}

const ORDERS: &str = r#"{"name":"Orders.EU","partitions_number":3,"retention_value":3600}"#;

#[test]
fn a_station_becomes_its_partition_streams() {
    let mut host = FakeHost::default();
    assert_eq!(ask(&mut host, STATION_CREATIONS, ORDERS), "");
    assert_eq!(
        host.streams(ACCOUNT),
        ["orders#eu$1", "orders#eu$2", "orders#eu$3"]
    );
}

#[test]
fn creating_a_station_again_succeeds_and_changes_nothing() {
    let mut host = FakeHost::default();
    ask(&mut host, STATION_CREATIONS, ORDERS);
    let more = ORDERS.replace('3', "5");
    assert_eq!(ask(&mut host, STATION_CREATIONS, &more), "");
    assert_eq!(host.streams.len(), 3);
}

#[test]
fn a_stream_of_the_name_in_another_case_is_the_station() {
    let mut host = FakeHost::default();
    host.streams.insert("Test".into());
    let body = r#"{"name":"test","partitions_number":1}"#;
    assert_eq!(ask(&mut host, STATION_CREATIONS, body), "");
    assert_eq!(host.streams(ACCOUNT), vec!["Test"]);
}

#[test]
fn a_station_that_cannot_be_made_whole_is_removed() {
    let mut host = FakeHost {
        refuse: Some((
            "orders#eu$3".into(),
            r#"{"error":{"code":500,"err_code":10047,"description":"insufficient storage"}}"#,
        )),
        ..FakeHost::default()
    };
    assert_eq!(
        ask(&mut host, STATION_CREATIONS, ORDERS),
        "insufficient storage"
    );
    assert!(host.streams.is_empty());
}

#[test]
fn too_many_replicas_are_refused_in_memphis_words() {
    let mut host = FakeHost {
        refuse: Some((
            "orders#eu$1".into(),
            r#"{"error":{"code":500,"err_code":10074,"description":"replicas > 1 not supported in non-clustered mode"}}"#,
        )),
        ..FakeHost::default()
    };
    assert_eq!(
        ask(&mut host, STATION_CREATIONS, ORDERS),
        "station can not be created, probably since replicas count is larger than the cluster size"
    );
}

#[test]
fn removing_a_station_removes_all_its_streams_and_says_when_there_is_none() {
    let mut host = FakeHost::default();
    host.streams.insert("other$1".into());
    ask(&mut host, STATION_CREATIONS, ORDERS);
    let body = r#"{"station_name":"orders.eu","username":"root"}"#;
    assert_eq!(ask(&mut host, STATION_DESTRUCTIONS, body), "");
    assert_eq!(host.streams(ACCOUNT), vec!["other$1"]);
    assert!(ask(&mut host, STATION_DESTRUCTIONS, body).contains("not exist"));
}

#[test]
fn a_body_that_is_no_object_is_answered() {
    let mut host = FakeHost::default();
    assert!(ask(&mut host, STATION_CREATIONS, "[1]").contains("JSON"));
}
