//! WebSocket: requests, and frames, which in other pieces carry the same.

use bytes::{BufMut, BytesMut};
use protocol::websocket::upgrade::{Rules, upgrade};
use protocol::websocket::{Deflater, Item, Reader, Violation, Writer};

/// What a message may decompress to.
const INFLATED_MAX: usize = 1 << 16;

/// The first byte says what was agreed on, the second how long the pieces are.
pub fn run(input: &[u8]) {
    let [terms, piece, bytes @ ..] = input else {
        return;
    };
    let _ = upgrade(bytes, &Rules::default());
    let reader = || Reader::new(terms & 1 == 1, (terms & 2 == 2).then_some(INFLATED_MAX));
    let whole = read(reader(), bytes, bytes.len());
    let pieces = read(reader(), bytes, usize::from(*piece));
    assert_eq!((&pieces.items, &pieces.error), (&whole.items, &whole.error));
    // How much is shown of what turns out to be damaged or too big depends on where its pieces end.
    match whole.error {
        None => assert_eq!(pieces.data, whole.data),
        Some(_) => assert!(
            pieces.data.starts_with(&whole.data) || whole.data.starts_with(&pieces.data),
            "{:?}: {} and {} bytes",
            whole.error,
            pieces.data.len(),
            whole.data.len()
        ),
    }
    written_is_read(*terms, bytes);
}

/// What a peer sent: its data in one, the other items as text, and what ended it.
#[derive(Debug)]
struct Read {
    data: Vec<u8>,
    items: Vec<String>,
    error: Option<Violation>,
}

fn read(mut reader: Reader, bytes: &[u8], piece: usize) -> Read {
    let mut read = Read {
        data: Vec::new(),
        items: Vec::new(),
        error: None,
    };
    let mut buffer = BytesMut::new();
    for piece in bytes.chunks(piece.max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            match reader.next(&mut buffer) {
                Ok(Some(Item::Data(data))) => read.data.put_slice(&data),
                Ok(Some(item)) => read.items.push(format!("{} {item:?}", read.data.len())),
                Ok(None) => break,
                Err(error) => {
                    read.error = Some(error);
                    return read;
                }
            }
        }
    }
    read
}

fn written_is_read(terms: u8, payload: &[u8]) {
    let writer = Writer {
        compression: terms & 4 == 4,
        browser: terms & 8 == 8,
        whole: terms & 16 == 16,
    };
    let mut frames = BytesMut::new();
    writer.message(payload, &mut Deflater::default(), &mut frames);
    let reader = Reader::new(false, writer.compression.then_some(INFLATED_MAX));
    let read = read(reader, &frames, frames.len());
    assert_eq!((read.data, read.error), (payload.to_vec(), None));
}
