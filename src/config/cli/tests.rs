//! Spellings of flags, and what nats-server 2.15.1 says when they are wrong.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{CommandLine, Flag, Given};

fn parse(line: &str) -> Result<CommandLine, String> {
    let args: Vec<String> = line.split_whitespace().map(String::from).collect();
    CommandLine::parse(&args).map_err(|e| e.to_string())
}

#[test]
fn one_dash_and_two_a_space_and_an_equals_sign_are_the_same() {
    for line in ["-sd DIR", "--sd DIR", "-sd=DIR", "--store_dir=DIR"] {
        let parsed = parse(line).expect("parses");
        assert_eq!(parsed.text(Flag::StoreDir), Some("DIR"), "{line}");
    }
}

#[test]
fn a_switch_takes_its_value_only_behind_an_equals_sign() {
    let line = parse("-js -p -1 -T=false").expect("parses");
    assert!(line.is_on(Flag::JetStream));
    assert_eq!(line.last(Flag::Logtime), Some(&Given::Switch(false)));
    assert_eq!(line.last(Flag::Port), Some(&Given::Number(-1)));
}

#[test]
fn what_follows_the_flags_is_kept() {
    assert_eq!(
        parse("-p -1 zzz -js").expect("parses").words,
        ["zzz", "-js"]
    );
    assert_eq!(parse("-- zzz").expect("parses").words, ["zzz"]);
    assert_eq!(parse("-").expect("parses").words, ["-"]);
}

#[test]
fn wrong_flags_are_told_as_nats_server_tells_them() {
    let table = [
        ("--zzz", "flag provided but not defined: -zzz"),
        ("-p", "flag needs an argument: -p"),
        ("-p abc", "invalid value \"abc\" for flag -p: parse error"),
        (
            "-js=maybe",
            "invalid boolean value \"maybe\" for -js: parse error",
        ),
        ("---p 1", "bad flag syntax: ---p"),
        (
            "-p 99999999999999999999",
            "invalid value \"99999999999999999999\" for flag -p: value out of range",
        ),
        ("-p 1__0", "invalid value \"1__0\" for flag -p: parse error"),
    ];
    for (line, expected) in table {
        assert_eq!(parse(line), Err(expected.to_string()), "{line}");
    }
}

#[test]
fn numbers_are_read_as_in_go() {
    for (text, number) in [
        ("0x10", 16),
        ("010", 8),
        ("1_000", 1000),
        ("0b11", 3),
        ("0_7", 7),
        ("-1", -1),
    ] {
        let line = parse(&alloc::format!("-p {text}")).expect(text);
        assert_eq!(
            line.last(Flag::Port),
            Some(&Given::Number(number)),
            "{text}"
        );
    }
}
