//! Headers as nats-server 2.15.1 takes and refuses them.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;

fn binary_header(version: u8, kind: u8, addresses: &[u8]) -> Vec<u8> {
    let len = u16::try_from(addresses.len()).expect("short").to_be_bytes();
    let mut header = SIGNATURE.to_vec();
    header.extend([version, kind]);
    header.extend(len);
    header.extend(addresses);
    header
}

const IPV4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0x10, 0x7e];

fn ipv6(source: &str) -> Vec<u8> {
    let source: Ipv6Addr = source.parse().expect("an address");
    let mut addresses = source.octets().to_vec();
    addresses.extend(Ipv6Addr::LOCALHOST.octets());
    addresses.extend([0x12, 0x68, 0x10, 0x7e]);
    addresses
}

#[test]
fn a_whole_header_tells_the_origin_and_its_parts_nothing_yet() {
    for (bytes, origin) in [
        (
            b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 4222\r\n".to_vec(),
            "192.0.2.7:4711",
        ),
        (
            b"PROXY TCP6 2001:db8::7 ::1 4712 4222\r\n".to_vec(),
            "[2001:db8::7]:4712",
        ),
        (
            b"PROXY TCP6 ::ffff:192.0.2.9 ::1 4712 4222\r\n".to_vec(),
            "192.0.2.9:4712",
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), ""),
        (b"PROXY UNKNOWN a b c d e f\r\n".to_vec(), ""),
        (binary_header(0x21, 0x11, &IPV4), "192.0.2.7:4711"),
        (
            binary_header(0x21, 0x21, &ipv6("2001:db8::7")),
            "[2001:db8::7]:4712",
        ),
        (
            binary_header(0x21, 0x21, &ipv6("::ffff:192.0.2.9")),
            "192.0.2.9:4712",
        ),
        (
            binary_header(0x21, 0x11, &[&IPV4[..], b"\x04\0\x03abc"].concat()),
            "192.0.2.7:4711",
        ),
        (binary_header(0x20, 0x00, b""), ""),
        (binary_header(0x20, 0x11, &IPV4), ""),
        (binary_header(0x21, 0x01, b"xyz"), ""),
    ] {
        let len = bytes.len();
        for end in 0..len {
            assert_eq!(header(&bytes[..end]), Ok(Header::Incomplete), "{bytes:?}");
        }
        let origin = (!origin.is_empty()).then(|| origin.parse().expect("an address"));
        let more = [&bytes[..], b"PING\r\n"].concat();
        assert_eq!(
            header(&more),
            Ok(Header::Whole { origin, len }),
            "{bytes:?}"
        );
    }
}

#[test]
fn what_clients_say_is_no_header() {
    for bytes in [
        &b"CONNECT {}\r\n"[..],
        b"P",
        b"PING\r\n",
        b"proxy TCP4",
        b"\r\n\r\nPING",
        b"\x16\x03\x01",
    ] {
        let expected = match bytes {
            b"P" => Header::Incomplete,
            _ => Header::Absent,
        };
        assert_eq!(header(bytes), Ok(expected), "{bytes:?}");
    }
}

#[test]
fn what_is_wrong_with_a_line_is_told_as_nats_server_does() {
    let invalid = |what: &str| format!("invalid PROXY protocol header: {what}");
    for (bytes, expected) in [
        (
            b"PROXY TCP4 foo 10.0.0.1 1 2\r\n".to_vec(),
            invalid("invalid address"),
        ),
        (
            b"PROXY TCP6 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(),
            invalid("TCP6 with IPv4 address"),
        ),
        (
            b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(),
            invalid("TCP4 with IPv6 address"),
        ),
        (
            b"PROXY TCP4 1.2.3.4 1.2.3.4 70000 2\r\n".to_vec(),
            "invalid source port".to_string(),
        ),
        (
            b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n".to_vec(),
            "invalid source port".to_string(),
        ),
        (
            b"PROXY TCP4 1.2.3.4 1.2.3.4 7 x\r\n".to_vec(),
            "invalid dest port".to_string(),
        ),
        (
            b"PROXY TCP4 1.2.3.4\r\n".to_vec(),
            invalid("invalid v1 format"),
        ),
        (
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n".to_vec(),
            invalid("invalid v1 format"),
        ),
        (
            b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(),
            invalid("invalid protocol"),
        ),
        (b"PROXY \r\n".to_vec(), invalid("invalid v1 format")),
        (b"PROXY ".repeat(18), invalid("v1 line too long")),
    ] {
        let error = header(&bytes).expect_err("refused");
        assert_eq!(error.to_string(), expected, "{bytes:?}");
    }
}

#[test]
fn what_is_wrong_with_a_binary_header_is_told_as_nats_server_does() {
    let invalid = |what: &str| format!("invalid PROXY protocol header: {what}");
    let unsupported = |what: &str| format!("unsupported PROXY protocol feature: {what}");
    for (bytes, expected) in [
        (
            binary_header(0x21, 0x12, &IPV4),
            unsupported("only STREAM protocol supported"),
        ),
        (
            binary_header(0x21, 0x31, &[0; 216]),
            unsupported("unsupported address family 0x30"),
        ),
        (
            binary_header(0x21, 0x11, &IPV4[..8]),
            "IPv4 address data too short: 8 bytes".to_string(),
        ),
        (
            binary_header(0x21, 0x21, &IPV4),
            "IPv6 address data too short: 12 bytes".to_string(),
        ),
        (
            binary_header(0x11, 0x11, &IPV4),
            invalid("invalid version 0x10"),
        ),
        (
            binary_header(0x22, 0x11, &IPV4),
            "unknown PROXY protocol command: 0x02".to_string(),
        ),
        (
            b"\r\n\r\n\0\rxQUIT\n\x21\x11\0\0".to_vec(),
            invalid("invalid signature"),
        ),
    ] {
        let error = header(&bytes).expect_err("refused");
        assert_eq!(error.to_string(), expected, "{bytes:?}");
    }
}
