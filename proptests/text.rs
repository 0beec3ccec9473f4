//! Times, durations, headers and CONNECT: what is written is read back, and nothing panics.

use bytes::BytesMut;
use proptest::prelude::*;
use protocol::connect::Connect;
use protocol::headers::{self, HeaderWriter, Headers, Removed};
use protocol::text::duration::Nanos;
use protocol::text::rfc3339::{self, Rfc3339};
use protocol::time::Wall;

proptest! {
    #[test]
    fn times_are_read_back_as_written(ns in any::<u64>()) {
        prop_assert_eq!(rfc3339::parse(&Rfc3339(Wall(ns)).to_string()), Ok(Wall(ns)));
    }

    #[test]
    fn durations_are_read_back_as_written(ns in any::<i64>(), shift in 0u32..63) {
        let duration = Nanos(ns >> shift);
        prop_assert_eq!(duration.to_string().parse(), Ok(duration));
    }

    #[test]
    fn text_that_nobody_wrote_never_panics(text in ".{0,40}", near in "[0-9TZ:+.hmsnu-]{0,40}") {
        for text in [&text, &near] {
            let _ = (rfc3339::parse(text), text.parse::<Nanos>());
        }
    }

    #[test]
    fn headers_are_read_back_as_written_and_edited_line_by_line(
        pairs in prop::collection::vec(("[A-Ca-c-]{1,3}", "[!-~]{0,6}"), 1..8),
        key in "[A-Ca-c-]{1,3}",
    ) {
        let mut block = BytesMut::new();
        let mut writer = HeaderWriter::new(&mut block);
        for (key, value) in &pairs {
            writer.push(key.as_bytes(), value.as_bytes());
        }
        writer.finish();
        prop_assert!(Headers::new(&block).is_valid());
        prop_assert_eq!(read(&block), pairs.clone());

        let at = pairs.iter().position(|(name, _)| *name == key);
        let mut edited = BytesMut::new();
        headers::set(&block, key.as_bytes(), b"new", &mut edited);
        let mut expected = pairs.clone();
        match at {
            Some(at) => expected[at].1 = "new".to_owned(),
            None => expected.push((key.clone(), "new".to_owned())),
        }
        prop_assert_eq!(read(&edited), expected);

        let mut shorter = BytesMut::new();
        let removed = headers::remove(&block, key.as_bytes(), &mut shorter);
        let mut expected = pairs.clone();
        match at {
            None => prop_assert_eq!(removed, Removed::Nothing),
            Some(_) if pairs.len() == 1 => prop_assert_eq!(removed, Removed::Block),
            Some(at) => {
                expected.remove(at);
                prop_assert_eq!(removed, Removed::Line);
                prop_assert_eq!(read(&shorter), expected);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_as_headers_or_options_never_panic(bytes in any::<Vec<u8>>()) {
        let mut block = b"NATS/1.0\r\n".to_vec();
        block.extend_from_slice(&bytes);
        for bytes in [&bytes, &block] {
            let headers = Headers::new(bytes);
            let _ = (headers.is_valid(), headers.status(), headers.iter().count());
            let mut out = BytesMut::new();
            headers::set(bytes, b"A", b"1", &mut out);
            let _ = headers::remove(bytes, b"A", &mut out);
            let _ = Connect::parse(bytes);
        }
    }
}

fn read(block: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Headers::new(block)
        .iter()
        .map(|(key, value)| (text(key), text(value)))
        .collect()
}
