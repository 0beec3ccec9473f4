//! The streams by their ids, which are given out one after the other.
//!
//! *Invariant:* the list is in the order of the ids. As few streams are deleted as a rule, an id's place is
//! mostly its distance from the first: each message looks its stream up twice, and of ten thousand streams
//! a tree's nodes would not be at hand.

use alloc::boxed::Box;
use alloc::vec::Vec;

use protocol::id::StreamId;

use crate::stream::Stream;

/// All streams of a shard.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    list: Vec<(StreamId, Box<Stream>)>,
}

impl Streams {
    #[inline]
    pub(crate) fn get(&self, id: &StreamId) -> Option<&Stream> {
        let at = place(&self.list, *id).ok()?;
        self.list.get(at).map(|(_, stream)| &**stream)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: &StreamId) -> Option<&mut Stream> {
        let at = place(&self.list, *id).ok()?;
        self.list.get_mut(at).map(|(_, stream)| &mut **stream)
    }

    pub(crate) fn contains_key(&self, id: &StreamId) -> bool {
        place(&self.list, *id).is_ok()
    }

    pub(crate) fn insert(&mut self, id: StreamId, stream: Box<Stream>) {
        match place(&self.list, id) {
            Ok(at) => {
                if let Some(entry) = self.list.get_mut(at) {
                    entry.1 = stream;
                }
            }
            Err(at) => self.list.insert(at, (id, stream)),
        }
    }

    pub(crate) fn remove(&mut self, id: &StreamId) -> Option<Box<Stream>> {
        let at = place(&self.list, *id).ok()?;
        Some(self.list.remove(at).1)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (StreamId, &mut Stream)> {
        self.list
            .iter_mut()
            .map(|(id, stream)| (*id, &mut **stream))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Stream> {
        self.list.iter().map(|(_, stream)| &**stream)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.list.iter_mut().map(|(_, stream)| &mut **stream)
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = Box<Stream>> {
        self.list.into_iter().map(|(_, stream)| stream)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// Returns where an id is in an ordered list, or where it would be.
#[inline]
fn place<T>(list: &[(StreamId, T)], id: StreamId) -> Result<usize, usize> {
    let Some((first, _)) = list.first() else {
        return Err(0);
    };
    // Ids only grow, so that an id is never behind its distance from the first.
    let distance = usize::try_from(id.0.saturating_sub(first.0)).unwrap_or(usize::MAX);
    if list.get(distance).is_some_and(|(there, _)| *there == id) {
        return Ok(distance);
    }
    list.binary_search_by_key(&id, |(there, _)| *there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_whatever_is_missing_before_it() {
        let mut list: Vec<(StreamId, ())> = (5..50).map(|id| (StreamId(id), ())).collect();
        for gone in [StreamId(5), StreamId(30), StreamId(31), StreamId(49)] {
            list.retain(|(id, ())| *id != gone);
            for id in (0..60).map(StreamId) {
                let at = list.iter().position(|(there, ())| *there == id);
                assert_eq!(place(&list, id).ok(), at, "{id:?} without {gone:?}");
            }
            assert_eq!(
                place(&list, gone).map(|_| ()),
                Err(list.partition_point(|(id, ())| *id < gone))
            );
        }
        assert_eq!(place::<()>(&[], StreamId(1)), Err(0));
    }
}
