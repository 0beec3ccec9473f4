//! Numbers that stand for names: Memphis gave every row one, and those who ask may tell rows apart by them.
//!
//! *Invariant:* a number follows from what is named, so that it is the same after a restart, and for streams
//! of NATS clients, which have no row.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// Returns the number of something: its kind, and what it is called.
pub(super) fn id_of(kind: &str, names: &[&str]) -> u32 {
    let sum = names.iter().fold(mixed(OFFSET, kind), |sum, name| {
        // Names have no such byte, so that two of them are never one longer name.
        mixed(mixed(sum, "\0"), name)
    });
    // Positive for those who read 32 bits with a sign, and never the number of nothing.
    u32::try_from((sum ^ sum >> 32) & 0x7fff_ffff).map_or(1, |id| id.max(1))
}

/// Returns the number of a user.
#[must_use]
pub fn user_id(name: &str) -> u32 {
    id_of("user", &[name])
}

/// Returns a number that changes when a password does.
#[must_use]
pub fn seal_of(secret: &str) -> u64 {
    mixed(OFFSET, secret)
}

/// Mixes bytes into a sum (FNV-1a).
fn mixed(sum: u64, text: &str) -> u64 {
    let mix = |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(PRIME);
    text.bytes().fold(sum, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tell_names_and_kinds_apart_and_stay() {
        assert_eq!(id_of("station", &["a"]), 962_279_142);
        let others = [
            id_of("station", &["b"]),
            id_of("schema", &["a"]),
            id_of("station", &["a", ""]),
        ];
        assert!(!others.contains(&id_of("station", &["a"])), "{others:?}");
        assert_ne!(seal_of("one"), seal_of("two"));
    }
}
