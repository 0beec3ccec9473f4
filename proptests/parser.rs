//! The protocol parser: whatever is sent, in whatever pieces.

use bytes::{Buf, BytesMut};
use proptest::prelude::*;
use protocol::message::Message;
use protocol::parser::{ClientOp, Limits, ParseError, Parser};

const LIMITS: Limits = Limits {
    control_line_max: 64,
    payload_max: 200,
    headers: true,
    connect_only: false,
};

/// An operation that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Op {
    Connect(Vec<u8>),
    Pub {
        subject: Vec<u8>,
        reply: Vec<u8>,
        headers: Vec<u8>,
        payload: Vec<u8>,
    },
    Sub {
        subject: Vec<u8>,
        queue: Option<Vec<u8>>,
        sid: Vec<u8>,
    },
    Unsub {
        sid: Vec<u8>,
        max: Option<u32>,
    },
    Info(Vec<u8>),
    Ping,
    Pong,
    Ok,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_sent_is_read_in_any_spelling_and_any_pieces(
        ops in prop::collection::vec((op(), style()), 1..12),
        cuts in cuts(),
    ) {
        let mut bytes = Vec::new();
        for (op, style) in &ops {
            write(op, style, &mut bytes);
        }
        let sent: Vec<Op> = ops.into_iter().map(|(op, _)| op).collect();
        let (read, error) = read(&bytes, &cuts);
        prop_assert_eq!(error, None);
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn pieces_change_neither_operations_nor_errors(bytes in nearly_protocol(), cuts in cuts()) {
        prop_assert_eq!(read(&bytes, &cuts), read(&bytes, &[]));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in cuts()) {
        prop_assert_eq!(read(&bytes, &cuts), read(&bytes, &[]));
    }
}

/// Reads `bytes` as a connection does, given in pieces of the lengths `cuts`, the rest at once.
fn read(bytes: &[u8], cuts: &[usize]) -> (Vec<Op>, Option<ParseError>) {
    let mut parser = Parser::new(LIMITS);
    let mut buffer = BytesMut::new();
    let mut ops = Vec::new();
    let mut rest = bytes;
    let mut cuts = cuts.iter().copied().chain([usize::MAX]);
    while let Some(cut) = cuts.next()
        && !rest.is_empty()
    {
        let (piece, after) = rest.split_at(cut.min(rest.len()));
        buffer.extend_from_slice(piece);
        rest = after;
        let mut input = &buffer[..];
        let error = loop {
            match parser.next(&mut input) {
                Ok(Some(op)) => ops.push(owned(op)),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        if error.is_some() {
            return (ops, error);
        }
        let used = buffer.len() - input.len();
        buffer.advance(used);
        let bound = LIMITS.control_line_max + LIMITS.payload_max as usize + 16;
        assert!(buffer.len() <= bound, "kept {} bytes", buffer.len());
    }
    (ops, None)
}

fn owned(op: ClientOp<'_>) -> Op {
    match op {
        ClientOp::Connect(json) => Op::Connect(json.to_vec()),
        ClientOp::Pub(Message {
            subject,
            reply,
            headers,
            payload,
        }) => Op::Pub {
            subject: subject.to_vec(),
            reply: reply.to_vec(),
            headers: headers.to_vec(),
            payload: payload.to_vec(),
        },
        ClientOp::Sub {
            subject,
            queue,
            sid,
        } => Op::Sub {
            subject: subject.to_vec(),
            queue: queue.map(<[u8]>::to_vec),
            sid: sid.to_vec(),
        },
        ClientOp::Unsub { sid, max } => Op::Unsub {
            sid: sid.to_vec(),
            max,
        },
        ClientOp::Info(json) => Op::Info(json.to_vec()),
        ClientOp::Ping => Op::Ping,
        ClientOp::Pong => Op::Pong,
        ClientOp::Ok => Op::Ok,
    }
}

/// How a client spells its lines.
#[derive(Clone, Debug)]
struct Style {
    lower_case: bool,
    separator: &'static str,
    line_end: &'static str,
}

fn write(op: &Op, style: &Style, out: &mut Vec<u8>) {
    let line = |out: &mut Vec<u8>, verb: &str, args: &[&[u8]]| {
        let verb = if style.lower_case {
            verb.to_ascii_lowercase()
        } else {
            verb.to_owned()
        };
        out.extend_from_slice(verb.as_bytes());
        for arg in args.iter().filter(|arg| !arg.is_empty()) {
            out.extend_from_slice(style.separator.as_bytes());
            out.extend_from_slice(arg);
        }
        out.extend_from_slice(style.line_end.as_bytes());
    };
    match op {
        Op::Connect(json) => line(out, "CONNECT", &[json]),
        Op::Info(json) => line(out, "INFO", &[json]),
        Op::Ping => line(out, "PING", &[]),
        Op::Pong => line(out, "PONG", &[]),
        Op::Ok => line(out, "+OK", &[]),
        Op::Sub {
            subject,
            queue,
            sid,
        } => {
            line(out, "SUB", &[subject, queue.as_deref().unwrap_or(b""), sid]);
        }
        Op::Unsub { sid, max } => {
            let max = max.map(|max| max.to_string()).unwrap_or_default();
            line(out, "UNSUB", &[sid, max.as_bytes()]);
        }
        Op::Pub {
            subject,
            reply,
            headers,
            payload,
        } => {
            let total = (headers.len() + payload.len()).to_string();
            if headers.is_empty() {
                line(out, "PUB", &[subject, reply, total.as_bytes()]);
            } else {
                let header_len = headers.len().to_string();
                line(
                    out,
                    "HPUB",
                    &[subject, reply, header_len.as_bytes(), total.as_bytes()],
                );
            }
            out.extend_from_slice(headers);
            out.extend_from_slice(payload);
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let word = || "[a-z0-9.*>$_]{1,10}".prop_map(String::into_bytes);
    let maybe_word = || "[a-z0-9._]{0,8}".prop_map(String::into_bytes);
    let body = || prop::collection::vec(any::<u8>(), 0..90);
    prop_oneof![
        Just(Op::Connect(b"{}".to_vec())),
        Just(Op::Info(b"{\"a\":1}".to_vec())),
        Just(Op::Ping),
        Just(Op::Pong),
        Just(Op::Ok),
        (word(), prop::option::of(word()), word()).prop_map(|(subject, queue, sid)| Op::Sub {
            subject,
            queue,
            sid
        }),
        (word(), prop::option::of(1u32..1000)).prop_map(|(sid, max)| Op::Unsub { sid, max }),
        (word(), maybe_word(), body(), body()).prop_map(|(subject, reply, headers, payload)| {
            Op::Pub {
                subject,
                reply,
                headers,
                payload,
            }
        }),
    ]
}

fn style() -> impl Strategy<Value = Style> {
    let separator = prop_oneof![Just(" "), Just("\t"), Just("  "), Just(" \t ")];
    let line_end = prop_oneof![Just("\r\n"), Just("\n"), Just(" \r\n")];
    (any::<bool>(), separator, line_end).prop_map(|(lower_case, separator, line_end)| Style {
        lower_case,
        separator,
        line_end,
    })
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..12, 0..60)
}

/// Bytes made of the protocol's own pieces, so that they get past the first check.
fn nearly_protocol() -> impl Strategy<Value = Vec<u8>> {
    const WHOLE: [&str; 8] = [
        "PUB x 2\r\nhi\r\n",
        "HPUB x 2 4\r\nhihi\r\n",
        "SUB x q 1\r\n",
        "UNSUB 1\r\n",
        "PING\r\n",
        "+OK\r\n",
        "CONNECT {}\r\n",
        "INFO {}\n",
    ];
    const VERBS: [&str; 8] = [
        "PUB ", "hpub ", "SUB ", "UNSUB\t", "PONG", "-ERR", "+OK", "CONNECT",
    ];
    const ARGS: [&str; 8] = [
        "x",
        "2",
        "199",
        "999",
        "10000000000",
        "{}",
        "a.long.subject.of.forty.bytes.and.more.in.all",
        "-1",
    ];
    const SPACES: [&str; 6] = [" ", "\t", "\r", "\n", "\r\n", "\r\n"];
    let piece = prop_oneof![
        3 => prop::sample::select(&WHOLE[..]),
        1 => prop::sample::select(&VERBS[..]),
        2 => prop::sample::select(&ARGS[..]),
        3 => prop::sample::select(&SPACES[..]),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}
