//! Subscriptions in other accounts: what a subscription covers of an imported stream is subscribed where
//! the stream is.
//!
//! *Invariant:* a shadow lives as long as the subscription that it was made for.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use protocol::id::AccountId;
use slab::Slab;

use super::StreamImport;
use crate::router::Target;

/// A shadow's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ShadowRef(pub(crate) u32);

/// What one subscription covers of one import.
#[derive(Clone, Debug)]
pub(crate) struct Shadow {
    /// The account that imports.
    pub(crate) account: AccountId,
    /// Who gets the messages there.
    pub(crate) target: Target,
    pub(crate) import: Rc<StreamImport>,
    /// What it subscribes in the account that exports.
    pub(crate) subject: Box<[u8]>,
    pub(crate) queue: Option<Box<[u8]>>,
}

/// Which subscription shadows belong to.
type Owner = (AccountId, Target, Box<[u8]>);

#[derive(Debug, Default)]
pub(crate) struct Shadows {
    slots: Slab<Shadow>,
    of: BTreeMap<Owner, Vec<ShadowRef>>,
}

impl Shadows {
    #[inline]
    pub(crate) fn get(&self, at: ShadowRef) -> Option<&Shadow> {
        self.slots.get(at.0 as usize)
    }

    pub(crate) fn insert(&mut self, subject: &[u8], shadow: Shadow) -> ShadowRef {
        let owner = (shadow.account, shadow.target, Box::from(subject));
        let slot = self.slots.insert(shadow);
        let at = ShadowRef(u32::try_from(slot).expect("fewer than 2^32 shadows"));
        self.of.entry(owner).or_default().push(at);
        at
    }

    /// Takes the shadows of a subscription out.
    pub(crate) fn take(
        &mut self,
        account: AccountId,
        subject: &[u8],
        target: Target,
    ) -> Vec<(ShadowRef, Shadow)> {
        if self.of.is_empty() {
            return Vec::new();
        }
        let owner = (account, target, Box::from(subject));
        let refs = self.of.remove(&owner).unwrap_or_default();
        let slots = &mut self.slots;
        refs.into_iter()
            .filter_map(|at| Some((at, slots.try_remove(at.0 as usize)?)))
            .collect()
    }

    /// Takes all of them out.
    pub(crate) fn take_all(&mut self) -> Vec<(ShadowRef, Shadow)> {
        self.of.clear();
        let slots = core::mem::take(&mut self.slots);
        let all = slots.into_iter();
        all.filter_map(|(slot, shadow)| Some((ShadowRef(u32::try_from(slot).ok()?), shadow)))
            .collect()
    }
}
