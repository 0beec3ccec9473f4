//! Subscriptions going into the accounts' routing tables, and out of them.
//!
//! *Invariant:* what an account imports of streams is subscribed in the exporting accounts exactly as
//! long as it is here.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;

use config::Options;
use protocol::id::{AccountId, ConnId, StreamId};
use routing::sublist::InvalidSubject;

use super::{Router, SubRef, Target};
use crate::conn::subs::Sub;
use crate::sharing::{Shadow, ShadowRef};

impl Router {
    /// Puts a subscription into an account's routing table.
    ///
    /// # Errors
    /// When nothing can match the subject.
    pub(crate) fn subscribe(
        &mut self,
        account: AccountId,
        subject: &[u8],
        queue: Option<&[u8]>,
        target: Target,
    ) -> Result<(), InvalidSubject> {
        if let Some(entry) = self.accounts.get_mut(account) {
            entry.subs.insert(subject, queue, target)?;
        }
        self.cast_shadows(account, subject, queue, target);
        Ok(())
    }

    /// Takes over what the accounts of another configuration share. `streams` are the subjects that
    /// streams take in.
    pub(crate) fn reshare(&mut self, config: &Options, streams: &[(AccountId, StreamId, Vec<u8>)]) {
        for (at, shadow) in self.sharing.shadows.take_all() {
            self.fade(at, &shadow);
        }
        self.sharing.clear(&mut self.accounts);
        self.sharing.configure(config, &mut self.accounts);
        let mut subscriptions = Vec::new();
        for conn in self.conns.iter() {
            for (slot, sub) in conn.subs.iter() {
                let conn_index = conn.id.index;
                let target = Target::Sub(SubRef {
                    conn: conn_index,
                    slot,
                });
                let subject = sub.subject.clone();
                subscriptions.push((conn.account, subject, sub.queue.clone(), target));
            }
        }
        for (account, subject, queue, target) in subscriptions {
            self.cast_shadows(account, &subject, queue.as_deref(), target);
        }
        for (account, stream, subject) in streams {
            self.cast_shadows(*account, subject, None, Target::Stream(*stream));
        }
    }

    /// Subscribes in other accounts what a subscription covers of their streams.
    fn cast_shadows(
        &mut self,
        account: AccountId,
        subject: &[u8],
        queue: Option<&[u8]>,
        target: Target,
    ) {
        let count = self
            .sharing
            .streams(account)
            .map_or(0, |streams| streams.len());
        for at in 0..count {
            self.cast_shadow(account, at, (subject, queue), target);
        }
    }

    /// Subscribes what a subscription covers of an imported stream, in the account that exports it.
    fn cast_shadow(
        &mut self,
        account: AccountId,
        at: usize,
        subscription: (&[u8], Option<&[u8]>),
        target: Target,
    ) {
        let (subject, queue) = subscription;
        let sharing = &mut self.sharing;
        let import = sharing.streams(account).and_then(|streams| streams.get(at));
        let Some(import) = import.map(Rc::clone) else {
            return;
        };
        let Some(covered) = import.renaming.covered(subject, &mut sharing.rng) else {
            return;
        };
        let exporter = import.exporter;
        let shadow = sharing.shadows.insert(
            subject,
            Shadow {
                account,
                target,
                import,
                subject: Box::from(&*covered),
                queue: queue.map(Box::from),
            },
        );
        if let Some(entry) = self.accounts.get_mut(exporter) {
            let bound = entry.subs.insert(&covered, queue, Target::Shadow(shadow));
            debug_assert!(bound.is_ok(), "an import's subjects have been checked");
        }
        self.note_interest(exporter, &covered);
    }

    /// Takes a subscription out of an account's routing table.
    pub(crate) fn unsubscribe(
        &mut self,
        account: AccountId,
        subject: &[u8],
        queue: Option<&[u8]>,
        target: Target,
    ) {
        if let Some(entry) = self.accounts.get_mut(account) {
            entry.subs.remove(subject, queue, target);
        }
        for (at, shadow) in self.sharing.shadows.take(account, subject, target) {
            self.fade(at, &shadow);
        }
    }

    /// Ends what a shadow subscribed.
    fn fade(&mut self, at: ShadowRef, shadow: &Shadow) {
        let exporter = shadow.import.exporter;
        if let Some(entry) = self.accounts.get_mut(exporter) {
            let (subject, queue) = (&shadow.subject, shadow.queue.as_deref());
            entry.subs.remove(subject, queue, Target::Shadow(at));
        }
        self.note_interest(exporter, &shadow.subject);
    }

    /// Notes that the interest in a subject has changed.
    pub(crate) fn note_interest(&mut self, account: AccountId, subject: &[u8]) {
        if self.watch_interest {
            self.interest_changes
                .push_back((account, Box::from(subject)));
        }
    }

    /// Takes a client's subscription out of the routing table and of the client.
    pub(crate) fn remove_sub(&mut self, conn: ConnId, slot: u32) {
        let Some(entry) = self.conns.get_mut(conn) else {
            return;
        };
        let account = entry.account;
        let Some(sub) = entry.subs.remove(slot) else {
            return;
        };
        self.end_sub(account, conn, slot, &sub);
    }

    /// Takes all of a client's subscriptions out.
    pub(crate) fn remove_all_subs(&mut self, conn: ConnId) {
        let Some(entry) = self.conns.get_mut(conn) else {
            return;
        };
        let account = entry.account;
        for (slot, sub) in entry.subs.take_all() {
            self.end_sub(account, conn, slot, &sub);
        }
    }

    /// Ends what a subscription that is no more its client's was to the account.
    fn end_sub(&mut self, account: AccountId, conn: ConnId, slot: u32, sub: &Sub) {
        let target = Target::Sub(SubRef {
            conn: conn.index,
            slot,
        });
        self.unsubscribe(account, &sub.subject, sub.queue.as_deref(), target);
        self.trace_removal(conn, &sub.sid);
        self.note_interest(account, &sub.subject);
        self.sharing.responses.note_unheard(account, &sub.subject);
    }
}
