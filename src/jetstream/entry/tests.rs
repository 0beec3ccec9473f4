//! Entries come back from the log as they went in, and damaged ones are refused.

use alloc::vec::Vec;

use super::*;

fn samples() -> Vec<Entry> {
    let b = |s: &'static str| Bytes::from_static(s.as_bytes());
    let create = ConsumerCreate {
        stream: StreamId(3),
        consumer: ConsumerId(9),
        time: Wall(77),
        name: b("C"),
        config: b("{}"),
    };
    alloc::vec![
        Entry::Publish(Publish {
            stream: StreamId(u64::MAX),
            time: Wall(1),
            subject: b("a.b"),
            headers: b("NATS/1.0\r\n\r\n"),
            payload: b("hello"),
        }),
        Entry::StreamCreate(StreamCreate {
            stream: StreamId(1),
            time: Wall(2),
            account: b("$G"),
            config: b("{\"name\":\"S\"}"),
        }),
        Entry::StreamUpdate(StreamUpdate {
            stream: StreamId(1),
            time: Wall(2),
            config: b("{}"),
        }),
        Entry::StreamDelete(StreamId(4)),
        Entry::Purge(Purge {
            stream: StreamId(4),
            filter: b("a.>"),
            below: Seq(10),
            keep: 3,
        }),
        Entry::MsgDelete(MsgDelete {
            stream: StreamId(4),
            seq: Seq(5),
        }),
        Entry::Expire {
            stream: StreamId(4),
            cutoff: Wall(99),
        },
        Entry::Consumed {
            stream: StreamId(7),
            seq: Seq(9),
        },
        Entry::Released(Released::new(StreamId(7), &[Seq(3), Seq(9), Seq(4)])),
        Entry::EndLives {
            stream: StreamId(4),
            until: Wall(98),
        },
        Entry::ConsumerCreate(create.clone()),
        Entry::ConsumerUpdate(create),
        Entry::ConsumerDelete {
            stream: StreamId(3),
            consumer: ConsumerId(9),
        },
        Entry::ConsumerDelta {
            stream: StreamId(3),
            consumer: ConsumerId(9),
            delta: b("xyz"),
        },
        Entry::Memphis(b("station")),
    ]
}

#[test]
fn every_kind_survives_encoding() {
    for entry in samples() {
        assert_eq!(Entry::decode(&entry.to_bytes()), Ok(entry));
    }
}

#[test]
fn an_entry_cut_short_is_refused_or_is_a_shorter_body() {
    for entry in samples() {
        let whole = entry.to_bytes();
        for len in 0..whole.len() {
            if let Ok(shorter) = Entry::decode(&whole.slice(..len)) {
                assert_ne!(shorter, entry);
            }
        }
    }
}

#[test]
fn unknown_kinds_and_versions_are_named() {
    assert_eq!(
        Entry::decode(&Bytes::from_static(&[99, 1])),
        Err(DecodeError::Kind(99))
    );
    assert_eq!(
        Entry::decode(&Bytes::from_static(&[4, 2])),
        Err(DecodeError::Version(2))
    );
    assert_eq!(
        Entry::decode(&Bytes::from_static(&[1, 2])),
        Err(DecodeError::Length)
    );
    let mut later = [0; Publish::HEADER_LEN];
    later[..2].copy_from_slice(&[1, 9]);
    assert_eq!(
        Entry::decode(&Bytes::copy_from_slice(&later)),
        Err(DecodeError::Version(9))
    );
}
