//! The status messages of consumers: a header line, perhaps a few headers, no body.

use alloc::vec::Vec;

use protocol::headers;

/// Writes `NATS/1.0 <code and text>` and what `headers` adds, and ends the block.
pub(super) fn put(out: &mut Vec<u8>, status: &[u8], headers: &[(&[u8], i64)]) {
    out.clear();
    out.extend_from_slice(b"NATS/1.0 ");
    out.extend_from_slice(status);
    out.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        put_header(out, name, itoa::Buffer::new().format(*value).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a header line.
pub(super) fn put_header(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Copies the header block `block`, which may be empty, without its end, so that more headers can
/// follow; [`end`] closes it again.
pub(super) fn reopen(out: &mut Vec<u8>, block: &[u8]) {
    out.clear();
    out.extend_from_slice(headers::open(block));
}

/// Ends a header block.
pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_whole_header_block() {
        let mut out = Vec::new();
        put(&mut out, b"404 No Messages", &[]);
        assert_eq!(out, b"NATS/1.0 404 No Messages\r\n\r\n");

        put(
            &mut out,
            b"408 Request Timeout",
            &[(b"Nats-Pending-Messages", 2)],
        );
        assert_eq!(
            out,
            b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 2\r\n\r\n"
        );
    }

    #[test]
    fn headers_are_added_behind_those_that_are_there() {
        let mut out = Vec::new();
        for (block, expected) in [
            (&b""[..], &b"NATS/1.0\r\nNats-Msg-Size: 5\r\n\r\n"[..]),
            (
                b"NATS/1.0\r\nA: b\r\n\r\n",
                b"NATS/1.0\r\nA: b\r\nNats-Msg-Size: 5\r\n\r\n",
            ),
        ] {
            reopen(&mut out, block);
            put_header(&mut out, b"Nats-Msg-Size", b"5");
            end(&mut out);
            assert_eq!(out, expected);
        }
    }
}
