//! JSON in both directions, and the texts of faults.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::js::config::{Metadata, StreamConfig, StreamConfigRequest};
use crate::js::enums::Discard;

fn error(body: &str) -> String {
    let strict: Result<StreamConfigRequest, _> = decode(body.as_bytes(), Strictness::Strict);
    strict.unwrap_err().to_string()
}

#[test]
fn characters_that_html_knows_are_escaped() {
    let texts = Vec::from(["<a> & \"b\"\\", "\u{1}\n\t", "\u{2028}é"]);
    let json = r#"["\u003ca\u003e \u0026 \"b\"\\","\u0001\n\t","\u2028é"]"#;
    assert_eq!(String::from_utf8(to_vec(&texts)).unwrap(), json);
}

#[test]
fn what_is_written_can_be_read() {
    let mut config = StreamConfig {
        name: "a\"<b>\u{1f600}".into(),
        ..StreamConfig::default()
    };
    config.metadata = Metadata::from([("k\n".into(), "v\\".into())]);
    config.subjects.push("x.>".into());
    let read: StreamConfig = decode(&to_vec(&config), Strictness::Strict).unwrap();
    assert_eq!(read, config);
}

#[test]
fn syntax_errors_win_over_what_stands_before_them() {
    assert_eq!(
        error(r#"{"name":1,"x":}"#),
        "invalid character '}' looking for beginning of value at offset 15"
    );
    assert_eq!(error(r#"{"name":1"#), "unexpected EOF");
}

#[test]
fn more_values_may_follow_and_change_what_they_name() {
    let found: StreamConfig =
        decode(br#"{"name":"a"} {"name":"b"}null"#, Strictness::Strict).unwrap();
    assert_eq!(found.name, "b");
    let after = "invalid character 'x' looking for beginning of value at offset 13";
    assert_eq!(error(r#"{"name":"a"}x"#), after);
    let wrong = "json: cannot unmarshal number into Go struct field StreamConfigRequest.name of type string";
    assert_eq!(error(r#"{"name":1}x"#), wrong);
    let lax: Result<StreamConfig, _> = decode(b"{}{}", Strictness::Lax);
    let text = "invalid character '{' after top-level value";
    assert_eq!(lax.unwrap_err().to_string(), text);
}

#[test]
fn the_first_of_several_faults_is_told() {
    assert_eq!(
        error(r#"{"bogus":1,"name":1}"#),
        r#"json: unknown field "bogus""#
    );
    let name = "json: cannot unmarshal number into Go struct field StreamConfigRequest.name of type string";
    assert_eq!(error(r#"{"name":1,"bogus":1}"#), name);
}

#[test]
fn faults_of_types_spell_the_place_as_the_request_does() {
    let wrong = |place: &str| format!("json: cannot unmarshal number into {place} of type string");
    for (body, place) in [
        (r#"{"NaMe":1}"#, "Go struct field StreamConfigRequest.NaMe"),
        (r#"{"SUBJECTS":[1]}"#, "StreamConfigRequest.SUBJECTS.0"),
        (
            r#"{"metadata":{"a/b~":1}}"#,
            "Go struct field StreamConfigRequest.metadata.a~1b~0",
        ),
        (
            r#"{"metadata":{"":1}}"#,
            "Go struct field StreamConfigRequest.metadata.",
        ),
    ] {
        assert_eq!(error(body), wrong(place));
    }
}

#[test]
fn keys_are_known_in_either_case_also_that_beyond_ascii() {
    assert!(is_same_key("Max_Bytes", "max_bytes"));
    assert!(is_same_key("\u{17f}ubject\u{17f}", "subjects"));
    assert!(is_same_key("\u{212a}EEP", "keep"));
    assert!(!is_same_key("\u{e4}", "a"));
    assert!(!is_same_key("max-bytes", "max_bytes"));
}

#[test]
fn enumerations_know_their_names_as_they_are_and_one_in_either_case() {
    let found: StreamConfig = decode(br#"{"discard":"NEW"}"#, Strictness::Strict).unwrap();
    assert_eq!(found.discard, Discard::New);
    assert_eq!(
        error(r#"{"storage":"FILE"}"#),
        r#"can not unmarshal "\"FILE\"""#
    );
    assert_eq!(
        error(r#"{"discard":"\u006fld"}"#),
        r#"can not unmarshal "\"\\u006fld\"""#
    );
}

#[test]
fn faults_of_times_tell_bytes_beyond_ascii_in_hexadecimal() {
    let fault = error(r#"{"mirror":{"opt_start_time":"2\u00e4\n\""}}"#);
    let text = r#""2\xc3\xa4\x0a\"""#;
    assert_eq!(
        fault,
        format!(
            r#"parsing time {text} as "2006-01-02T15:04:05Z07:00": cannot parse {text} as "2006""#
        )
    );
}

#[test]
fn lax_decoding_skips_unknown_keys_and_offsets() {
    let found: StreamConfig = decode(br#"{"x":[{}],"NAME":"n"}"#, Strictness::Lax).unwrap();
    assert_eq!(found.name, "n");
    let lax: Result<StreamConfig, _> = decode(b"x", Strictness::Lax);
    let text = "invalid character 'x' looking for beginning of value";
    assert_eq!(lax.unwrap_err().to_string(), text);
}

#[test]
fn nesting_has_a_limit() {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(deep(DEPTH_MAX).as_bytes()).is_ok());
    assert!(parse(deep(100_000).as_bytes()).is_err());
}

#[test]
fn any_bytes_are_read_or_refused_without_panic() {
    let seeds = [
        &br#"{"name":"a\u00e9\ud83d\ude00","sources":[{"opt_start_time":"2020-01-01T00:00:00Z"}]}"#
            [..],
        b"[-1.5e+3,true,null,\"\\",
    ];
    for seed in seeds {
        for cut in 0..seed.len() {
            for byte in [0_u8, b'"', b'\\', b'{', b'9', 0xff] {
                let mut bytes = seed.to_vec();
                if let Some(slot) = bytes.get_mut(cut) {
                    *slot = byte;
                }
                let _ = decode::<StreamConfig>(&bytes, Strictness::Strict);
                let _ = decode::<StreamConfig>(bytes.get(..cut).unwrap(), Strictness::Lax);
            }
        }
    }
}

#[test]
fn faults_of_times_name_the_first_piece_that_is_wrong_or_what_follows() {
    for (time, rest) in [
        ("2020-001-01", ": month out of range"),
        ("2020-01-02T03:04:05ZZ", r#": extra text: "Z""#),
        (
            "2020-01-02T03:04:5Z",
            r#" as "2006-01-02T15:04:05Z07:00": cannot parse "5Z" as "05""#,
        ),
    ] {
        let fault = error(&format!(r#"{{"mirror":{{"opt_start_time":"{time}"}}}}"#));
        assert_eq!(fault, format!(r#"parsing time "{time}"{rest}"#));
    }
}
