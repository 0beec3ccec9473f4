//! What the reply subject of a fast batch's message says:
//! `<inbox>.<batch>.<acks every>.<fail|ok>.<sequence>.<operation>.$FI`.

/// What such a reply subject ends with.
const SUFFIX: &[u8] = b".$FI";
/// How many messages an ack covers if the client does not say.
const ACK_EVERY: u16 = 10;

/// The place of a message in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The batch.
    pub(super) id: &'a [u8],
    /// The message's number, from one.
    pub(super) seq: u64,
    /// How many messages the client lets an ack cover at most.
    pub(super) ack_every: u16,
    /// Whether messages may be missing.
    pub(super) gap_ok: bool,
    /// What the message does.
    pub(super) op: Op,
}

/// What a message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// It is the first one.
    Start,
    /// It is one more.
    Append,
    /// It is the last one.
    Commit,
    /// The one before was the last one; this one is not stored.
    CommitBefore,
    /// It asks how far the batch is; it is not stored.
    Ping,
}

impl Op {
    /// Returns whether the batch ends with it.
    pub(super) fn ends(self) -> bool {
        matches!(self, Self::Commit | Self::CommitBefore)
    }
}

/// Returns whether a message with this reply subject is part of a fast batch.
pub(crate) fn is_fast(reply: &[u8]) -> bool {
    reply.len() > SUFFIX.len() && reply.ends_with(SUFFIX)
}

impl<'a> Place<'a> {
    /// Reads a reply subject; nothing if it does not have the form.
    pub(super) fn parse(reply: &'a [u8]) -> Option<Self> {
        let mut tokens = reply.strip_suffix(SUFFIX)?.rsplit(|&b| b == b'.');
        let op = match number(tokens.next()?)? {
            0 => Op::Start,
            1 => Op::Append,
            2 => Op::Commit,
            3 => Op::CommitBefore,
            4 => Op::Ping,
            _ => return None,
        };
        let seq = number(tokens.next()?).filter(|&seq| seq > 0 && seq < u64::MAX)?;
        let fits = match op {
            Op::Start => seq == 1,
            Op::Append | Op::CommitBefore => seq > 1,
            Op::Commit | Op::Ping => true,
        };
        let gap_ok = match tokens.next()? {
            b"ok" => true,
            b"fail" => false,
            _ => return None,
        };
        let ack_every = number(tokens.next()?).filter(|&every| every > 0);
        let ack_every = ack_every.map_or(ACK_EVERY, |n| u16::try_from(n).unwrap_or(u16::MAX));
        let id = tokens.next()?;
        // Something stands before the batch: the inbox.
        tokens.next()?;
        fits.then_some(Self {
            id,
            seq,
            ack_every,
            gap_ok,
            op,
        })
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = core::str::from_utf8(text).ok().filter(|_| digits)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(reply: &str) -> Option<Place<'_>> {
        Place::parse(reply.as_bytes())
    }

    #[test]
    fn the_tokens_are_read_from_the_end() {
        let place = parse("_INBOX.a.b.uuid.200.ok.7.1.$FI").unwrap();
        assert_eq!(place.id, b"uuid");
        assert_eq!((place.seq, place.ack_every), (7, 200));
        assert!(place.gap_ok);
        assert_eq!(place.op, Op::Append);
        let place = parse("i.uuid.0.fail.1.0.$FI").unwrap();
        assert_eq!((place.ack_every, place.gap_ok), (10, false));
        assert_eq!(parse("i.u.99999.ok.1.2.$FI").unwrap().ack_every, u16::MAX);
        assert_eq!(parse("i.u.x.ok.1.2.$FI").unwrap().ack_every, 10);
    }

    #[test]
    fn other_forms_are_none() {
        for bad in [
            "i.u.1.ok.2.0.$FI",
            "i.u.1.ok.1.1.$FI",
            "i.u.1.ok.1.3.$FI",
            "i.u.1.ok.0.4.$FI",
            "i.u.1.ok.1.5.$FI",
            "i.u.1.ok.1.x.$FI",
            "i.u.1.maybe.1.0.$FI",
            "u.1.ok.1.0.$FI",
            "ok.1.0.$FI",
            "i.u.1.ok.18446744073709551615.1.$FI",
            "i.u.1.ok.1.0",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert!(is_fast(b"x.$FI") && !is_fast(b".$FI") && !is_fast(b"_INBOX.1"));
    }
}
