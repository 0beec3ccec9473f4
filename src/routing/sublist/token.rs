//! The token of a node: a short one lies where it is compared.

use alloc::boxed::Box;

/// As much as makes the token as large as two words, with its length and a tag.
const SHORT_MAX: usize = 14;

/// The text between two dots of a subject.
#[derive(Debug)]
pub(super) enum Token {
    Short {
        len: u8,
        bytes: [u8; SHORT_MAX],
    },
    /// The slice is boxed once more so that its length takes no room here.
    Long(Box<Box<[u8]>>),
}

impl Token {
    pub(super) fn new(text: &[u8]) -> Self {
        let mut bytes = [0; SHORT_MAX];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(text);
                Self::Short { len, bytes }
            }
            (None, _) | (_, Err(_)) => Self::Long(Box::new(text.into())),
        }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(text) => text,
        }
    }

    #[inline]
    pub(super) fn is(&self, text: &[u8]) -> bool {
        self.as_bytes() == text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_it_was_made_of_whatever_its_length() {
        let text = [7; 40];
        for len in 0..text.len() {
            let token = Token::new(&text[..len]);
            assert_eq!(token.as_bytes(), &text[..len]);
            assert!(token.is(&text[..len]) && !token.is(&text[..len + 1]));
        }
    }

    #[test]
    fn a_token_takes_the_room_of_two_words() {
        assert_eq!(size_of::<Token>(), 16);
    }
}
