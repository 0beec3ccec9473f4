//! Frames as clients send them, whole and byte by byte; broken ones with what the peer is told.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::BytesMut;

use super::upgrade::{CookieNames, Origin, Rules, upgrade};
use super::{CloseStatus, Deflater, Item, Reader, Violation, Writer};

const MASK: [u8; 4] = [1, 2, 3, 4];
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;

/// Returns a client's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::from([first]);
    match payload.len() {
        len @ 0..126 => out.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..65536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    out.extend(masked.map(|(byte, key)| byte ^ key));
    out
}

/// What a connection came to: its bytes, its pings, its end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    data: Vec<u8>,
    pings: Vec<Vec<u8>>,
    close: Option<(Option<CloseStatus>, String)>,
}

fn read(reader: &mut Reader, bytes: &[u8], step: usize) -> Result<Heard, Violation> {
    let mut heard = Heard::default();
    let mut input = BytesMut::new();
    for piece in bytes.chunks(step) {
        input.extend_from_slice(piece);
        while let Some(item) = reader.next(&mut input)? {
            match item {
                Item::Data(bytes) => heard.data.extend_from_slice(&bytes),
                Item::Ping(bytes) => heard.pings.push(bytes.to_vec()),
                Item::Pong => {}
                Item::Close(close) => {
                    let text = String::from_utf8(close.text.to_vec()).unwrap();
                    heard.close = Some((close.status, text));
                }
            }
        }
    }
    Ok(heard)
}

fn deflated(payload: &[u8]) -> Vec<u8> {
    let writer = Writer {
        compression: true,
        ..Writer::default()
    };
    let mut out = BytesMut::new();
    writer.message(payload, &mut Deflater::default(), &mut out);
    // Without the header, which a client would mask.
    let head = match out[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    assert_eq!(out[0], FIN | RSV1 | 2);
    out[head..].to_vec()
}

#[test]
fn bytes_come_out_whatever_the_frames_and_however_they_arrive() {
    let long = [b'x'; 70_000];
    let mut bytes = frame(FIN | 2, b"CONNECT {}\r\n");
    bytes.extend(frame(1, b"PI"));
    bytes.extend(frame(FIN | 9, b"hey"));
    bytes.extend(frame(0, b""));
    bytes.extend(frame(FIN, b"NG\r\n"));
    bytes.extend(frame(FIN | 10, b"unasked"));
    bytes.extend(frame(FIN | 2, &long[..200]));
    bytes.extend(frame(FIN | 2, &long));
    bytes.extend(frame(FIN | 8, b"\x03\xe8bye"));
    let mut data = b"CONNECT {}\r\nPING\r\n".to_vec();
    data.extend_from_slice(&[b'x'; 70_200]);
    let expected = Heard {
        data,
        pings: Vec::from([b"hey".to_vec()]),
        close: Some((Some(CloseStatus::NORMAL), "bye".to_owned())),
    };
    for step in [1, 3, 7, 4096, usize::MAX] {
        let mut reader = Reader::new(true, None);
        assert_eq!(
            read(&mut reader, &bytes, step).as_ref(),
            Ok(&expected),
            "{step}"
        );
    }
}

#[test]
fn compressed_messages_come_out_in_any_number_of_frames() {
    let text: Vec<u8> = (0..100_000_u32)
        .flat_map(|n| n.to_string().into_bytes())
        .collect();
    let packed = deflated(&text);
    assert!(packed.len() < text.len() / 2);
    let (first, rest) = packed.split_at(1000);
    let mut bytes = frame(RSV1 | 2, first);
    bytes.extend(frame(FIN | 9, b""));
    bytes.extend(frame(FIN, rest));
    // Each message stands for itself.
    bytes.extend(frame(FIN | RSV1 | 2, &packed));
    bytes.extend(frame(FIN | 2, b"plain"));
    for step in [1, 1000, usize::MAX] {
        let mut reader = Reader::new(true, Some(text.len()));
        let heard = read(&mut reader, &bytes, step).unwrap();
        assert_eq!(
            heard.data,
            [&text[..], &text[..], b"plain"].concat(),
            "{step}"
        );
    }
}

/// RFC 7692, 7.2.3.5: the last block of "Hello" says that it is the last, and something follows it.
#[test]
fn what_follows_a_messages_last_block_means_nothing_however_it_arrives() {
    let packed = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xff, 0xff];
    let mut bytes = frame(FIN | RSV1 | 2, &packed);
    bytes.extend(frame(RSV1 | 2, &packed[..7]));
    bytes.extend(frame(FIN, &packed[7..]));
    bytes.extend(frame(FIN | RSV1 | 2, &deflated(&[b'x'; 100])));
    for step in [1, 3, usize::MAX] {
        let mut reader = Reader::new(true, Some(1000));
        let heard = read(&mut reader, &bytes, step).unwrap();
        let expected = [b"HelloHello", &[b'x'; 100][..]].concat();
        assert_eq!(heard.data, expected, "{step}");
    }
}

#[test]
fn a_message_that_grows_beyond_its_limit_is_given_up() {
    let bytes = frame(FIN | RSV1 | 2, &deflated(&[0; 1 << 20]));
    assert!(bytes.len() < 8192);
    let mut reader = Reader::new(true, Some((1 << 20) - 1));
    assert_eq!(
        read(&mut reader, &bytes, usize::MAX),
        Err(Violation::TooBig)
    );
    assert_eq!(Violation::TooBig.status(), CloseStatus::TOO_BIG);
    let mut reader = Reader::new(true, Some(1 << 20));
    assert!(read(&mut reader, &bytes, usize::MAX).is_ok());
}

#[test]
fn what_breaks_the_protocol_is_told_in_nats_servers_words() {
    let unmasked = [FIN | 2, 1, b'x'].to_vec();
    let huge = [&[FIN | 2, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], &MASK[..]].concat();
    let table: [(Vec<u8>, &str); 14] = [
        (unmasked, "mask bit missing"),
        (frame(FIN | 0x20 | 2, b"x"), "RSV2 and RSV3 must be clear"),
        (frame(FIN | 3, b"x"), "unknown opcode 3"),
        (frame(FIN, b"x"), "invalid continuation frame"),
        (
            frame(FIN | 9, &[0; 126]),
            "control frame length bigger than maximum allowed of 125 bytes",
        ),
        (frame(9, b"x"), "control frame does not have final bit set"),
        (
            frame(FIN | RSV1 | 9, b"x"),
            "control frame must not be compressed",
        ),
        (
            [frame(2, b"x"), frame(2, b"x")].concat(),
            "new message started before final frame for previous message was received",
        ),
        (
            [frame(2, b"x"), frame(RSV1, b"x")].concat(),
            "invalid continuation frame",
        ),
        (huge, "invalid 64-bit payload length"),
        (frame(FIN | 8, b"x"), "close frame payload cannot be 1 byte"),
        (
            frame(FIN | 8, &1004_u16.to_be_bytes()),
            "invalid close status code 1004",
        ),
        (
            frame(FIN | 8, &1005_u16.to_be_bytes()),
            "invalid close status code 1005",
        ),
        (
            frame(FIN | RSV1 | 2, &[0xff; 8]),
            "corrupt compressed message",
        ),
    ];
    for (bytes, expected) in table {
        for step in [1, usize::MAX] {
            let mut reader = Reader::new(true, Some(1 << 20));
            let told = read(&mut reader, &bytes, step).unwrap_err();
            assert_eq!(told.to_string(), expected);
            assert_eq!(told.status(), CloseStatus::PROTOCOL_ERROR);
        }
    }
    let mut reader = Reader::new(true, None);
    let told = read(&mut reader, &frame(FIN | RSV1 | 2, b"x"), 1).unwrap_err();
    assert_eq!(told, Violation::NotNegotiated);
}

#[test]
fn a_close_frame_may_say_nothing_and_must_say_text() {
    let mut reader = Reader::new(true, None);
    let heard = read(&mut reader, &frame(FIN | 8, b""), 1).unwrap();
    assert_eq!(heard.close, Some((None, String::new())));
    let mut reader = Reader::new(true, None);
    let heard = read(&mut reader, &frame(FIN | 8, b"\x03\xe8\xff"), 1).unwrap();
    let text = "invalid utf8 body in close frame".to_owned();
    assert_eq!(
        heard.close,
        Some((Some(CloseStatus::INVALID_PAYLOAD), text))
    );
}

#[test]
fn what_is_written_is_framed_for_the_one_who_reads_it() {
    let mut deflater = Deflater::default();
    let payload = [b'y'; 10_000];
    let lens = |writer: Writer, deflater: &mut Deflater| {
        let mut out = BytesMut::new();
        writer.message(&payload, deflater, &mut out);
        let heads = out.clone();
        let mut reader = Reader::new(false, Some(1 << 20));
        let heard = read(&mut reader, &out, usize::MAX).unwrap();
        assert_eq!(heard.data, payload);
        (heads[0], out.len())
    };
    let plain = Writer::default();
    assert_eq!(lens(plain, &mut deflater), (FIN | 2, 10_004));
    let browser = Writer {
        browser: true,
        ..plain
    };
    assert_eq!(lens(browser, &mut deflater), (FIN | 2, 10_000 + 3 * 4));
    let compressing = Writer {
        compression: true,
        ..plain
    };
    let (head, len) = lens(compressing, &mut deflater);
    assert!(head == FIN | RSV1 | 2 && len < 100);
    // A few bytes are not worth it.
    let mut out = BytesMut::new();
    compressing.message(b"PONG\r\n", &mut deflater, &mut out);
    assert_eq!(&out[..], b"\x82\x06PONG\r\n");
}

#[test]
fn control_frames_are_written_as_nats_server_writes_them() {
    let mut out = BytesMut::new();
    Writer::pong(b"abc", &mut out);
    Writer::close(None, b"", &mut out);
    Writer::close(Some(CloseStatus::NORMAL), b"bye", &mut out);
    assert_eq!(&out[..], b"\x8a\x03abc\x88\x00\x88\x05\x03\xe8bye");
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn request(without: &str, with: &str) -> String {
    let lines = [
        "Host: a.example:8080".to_owned(),
        "Upgrade: websocket".to_owned(),
        "Connection: keep-alive, Upgrade".to_owned(),
        format!("Sec-WebSocket-Key: {KEY}"),
        "Sec-WebSocket-Version: 13".to_owned(),
    ];
    let kept = lines
        .iter()
        .filter(|l| without.is_empty() || !l.starts_with(without));
    let lines: String = kept.map(|line| format!("{line}\r\n")).collect();
    format!("GET / HTTP/1.1\r\n{lines}{with}\r\n")
}

fn refused(text: &str, rules: &Rules) -> (&'static str, String) {
    let refusal = upgrade(text.as_bytes(), rules).unwrap_err();
    (refusal.status, refusal.reason)
}

#[test]
fn a_request_is_answered_with_its_keys_hash_and_what_was_agreed_on() {
    let rules = Rules {
        compression: true,
        headers: Vec::from([("X-A".to_owned(), "b".to_owned())]),
        ..Rules::default()
    };
    let with = "Sec-WebSocket-Extensions: x-other, permessage-deflate; client_max_window_bits\r\n\
                Nats-No-Masking: true\r\nUser-Agent: Mozilla/5.0 Version/9 Safari/1\r\n\
                X-Forwarded-For: 1.2.3.4\r\n";
    let granted = upgrade(request("", with).as_bytes(), &rules).unwrap();
    assert_eq!(
        String::from_utf8(granted.response.clone()).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
         client_no_context_takeover\r\nNats-No-Masking: true\r\nX-A: b\r\n\r\n"
    );
    assert!(granted.compression && !granted.masked && granted.browser && granted.safari);
    assert_eq!(granted.forwarded_for, Some([1, 2, 3, 4].into()));
    // What nobody asked for is not agreed on.
    let plain = upgrade(request("", "").as_bytes(), &rules).unwrap();
    assert!(!plain.compression && plain.masked && !plain.browser);
}

#[test]
fn a_request_that_is_none_is_refused_with_its_reason() {
    let bad = "400 Bad Request";
    let table = [
        ("Host", bad, "'Host' missing in request"),
        ("Upgrade", bad, "invalid value for header 'Upgrade'"),
        ("Connection", bad, "invalid value for header 'Connection'"),
        ("Sec-WebSocket-Key", bad, "key missing"),
        ("Sec-WebSocket-Version", bad, "invalid version"),
    ];
    for (without, status, reason) in table {
        let told = refused(&request(without, ""), &Rules::default());
        assert_eq!(told, (status, reason.to_owned()));
    }
    let text = request("", "");
    let other = text.replace(KEY, "enp6eg==");
    let told = refused(&other, &Rules::default());
    assert_eq!(told.1, "invalid websocket key");
    let told = refused(&text.replace("GET", "POST"), &Rules::default());
    assert_eq!(
        told,
        (
            "405 Method Not Allowed",
            "request method must be GET".to_owned()
        )
    );
    let told = refused(&text.replace("GET /", "GET /x/mqtt"), &Rules::default());
    assert_eq!(told.0, "404 Not Found");
    assert_eq!(refused("garbage\r\n\r\n", &Rules::default()).0, bad);
}

#[test]
fn pages_from_elsewhere_are_turned_away() {
    let from = |origin: &str| request("", &format!("Origin: {origin}\r\n"));
    let granted = |rules: &Rules, text: &str| upgrade(text.as_bytes(), rules).is_ok();
    let same = Rules {
        same_origin: true,
        ..Rules::default()
    };
    assert!(granted(&same, &request("", "")));
    assert!(granted(&same, &from("http://A.example:8080")));
    for origin in [
        "http://b.example:8080",
        "http://a.example",
        "https://a.example:8080",
    ] {
        assert_eq!(
            refused(&from(origin), &same).1,
            "origin not allowed: not same origin"
        );
    }
    let listed = Rules {
        origins: Vec::from([
            Origin::parse("https://b.example").unwrap(),
            Origin::parse("http://[::1]:99/").unwrap(),
        ]),
        ..Rules::default()
    };
    assert!(granted(&listed, &from("https://b.example:443")));
    assert!(granted(&listed, &from("http://[::1]:99")));
    for origin in [
        "http://b.example",
        "https://b.example:444",
        "https://c.b.example",
    ] {
        let told = refused(&from(origin), &listed);
        assert_eq!(
            told,
            (
                "403 Forbidden",
                "origin not allowed: not in the allowed list".into()
            )
        );
    }
    assert_eq!(refused(&from("null"), &listed).0, "403 Forbidden");
    for text in ["ftp://a", "a.example", "http://", "http://a:x"] {
        assert!(Origin::parse(text).is_err(), "{text}");
    }
}

#[test]
fn credentials_are_taken_from_the_cookies_that_hold_them() {
    let rules = Rules {
        cookies: CookieNames {
            jwt: "j".to_owned(),
            user: "u".to_owned(),
            pass: "p".to_owned(),
            token: String::new(),
        },
        ..Rules::default()
    };
    let with = "Cookie: a=1; j=ey.J; u=\"bob\"\r\nCookie: p=x=y\r\n";
    let cookies = upgrade(request("", with).as_bytes(), &rules)
        .unwrap()
        .cookies;
    assert_eq!(
        [&cookies.jwt, &cookies.user, &cookies.pass, &cookies.token],
        ["ey.J", "bob", "x=y", ""]
    );
    assert_eq!(format!("{cookies:?}"), "Cookies");
}
