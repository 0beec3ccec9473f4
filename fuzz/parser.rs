//! The client protocol: the same bytes in other pieces are the same operations and the same error.

use bytes::{Buf, BytesMut};
use protocol::parser::{Limits, Parser};

const LIMITS: Limits = Limits {
    control_line_max: 128,
    payload_max: 256,
    headers: true,
    connect_only: false,
};
/// What may wait for the rest of an operation.
const WAITING_MAX: usize = LIMITS.control_line_max + LIMITS.payload_max as usize + 16;

/// The first byte says how long the pieces are.
pub fn run(input: &[u8]) {
    let Some((piece, bytes)) = input.split_first() else {
        return;
    };
    let whole = read(bytes, bytes.len());
    assert_eq!(read(bytes, usize::from(*piece)), whole);
    assert_eq!(read(bytes, 1), whole);
}

/// Returns the operations, as text, and what ended them.
fn read(bytes: &[u8], piece: usize) -> Vec<String> {
    let mut parser = Parser::new(LIMITS);
    let mut buffer = BytesMut::new();
    let mut read = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        buffer.extend_from_slice(piece);
        let mut left = &buffer[..];
        loop {
            match parser.next(&mut left) {
                Ok(Some(op)) => read.push(format!("{op:?}")),
                Ok(None) => break,
                Err(error) => {
                    read.push(format!("{error:?}"));
                    return read;
                }
            }
        }
        let used = buffer.len() - left.len();
        buffer.advance(used);
        assert!(buffer.len() <= WAITING_MAX.max(piece.len()), "bounded");
    }
    read
}
