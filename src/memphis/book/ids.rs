//! Numbers that stand for names: Memphis gave every row one, and those who ask may tell rows apart by them.
//!
//! *Invariant:* a number follows from what is named, so that it is the same after a restart. Of two names of a
//! kind in an account that would have the same one, the later gets another, which the log gives it again; it
//! keeps that as long as it is there, whatever becomes of the first.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::Tenant;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;
/// Numbers are positive for those who read 32 bits with a sign.
const ID_MAX: u32 = 0x7fff_ffff;

/// What has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Numbered {
    Station,
    User,
    Schema,
    Tag,
}

impl Numbered {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Station => "station",
            Self::User => "user",
            Self::Schema => "schema",
            Self::Tag => "tag",
        }
    }
}

/// The numbers of an account that are not those that follow from the name: there was another such one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// By kind, then by name.
    moved: BTreeMap<String, BTreeMap<String, u32>>,
}

impl Ids {
    /// Returns the number of a name.
    pub(super) fn of(&self, kind: Numbered, name: &str) -> u32 {
        let moved = self.moved.get(kind.as_str());
        let moved = moved.and_then(|names| names.get(name)).copied();
        moved.unwrap_or_else(|| id_of(kind.as_str(), &[name]))
    }

    /// Gives a name its number, beside the others of its kind; one that it has it keeps.
    pub(super) fn settle<'n>(
        &mut self,
        kind: Numbered,
        name: &str,
        others: impl Iterator<Item = &'n str>,
    ) {
        let others = others.filter(|other| *other != name);
        let taken: BTreeSet<u32> = others.map(|other| self.of(kind, other)).collect();
        let (wanted, has) = (id_of(kind.as_str(), &[name]), self.of(kind, name));
        let id = free(has, |id| taken.contains(&id));
        if id != wanted {
            let names = self.moved.entry(kind.as_str().into()).or_default();
            names.insert(name.into(), id);
        }
    }

    /// Forgets a name.
    pub(super) fn forget(&mut self, kind: Numbered, name: &str) {
        if let Some(names) = self.moved.get_mut(kind.as_str()) {
            names.remove(name);
        }
    }
}

/// Returns the number of a name in an account, which may have no rows.
pub(crate) fn number(kind: Numbered, name: &str, rows: Option<&Tenant>) -> u32 {
    match rows {
        Some(rows) => rows.ids.of(kind, name),
        None => id_of(kind.as_str(), &[name]),
    }
}

/// Returns the first number from `id` on that is not taken. There are more than names.
pub(crate) fn free(mut id: u32, is_taken: impl Fn(u32) -> bool) -> u32 {
    while is_taken(id) {
        id = if id < ID_MAX { id + 1 } else { 1 };
    }
    id
}

/// Returns the number that follows from what something is called, and its kind.
pub(crate) fn id_of(kind: &str, names: &[&str]) -> u32 {
    let sum = names.iter().fold(mixed(OFFSET, kind), |sum, name| {
        // Names have no such byte, so that two of them are never one longer name.
        mixed(mixed(sum, "\0"), name)
    });
    // Never the number of nothing.
    u32::try_from((sum ^ sum >> 32) & u64::from(ID_MAX)).map_or(1, |id| id.max(1))
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

    #[test]
    fn the_later_of_two_names_with_one_number_gets_another_and_keeps_it() {
        const KIND: Numbered = Numbered::Station;
        // Found by trying: both come to the same.
        let (first, second) = ("x22357", "x76200");
        let same = id_of("station", &[first]);
        assert_eq!(same, id_of("station", &[second]));
        let mut ids = Ids::default();
        ids.settle(KIND, first, [].into_iter());
        ids.settle(KIND, second, [first].into_iter());
        assert_eq!(
            (ids.of(KIND, first), ids.of(KIND, second)),
            (same, same + 1)
        );
        ids.forget(KIND, first);
        ids.settle(KIND, second, [].into_iter());
        assert_eq!(ids.of(KIND, second), same + 1, "it stays");
        ids.settle(KIND, first, [second].into_iter());
        assert_eq!(ids.of(KIND, first), same);
        ids.forget(KIND, second);
        assert_eq!(ids.of(KIND, second), same);
    }

    #[test]
    fn numbers_begin_anew_behind_the_last_one() {
        assert_eq!(free(ID_MAX, |id| id == ID_MAX), 1);
    }
}
