//! Recorded requests: what nats-server 2.15.1 answered must come out here, errors and normalised
//! configurations alike. Left out of the recording because they differ on purpose: `pause_until` is shown
//! in UTC whatever zone it came in, and a name of over 255 bytes is refused for every consumer, not only
//! for durable ones.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::Value;

use super::*;
use crate::js::api::ApiRequest;
use crate::js::config::{ConsumerConfig, ConsumerCreateRequest, StreamConfig, StreamConfigRequest};
use crate::js::enums::{ConsumerAction, Retention};
use crate::js::errors::{self, ApiError};
use crate::js::info::AccountLimits;
use crate::js::json::{Strictness, decode, to_vec};

const RECORDED: &str = include_str!("../testdata/configs.jsonl");
const VERSION: &str = "2.15.1";
const SERVER: ServerLimits = ServerLimits {
    duplicate_window: crate::text::duration::Nanos(0),
    max_ack_pending: 0,
    max_request_batch: 0,
    default_max_consumers: 0,
};

#[test]
fn recorded_requests_end_as_on_the_real_server() {
    let mut differences = String::new();
    let mut cases = 0;
    for line in RECORDED.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let found = match text(&case, "op") {
            "stream" => stream(&case),
            "update" => update(&case),
            "consumer" => consumer(&case),
            "consumer_update" => consumer_update(&case),
            other => panic!("unknown operation {other}"),
        };
        let found = match found {
            Ok(config) => config,
            Err(error) => String::from_utf8(to_vec(&error)).unwrap(),
        };
        let wanted = match case.get("config") {
            Some(config) => String::from(config.as_str().unwrap()),
            None => recorded_error(&case),
        };
        cases += 1;
        if found != wanted {
            let (op, body) = (text(&case, "op"), text(&case, "body"));
            differences += &format!("{op} {body:.300}\n  found  {found}\n  wanted {wanted}\n");
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert!(cases > 400, "the recording is there");
}

#[test]
fn checking_twice_changes_nothing() {
    for line in RECORDED.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        if text(&case, "op") != "stream" {
            continue;
        }
        let others = streams(&case);
        let find = |name: &str| others.iter().find(|other| other.name == name);
        let rules = rules(&find, Pedantic::No);
        let Ok(request) = decode_stream(text(&case, "body")) else {
            continue;
        };
        if let Ok(once) = check_stream(request.config, &rules) {
            assert_eq!(check_stream(once.clone(), &rules), Ok(once));
        }
    }
}

#[test]
fn metadata_has_a_limit() {
    let large = |size: usize| {
        [(String::from("k"), "v".repeat(size - 1))]
            .into_iter()
            .collect::<crate::js::config::Metadata>()
    };
    let find = |_: &str| None;
    let rules = rules(&find, Pedantic::No);
    for (size, fits) in [(131_072, true), (131_073, false)] {
        let metadata = large(size);
        let config = StreamConfig {
            name: "S".into(),
            metadata,
            ..StreamConfig::default()
        };
        assert_eq!(check_stream(config, &rules).is_ok(), fits);
    }
    let mut config = ConsumerConfig {
        metadata: large(131_073),
        ..ConsumerConfig::default()
    };
    let stream = StreamConfig::default();
    let error = check_consumer(&mut config, &consumer_rules(&stream, Pedantic::No)).unwrap_err();
    assert_eq!(
        error.description,
        "consumer metadata exceeds maximum size of 128KB"
    );
}

#[test]
fn station_names_are_letters_digits_and_inner_dashes() {
    for name in ["orders", "Orders-eu_1", "7"] {
        assert_eq!(check_memphis_name(name), Ok(()));
    }
    for name in ["", "a.b", "a$1", "_a", "a-", "ä"] {
        assert!(check_memphis_name(name).is_err(), "{name}");
    }
    assert!(check_memphis_name(&"x".repeat(129)).is_err());
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pedantic {
    Yes,
    No,
}

fn stream(case: &Value) -> Result<String, ApiError> {
    let others = streams(case);
    let find = |name: &str| others.iter().find(|other| other.name == name);
    let mut request = decode_stream(text(case, "body"))?;
    set_stream_level(&mut request.config);
    let rules = rules(&find, pedantic(request.pedantic));
    let config = check_stream_create(request.config, text(case, "name"), &rules, &|_| Ok(()))?;
    let mut taken = others.iter().flat_map(|other| &other.subjects);
    if taken.any(|subject| {
        config
            .subjects
            .iter()
            .any(|s| subjects::overlap(s, subject))
    }) {
        return Err(errors::STREAM_SUBJECT_OVERLAP);
    }
    Ok(shown_stream(config))
}

fn update(case: &Value) -> Result<String, ApiError> {
    let find = |_: &str| None;
    let old = stored_stream(text(case, "old"));
    let request = decode_stream(text(case, "body"))?;
    let rules = rules(&find, pedantic(request.pedantic));
    let checked = check_stream(request.config.clone(), &rules)?;
    if checked.name != "S" {
        return Err(errors::STREAM_MISMATCH);
    }
    let mut config = check_stream_update(&old, request.config, &rules)?;
    set_stream_level(&mut config);
    Ok(shown_stream(config))
}

fn consumer(case: &Value) -> Result<String, ApiError> {
    let stream = stored_stream(text(case, "stream"));
    let mut request = decode_consumer(text(case, "body"))?;
    let subject = format!("$JS.API.{}", text(case, "subject"));
    let subject = ApiRequest::parse(subject.as_bytes()).unwrap();
    resolve_consumer_request(&subject, &mut request)?;
    let mut config = request.config;
    set_consumer_level(&mut config);
    check_consumer(
        &mut config,
        &consumer_rules(&stream, pedantic(request.pedantic)),
    )?;
    if request.action == ConsumerAction::Update {
        return Err(errors::CONSUMER_DOES_NOT_EXIST);
    }
    if stream.retention == Retention::WorkQueue {
        let others = bodies(case, "others");
        let others: Vec<ConsumerConfig> = others
            .iter()
            .map(|body| decode(body.as_bytes(), Strictness::Strict).unwrap())
            .collect();
        check_work_queue(&config, others.iter())?;
    }
    settle_ephemeral(&mut config);
    check_name_length(&config)?;
    Ok(shown_consumer(config))
}

fn consumer_update(case: &Value) -> Result<String, ApiError> {
    let stream = stored_stream("{\"name\":\"S\",\"subjects\":[\"a.>\"]}");
    let checked = |body: &str| {
        let mut request = decode_consumer(body)?;
        request.config.name = "C".into();
        set_consumer_level(&mut request.config);
        check_consumer(
            &mut request.config,
            &consumer_rules(&stream, pedantic(request.pedantic)),
        )?;
        Ok::<_, ApiError>(request)
    };
    let mut old = checked(text(case, "old")).unwrap().config;
    settle_ephemeral(&mut old);
    let mut new = checked(text(case, "body"))?;
    if new.action == ConsumerAction::Create && new.config != old {
        return Err(errors::CONSUMER_ALREADY_EXISTS);
    }
    check_consumer_update(&old, &new.config, |_| false)?;
    settle_ephemeral(&mut new.config);
    Ok(shown_consumer(new.config))
}

fn decode_stream(body: &str) -> Result<StreamConfigRequest, ApiError> {
    Ok(decode(body.as_bytes(), Strictness::Strict)?)
}

fn decode_consumer(body: &str) -> Result<ConsumerCreateRequest, ApiError> {
    Ok(decode(body.as_bytes(), Strictness::Strict)?)
}

fn stored_stream(body: &str) -> StreamConfig {
    let find = |_: &str| None;
    check_stream(
        decode_stream(body).unwrap().config,
        &rules(&find, Pedantic::No),
    )
    .unwrap()
}

fn streams(case: &Value) -> Vec<StreamConfig> {
    bodies(case, "others")
        .iter()
        .map(|body| stored_stream(body))
        .collect()
}

fn rules<'a>(
    find: &'a dyn Fn(&str) -> Option<&'a StreamConfig>,
    pedantic: Pedantic,
) -> StreamRules<'a> {
    StreamRules {
        server: &SERVER,
        account: &AccountLimits::UNLIMITED,
        pedantic: pedantic == Pedantic::Yes,
        find,
    }
}

fn consumer_rules(stream: &StreamConfig, pedantic: Pedantic) -> ConsumerRules<'_> {
    ConsumerRules {
        server: &SERVER,
        account: &AccountLimits::UNLIMITED,
        stream,
        pedantic: pedantic == Pedantic::Yes,
    }
}

fn pedantic(pedantic: bool) -> Pedantic {
    if pedantic {
        Pedantic::Yes
    } else {
        Pedantic::No
    }
}

fn shown_stream(mut config: StreamConfig) -> String {
    config.metadata = shown_metadata(&config.metadata, VERSION);
    String::from_utf8(to_vec(&config)).unwrap()
}

fn shown_consumer(mut config: ConsumerConfig) -> String {
    config.metadata = shown_metadata(&config.metadata, VERSION);
    String::from_utf8(to_vec(&config)).unwrap()
}

fn recorded_error(case: &Value) -> String {
    let error = case.get("error").unwrap();
    let number = |key: &str| u16::try_from(error.get(key).unwrap().as_u64().unwrap()).unwrap();
    let error = ApiError {
        code: number("code"),
        err_code: number("err_code"),
        description: String::from(text(error, "description")).into(),
    };
    String::from_utf8(to_vec(&error)).unwrap()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case.get(key).unwrap().as_str().unwrap()
}

fn bodies<'a>(case: &'a Value, key: &str) -> Vec<&'a str> {
    let bodies = case.get(key).unwrap().as_array().unwrap();
    bodies.iter().map(|body| body.as_str().unwrap()).collect()
}
