//! The protocol in whole and in parts, and what breaks it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;

#[test]
fn a_publish_is_read_in_any_spelling_and_spacing() {
    for line in [
        "PUB x 5\r\n",
        "pub x 5\n",
        "PuB\tx \t 5 \t\r\n",
        "PUB   x  5\r\n",
    ] {
        let bytes = format!("{line}hello\r\nPING\r\n");
        assert_eq!(
            ops(&bytes),
            Ok(Vec::from([
                published(b"x", b"", b"", b"hello"),
                ClientOp::Ping
            ])),
            "{line:?}"
        );
    }
}

#[test]
fn a_glance_sees_subjects_and_reads_nothing() {
    let bytes = b"PUB a.b r.1 2\r\nhi\r\nHPUB c r 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPUB d 5\r\nhe";
    let mut parser = parser();
    let mut input = &bytes[..];
    let mut ahead = input;
    assert_eq!(parser.glance(&mut ahead), Some(&b"a.b"[..]));
    assert_eq!(parser.glance(&mut ahead), Some(&b"c"[..]));
    assert_eq!(
        parser.glance(&mut ahead),
        Some(&b"d"[..]),
        "its line has come"
    );
    assert_eq!(parser.glance(&mut ahead), None);
    assert_eq!(
        parser.next(&mut input),
        Ok(Some(published(b"a.b", b"r.1", b"", b"hi")))
    );
    for line in ["pub a 2\r\nhi\r\n", "PUB a\r\n", "PUB a 2", "PING\r\n"] {
        assert_eq!(parser.glance(&mut line.as_bytes()), None, "{line:?}");
    }
    let mut within = &b"PUB a 5\r\nhe"[..];
    let mut parser = Parser::new(parser.limits);
    assert_eq!(parser.next(&mut within), Ok(None));
    assert_eq!(parser.glance(&mut within), None, "it is within a payload");
}

#[test]
fn reply_and_headers_are_told_apart() {
    let bytes =
        "PUB a.b r.1 2\r\nhi\r\nHPUB a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\nHPUB a 0 2\r\nhi\r\n";
    assert_eq!(
        ops(bytes),
        Ok(Vec::from([
            published(b"a.b", b"r.1", b"", b"hi"),
            published(b"a", b"r", b"NATS/1.0\r\n\r\n", b"hi"),
            published(b"a", b"", b"", b"hi"),
        ]))
    );
}

#[test]
fn subscriptions_are_read() {
    assert_eq!(
        ops("SUB a.* 1\r\nsub a q id\nUNSUB 1\r\nUNSUB id 5\r\nUNSUB id -5\r\nUNSUB id 0\r\n"),
        Ok(Vec::from([
            ClientOp::Sub {
                subject: b"a.*",
                queue: None,
                sid: b"1"
            },
            ClientOp::Sub {
                subject: b"a",
                queue: Some(b"q"),
                sid: b"id"
            },
            ClientOp::Unsub {
                sid: b"1",
                max: None
            },
            ClientOp::Unsub {
                sid: b"id",
                max: Some(5)
            },
            ClientOp::Unsub {
                sid: b"id",
                max: None
            },
            ClientOp::Unsub {
                sid: b"id",
                max: None
            },
        ]))
    );
}

#[test]
fn lines_that_count_by_their_verb_may_hold_anything() {
    let bytes = format!(
        "PINGX\r\nPONG junk\r\n+ok {}\r\nINFO {{}}\r\n",
        "x".repeat(9000)
    );
    assert_eq!(
        ops(&bytes),
        Ok(Vec::from([
            ClientOp::Ping,
            ClientOp::Pong,
            ClientOp::Ok,
            ClientOp::Info(b"{}")
        ]))
    );
}

#[test]
fn connect_needs_no_separator_before_its_json() {
    for line in ["CONNECT {}\r\n", "connect{}\n", "CONNECT\t {} \r\n"] {
        assert_eq!(
            ops(line),
            Ok(Vec::from([ClientOp::Connect(b"{}")])),
            "{line:?}"
        );
    }
    assert_eq!(ops("CONNECT\r\n"), Ok(Vec::from([ClientOp::Connect(b"")])));
}

#[test]
fn errors_are_the_ones_of_nats_server() {
    use ParseError::{Arguments, ControlLine, Headers, Payload, PeerError, UnknownOperation};
    let long = "a".repeat(5000);
    for (bytes, error) in [
        ("FOO", UnknownOperation),
        ("PINX", UnknownOperation),
        ("\r\n", UnknownOperation),
        (" PING\r\n", UnknownOperation),
        ("PUB\r\n", UnknownOperation),
        ("PUBX x 5\r\n", UnknownOperation),
        ("SUB\r\n", UnknownOperation),
        ("-ERR\r\n", UnknownOperation),
        ("-ERR 'x'\r\n", PeerError),
        ("RS+ a\r\n", UnknownOperation),
        ("HMSG x 1 12 12\r\n", UnknownOperation),
        ("PUB x 5\r\nhello\nPI", UnknownOperation),
        ("PUB x 5\r\nhelloP", UnknownOperation),
        ("PUB x 5\r\nhello\rP", UnknownOperation),
        ("PUB x\r\n", Arguments),
        ("PUB  \r\n", Arguments),
        ("PUB x y z 5\r\n", Arguments),
        ("PUB x -1\r\n", Arguments),
        ("PUB x +5\r\n", Arguments),
        ("PUB x 5a\r\n", Arguments),
        ("PUB x 5\r\r\n", Arguments),
        ("HPUB x 12\r 14\r\n", Arguments),
        ("PUB x 0000000005\r\n", Arguments),
        ("PUB x 1000000000\r\n", Arguments),
        ("PUB x 999999999\r\n", Payload),
        ("PUB x 1048577\r\n", Payload),
        ("HPUB x 12\r\n", Arguments),
        ("HPUB x y z 12 12\r\n", Arguments),
        ("HPUB x 12 11\r\n", Arguments),
        ("HPUB x a 12\r\n", Arguments),
        ("HPUB x 12 1048577\r\n", Payload),
        ("SUB x\r\n", Arguments),
        ("SUB x q 1 2\r\n", Arguments),
        ("SUB \r\n", Arguments),
        ("UNSUB 1 2 3\r\n", Arguments),
        (&format!("SUB {long}"), ControlLine),
        (&format!("PUB {long} 0\r\n\r\n"), ControlLine),
    ] {
        assert_eq!(ops(bytes), Err(error), "{bytes:?}");
    }
    let mut without_headers = Parser::default();
    let mut input: &[u8] = b"HPUB x 12 12\r\n";
    assert_eq!(without_headers.next(&mut input), Err(Headers));
}

#[test]
fn nothing_but_connect_passes_where_it_is_required() {
    let limits = Limits {
        connect_only: true,
        ..Limits::default()
    };
    for bytes in ["PUB x 0\r\n\r\n", "PING\r\n", "junk"] {
        let mut input = bytes.as_bytes();
        assert_eq!(
            Parser::new(limits).next(&mut input),
            Err(ParseError::ConnectRequired)
        );
    }
    let mut input: &[u8] = b"connect {}\r\n";
    assert_eq!(
        Parser::new(limits).next(&mut input),
        Ok(Some(ClientOp::Connect(b"{}")))
    );
}

#[test]
fn the_room_for_a_large_payload_is_known_with_its_control_line() {
    let mut parser = Parser::default();
    let mut input: &[u8] = b"PUB x 1000000\r\nfirst bytes";
    assert_eq!(parser.next(&mut input), Ok(None));
    assert_eq!(input.len(), 26);
    assert_eq!(parser.wanted(), 15 + 1_000_000 + 2);
}

#[test]
fn one_byte_at_a_time_gives_the_same_operations() {
    let bytes = "CONNECT {}\r\nSUB a q 1\r\nHPUB a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\nping  \r\nPUB x 0\n\r\n";
    let whole = ops(bytes).unwrap();
    let mut parser = parser();
    let mut start = 0;
    let mut pieces = Vec::new();
    for end in 0..=bytes.len() {
        let mut input = &bytes.as_bytes()[start..end];
        let before = input.len();
        if let Some(op) = parser.next(&mut input).unwrap() {
            pieces.push(op);
        }
        start += before - input.len();
    }
    assert_eq!(pieces, whole);
}

fn parser() -> Parser {
    Parser::new(Limits {
        headers: true,
        ..Limits::default()
    })
}

fn ops(bytes: &str) -> Result<Vec<ClientOp<'_>>, ParseError> {
    let mut parser = parser();
    let mut input = bytes.as_bytes();
    let mut ops = Vec::new();
    while let Some(op) = parser.next(&mut input)? {
        ops.push(op);
    }
    assert_eq!(input, b"", "left over: {}", String::from_utf8_lossy(input));
    Ok(ops)
}

fn published<'a>(
    subject: &'a [u8],
    reply: &'a [u8],
    headers: &'a [u8],
    payload: &'a [u8],
) -> ClientOp<'a> {
    ClientOp::Pub(Message {
        subject,
        reply,
        headers,
        payload,
    })
}
