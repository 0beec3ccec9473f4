//! The grammar, with what nats-server 2.15.1 makes of the same texts.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::parse_file;
use crate::digest;
use crate::error::ParseError;
use crate::fake::Fake;
use crate::value::{Map, Value};

fn parse(text: &'static str) -> Result<Map, ParseError> {
    let mut around = Fake {
        files: BTreeMap::from([
            ("nats.conf", String::from(text)),
            ("inc.conf", String::from("Y: 4999\n")),
        ]),
        env: BTreeMap::from([
            ("PORT", "4333"),
            ("LOOP", "$LOOP"),
            ("BAD", "[1"),
            ("MAP", "{a: 1}"),
        ]),
    };
    parse_file("nats.conf", &mut around)
}

fn value(text: &'static str) -> Value {
    let map = parse(text).expect("parses");
    map.find("v").expect("v is set").value.clone()
}

fn error(text: &'static str) -> String {
    parse(text).expect_err("must not parse").to_string()
}

fn text(s: &str) -> Value {
    Value::Text(s.to_string())
}

#[test]
fn bare_words_become_the_type_they_look_like() {
    let table: [(&'static str, Value); 22] = [
        ("v: TRUE", Value::Bool(true)),
        ("v = off", Value::Bool(false)),
        ("v 12", Value::Int(12)),
        ("v: -12", Value::Int(-12)),
        ("v: 1k", Value::Int(1000)),
        ("v: 1KB", Value::Int(1024)),
        ("v: 2mib", Value::Int(2 << 20)),
        ("v: 3Gi", Value::Int(3 << 30)),
        ("v: 1.5", Value::Float(1.5)),
        ("v: 2m", Value::Int(2_000_000)),
        ("v: 10s", text("10s")),
        ("v: 5min", text("5min")),
        ("v: 127.0.0.1:4222", text("127.0.0.1:4222")),
        ("v: 4222x", text("4222x")),
        ("v: \"true\"", text("true")),
        ("v: 'a\\n'", text("a\\n")),
        ("v: \"a\\n\\x41\"", text("a\nA")),
        ("v: $2a$11$abc", text("$2a$11$abc")),
        ("v: (\n a\n b\n)\n", text("\n a\n b\n")),
        ("v:", text("")),
        ("\"v\": x", text("x")),
        (
            "v: 2006-01-02T15:04:05Z",
            Value::Time("2006-01-02T15:04:05Z".to_string()),
        ),
    ];
    for (config, expected) in table {
        assert_eq!(value(config), expected, "{config}");
    }
}

#[test]
fn values_end_at_newline_semicolon_comma_and_brace() {
    let map = parse("{a: 1; b: 2, c: {d: 3 e_f=4\n}\n} # done").err();
    assert!(map.is_some(), "two entries need something between them");
    let map = parse("{a: 1; b: 2, c: {d: 3, e=4}}").expect("parses");
    let keys: Vec<_> = map.iter().map(|(k, _)| k.to_string()).collect();
    assert_eq!(keys, ["a", "b", "c"]);
}

#[test]
fn lists_take_commas_newlines_and_comments() {
    let Value::List(items) = value("v: [ # first\n a\n b, // c\n {x: 1},\n ] # end\nw: 1") else {
        panic!("a list");
    };
    assert_eq!(items.len(), 3);
}

#[test]
fn positions_are_those_of_keys_and_count_as_nats_server_does() {
    let map = parse("a: 1\n\n b { c: 2 }").expect("parses");
    assert_eq!(map.find("a").expect("a").at.to_string(), "nats.conf:1:0");
    let b = map.find("b").expect("b");
    assert_eq!(b.at.to_string(), "nats.conf:3:2");
    let Value::Map(inner) = &b.value else {
        panic!("a map")
    };
    assert_eq!(inner.find("c").expect("c").at.to_string(), "nats.conf:3:6");
}

#[test]
fn variables_come_from_the_scopes_around_and_then_from_the_environment() {
    assert_eq!(value("X: 7\nv: $X"), Value::Int(7));
    assert_eq!(value("X: 7\nw { X: 8, y: $X }\nv: $X"), Value::Int(7));
    assert_eq!(value("v: $PORT"), Value::Int(4333));
    assert!(matches!(value("v: $MAP"), Value::Map(_)));
    let map = parse("X: 7\nv: $X").expect("parses");
    assert!(map.find("X").expect("X").referenced);
}

#[test]
fn includes_are_spliced_into_the_map_they_stand_in() {
    assert_eq!(value("include inc.conf\nv: $Y"), Value::Int(4999));
    assert_eq!(value("v { include 'inc.conf' }"), {
        let map = parse("v { Y: 4999 }").expect("parses");
        let Value::Map(mut inner) = map.find("v").expect("v").value.clone() else {
            panic!("a map")
        };
        let node = inner.find_mut("Y").expect("Y");
        node.at = parse("include inc.conf")
            .expect("parses")
            .find("Y")
            .expect("Y")
            .at
            .clone();
        Value::Map(inner)
    });
}

#[test]
fn errors_read_as_nats_server_prints_them() {
    let table = [
        ("port", "config is invalid (nats.conf:1:4)"),
        ("", "nats.conf: config has no values or is empty"),
        ("port: \"4222", "Parse error on line 1: 'Unexpected EOF.'"),
        (
            "= 3",
            "Parse error on line 1: 'Unexpected key separator '=''",
        ),
        (
            "a b c",
            "Parse error on line 1: 'Expected a top-level value to end with a new line, comment or \
             EOF, but got 'c' instead.'",
        ),
        (
            "a [b c]",
            "Parse error on line 1: 'Expected an array value terminator \",\" or an array \
             terminator \"]\", but got 'c' instead.'",
        ),
        (
            "v: $NOPE",
            "variable reference for 'NOPE' on line 1 can not be found",
        ),
        (
            "v: $LOOP",
            "variable reference for 'LOOP' on line 1 could not be parsed: variable reference for \
             'LOOP' on line 1 could not be parsed: variable reference cycle for 'LOOP'",
        ),
        (
            "v: 12345678901234567890123",
            "integer '12345678901234567890123' is out of the range",
        ),
        (
            "v: 2006-13-02T15:04:05Z",
            "expected Zulu formatted DateTime, but got '2006-13-02T15:04:05Z'",
        ),
        (
            "include nope.conf",
            "error parsing include file 'nope.conf', open nope.conf: no such file or directory",
        ),
        (
            "v: (\n abc",
            "Parse error on line 2: 'Unexpected EOF processing block.'",
        ),
    ];
    for (config, expected) in table {
        assert_eq!(error(config), expected, "{config}");
    }
}

#[test]
fn what_begins_like_a_number_has_to_be_one() {
    let lacks = "Floats must have a digit after the '.', but got";
    for (text, reason) in [
        (
            "v: .5",
            "line 1: 'Floats must start with a digit'".to_string(),
        ),
        ("v: 5.x", format!("line 1: '{lacks} 'x' instead.'")),
        ("v: 5.\n", format!("line 2: '{lacks} '\\n' instead.'")),
        ("a {v: -5.}", format!("line 1: '{lacks} '}}' instead.'")),
        (
            "v: --",
            "line 1: 'Expected a digit but got '-'.'".to_string(),
        ),
        (
            "v: -\n",
            "line 2: 'Expected a digit but got '\\n'.'".to_string(),
        ),
    ] {
        assert_eq!(error(text), format!("Parse error on {reason}"), "{text}");
    }
    assert_eq!(value("v: 127.0.0.1"), text("127.0.0.1"));
    assert_eq!(value("v: a.b"), text("a.b"));
}

#[test]
fn the_brace_around_a_file_may_stay_open_at_the_end_of_a_line() {
    assert_eq!(value("{v: 1\n"), Value::Int(1));
    assert!(parse("{v: 1").is_err());
    assert!(parse("{a {v: 1\n").is_err());
}

#[test]
fn a_file_that_includes_itself_is_an_error() {
    let text = "include nats.conf\n";
    let mut around = Fake::with_config(text);
    let error = parse_file("nats.conf", &mut around).expect_err("endless");
    assert!(error.to_string().ends_with("too many levels of includes"));
}

#[test]
fn nesting_without_end_is_an_error() {
    let mut around = Fake::with_config(&["v: ", &"[".repeat(10_000)].concat());
    assert!(parse_file("nats.conf", &mut around).is_err());
}

#[test]
fn the_digest_is_the_one_nats_server_prints() {
    let table = [
        (
            "port: 4222",
            "sha256:797533ebd0dfba7d34a0f9337ecf147e442871f48ddfd07ed751575a5737267e",
        ),
        (
            "{\"port\":4222,\"http\":8333}",
            "sha256:7c422ae8fb9d6663b13ec144afdccd6f6a3c1eb34200e36c8d55cc686718cebb",
        ),
        (
            "authorization { users: [{user:a,password:b, permissions: { allow_responses: {max: 5, \
             expires: \"1m\"}, subscribe: [\"a q\", \"b\"] }}] }",
            "sha256:34ac155452f0d38bcd1c8c941b179d9de446575eebc51a0b9a0dafe12551e1a6",
        ),
    ];
    for (config, expected) in table {
        assert_eq!(
            digest(&parse(config).expect("parses")),
            expected,
            "{config}"
        );
    }
}

#[test]
fn an_included_path_is_told_without_what_leads_nowhere() {
    let table = [
        ("c.conf", "x.conf", "x.conf"),
        ("dir/c.conf", "./x.conf", "dir/x.conf"),
        ("dir/c.conf", "/x.conf", "dir/x.conf"),
        ("/etc/c.conf", "../../x.conf", "/x.conf"),
        ("a/b/c.conf", "../sub/../../../x.conf", "../x.conf"),
    ];
    for (file, name, expected) in table {
        assert_eq!(super::join(file, name), expected, "{file} and {name}");
    }
}
