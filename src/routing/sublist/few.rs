//! Values of which there is mostly one: that one lies where it is looked for.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Some values.
#[derive(Debug, Default)]
pub(super) enum Few<T> {
    One(T),
    /// Any number of them.
    More(Box<More<T>>),
    #[default]
    None,
}

/// Values that lie elsewhere: of most nodes that would be room for nothing.
#[derive(Debug)]
pub(super) struct More<T>(Vec<T>);

impl<T> Few<T> {
    #[inline]
    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(value) => core::slice::from_ref(value),
            Self::More(values) => &values.0,
            Self::None => &[],
        }
    }
}

impl<T: Copy> Few<T> {
    pub(super) fn push(&mut self, value: T) {
        match self {
            Self::None => *self = Self::One(value),
            Self::One(first) => *self = Self::More(Box::new(More(Vec::from([*first, value])))),
            Self::More(values) => values.0.push(value),
        }
    }
}

impl<T: Copy + PartialEq> Few<T> {
    /// Removes one value that is equal; reports whether there was one. It searches from the end: what
    /// subscribed last tends to go first.
    pub(super) fn swap_remove(&mut self, wanted: &T) -> bool {
        match self {
            Self::One(value) if value == wanted => {
                *self = Self::None;
                true
            }
            Self::None | Self::One(_) => false,
            Self::More(values) => {
                let found = values.0.iter().rposition(|value| value == wanted);
                if let Some(at) = found {
                    values.0.swap_remove(at);
                }
                if values.0.is_empty() {
                    *self = Self::None;
                }
                found.is_some()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_and_go_one_by_one() {
        let mut few = Few::default();
        assert!(!few.swap_remove(&1));
        for value in [1, 2, 1, 3] {
            few.push(value);
        }
        assert_eq!(few.as_slice(), [1, 2, 1, 3]);
        assert!(few.swap_remove(&1));
        assert_eq!(few.as_slice(), [1, 2, 3]);
        assert!(!few.swap_remove(&4));
        for value in [3, 1, 2] {
            assert!(few.swap_remove(&value));
        }
        assert!(few.as_slice().is_empty());
        few.push(5);
        assert!(!few.swap_remove(&6));
        assert_eq!(few.as_slice(), [5]);
    }
}
