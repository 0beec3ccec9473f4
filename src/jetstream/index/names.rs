//! The texts of subjects: short ones lie where they are looked up, so that a stream of very many subjects
//! does not wait for memory once more with each message; the others lie one behind the other.
//!
//! *Invariant:* a [`Name`] is read with the [`Texts`] that made it. Those that are given up leave a gap,
//! and the gaps are never larger than what is in use, but for a little.

use alloc::vec::Vec;

/// As much as makes the name as large as a place and a length, and a tag.
const INLINE_MAX: usize = 15;
/// The tag of a name that lies elsewhere.
const ELSEWHERE: u8 = u8::MAX;
/// Gaps of so many bytes are left alone.
const GAPS_FREE: usize = 4 << 10;

/// A subject's text, or where it lies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Name {
    bytes: [u8; INLINE_MAX],
    /// The length of a short text.
    tag: u8,
}

impl Name {
    /// Returns where a long text begins, and its length.
    fn place(self) -> Option<(usize, usize)> {
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = self.bytes;
        let start = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let len = u32::from_le_bytes([i, j, k, l]);
        let place = (usize::try_from(start).ok()?, usize::try_from(len).ok()?);
        (self.tag == ELSEWHERE).then_some(place)
    }
}

/// The long texts.
#[derive(Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    gaps: usize,
}

impl Texts {
    /// Returns the name with this text.
    pub(super) fn put(&mut self, text: &[u8]) -> Name {
        let mut bytes = [0; INLINE_MAX];
        if let (Some(room), Ok(tag)) = (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            room.copy_from_slice(text);
            return Name { bytes, tag };
        }
        let len = u32::try_from(text.len()).expect("a subject is shorter than a message");
        let (start, rest) = bytes.split_at_mut(8);
        start.copy_from_slice(&(self.bytes.len() as u64).to_le_bytes());
        let (written, _) = rest.split_at_mut(4);
        written.copy_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(text);
        Name {
            bytes,
            tag: ELSEWHERE,
        }
    }

    /// Returns a name's text.
    #[inline]
    pub(super) fn get<'a>(&'a self, name: &'a Name) -> &'a [u8] {
        let text = match name.place() {
            Some((start, len)) => self.bytes.get(start..start + len),
            None => name.bytes.get(..usize::from(name.tag)),
        };
        text.unwrap_or_default()
    }

    /// Gives a name up. Returns whether the gaps have grown so large that [`Texts::close_gaps`] is due.
    pub(super) fn give_up(&mut self, name: Name) -> bool {
        self.gaps += name.place().map_or(0, |(_, len)| len);
        self.gaps > GAPS_FREE && self.gaps > self.bytes.len() / 2
    }

    /// Moves the texts of all names together.
    pub(super) fn close_gaps<'a>(&mut self, names: impl Iterator<Item = &'a mut Name>) {
        let before = core::mem::take(self);
        for name in names {
            if name.place().is_some() {
                *name = self.put(before.get(&{ *name }));
            }
        }
    }

    /// Returns what they take.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn a_name_is_what_it_was_made_of_whatever_its_length() {
        let mut texts = Texts::default();
        let text: Vec<u8> = (0..64).collect();
        let names: Vec<Name> = (0..text.len()).map(|len| texts.put(&text[..len])).collect();
        for (len, name) in names.iter().enumerate() {
            assert_eq!(texts.get(name), &text[..len]);
        }
        assert!(texts.get(&Name::default()).is_empty());
    }

    #[test]
    fn a_name_takes_the_room_of_two_words() {
        assert_eq!(size_of::<Name>(), 16);
    }

    #[test]
    fn what_is_given_up_does_not_take_room_for_ever() {
        let mut texts = Texts::default();
        let mut names = Vec::new();
        let text = |i: usize| format!("a.subject.that.is.long.{i:09}").into_bytes();
        for i in 0..100_000 {
            names.push((i, texts.put(&text(i))));
            if names.len() > 100 {
                let (_, gone) = names.remove(0);
                if texts.give_up(gone) {
                    texts.close_gaps(names.iter_mut().map(|(_, name)| name));
                }
            }
        }
        assert!(texts.memory() < 64 << 10, "{}", texts.memory());
        for (i, name) in &names {
            assert_eq!(texts.get(name), text(*i));
        }
    }
}
