//! The text of a subject: short ones lie where they are looked up, so that a stream of very many subjects
//! does not wait for memory once more with each message.

use alloc::boxed::Box;
use core::ops::Deref;

/// As much as makes the name as large as a length and a pointer to a longer one, and a tag.
const INLINE_MAX: usize = 22;

/// A subject's text.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Short(u8, [u8; INLINE_MAX]),
    Long(Box<[u8]>),
}

impl Name {
    /// Returns the name with this text.
    pub(super) fn new(text: &[u8]) -> Self {
        let mut bytes = [0; INLINE_MAX];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(text);
                Self::Short(len, bytes)
            }
            _ => Self::Long(Box::from(text)),
        }
    }

    /// Returns what the name takes beside its place.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Short(..) => 0,
            Self::Long(text) => text.len(),
        }
    }
}

impl Default for Name {
    fn default() -> Self {
        Self::Short(0, [0; INLINE_MAX])
    }
}

impl Deref for Name {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_it_was_made_of_whatever_its_length() {
        let text = [b'x'; 64];
        for len in 0..text.len() {
            let name = Name::new(&text[..len]);
            assert_eq!(*name, text[..len]);
            assert_eq!(name.memory() > 0, len > INLINE_MAX);
        }
        assert!(Name::default().is_empty());
    }

    #[test]
    fn a_name_takes_the_room_of_three_words() {
        assert_eq!(size_of::<Name>(), 24);
    }
}
