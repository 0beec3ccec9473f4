//! Turns of the Memphis layer between those of JetStream.

use alloc::format;
use alloc::string::String;

use bytes::Bytes;
use memphis::machine::{Host as _, Memphis, UploadId};
use memphis::manage::{Answer, Call};
use protocol::id::{AccountId, LogPos, StreamId};
use protocol::subject;

use super::world::World;
use super::{Streams, log};
use crate::effects::Level;
use crate::limits::FORWARDS_PER_BATCH;
use crate::router::Router;
use crate::stations::{Host, Letter, Presence};

impl Streams {
    /// Hands the layer what waits for it. Each answer may lead to the next request, so that a station
    /// of many partitions in memory is made in few batches.
    pub(super) fn deliver_mail(&mut self, router: &mut Router) {
        for _ in 0..FORWARDS_PER_BATCH {
            let Some(letter) = router.mail.take() else {
                return;
            };
            self.with_stations(router, |memphis, host| match letter {
                Letter::Request(asked) => memphis.request(asked.account, &asked.request(), host),
                Letter::Answer(task, body) => memphis.answered(task, &body, host),
                Letter::Manage(call) => {
                    let known = host.account_named(&call.account);
                    let asked = Call {
                        route: &call.route,
                        user: &call.user,
                        body: &call.body,
                    };
                    match known {
                        Some(account) => memphis.manage(account, call.id, asked, host),
                        None => host.managed(call.id, &Answer::unauthorized()),
                    }
                }
                Letter::Misfit(misfit) => memphis.misfit(misfit.account, misfit.shown(), host),
            });
        }
    }

    /// Tells the layer what came of an object.
    pub(crate) fn note_uploaded(
        &mut self,
        router: &mut Router,
        id: UploadId,
        result: Result<(), String>,
    ) {
        self.with_stations(router, |memphis, host| memphis.uploaded(id, result, host));
    }

    /// Tells the layer that a client has come or gone.
    pub(crate) fn note_client(&mut self, account: AccountId, name: &str, presence: Presence) {
        let memphis = &mut self.stations.machine;
        match presence {
            Presence::Here => memphis.connected(account, name),
            Presence::Gone => memphis.disconnected(account, name),
        }
    }

    /// Returns the name of a stream.
    pub(crate) fn stream_name(&self, stream: StreamId) -> Option<&str> {
        Some(self.machine.stream_by_id(stream)?.core.name())
    }

    /// Names the streams of an account that listen to a part of what a subject stands for.
    pub(crate) fn overlapping<'a>(
        &'a self,
        account: AccountId,
        subject: &'a [u8],
    ) -> impl Iterator<Item = &'a str> {
        let streams = self.machine.streams();
        let overlapping = streams.filter(move |stream| {
            let mut own = stream.core.config().subjects.iter();
            stream.core.account() == account
                && own.any(|own| subject::overlaps(own.as_bytes(), subject))
        });
        overlapping.map(|stream| stream.core.name())
    }

    /// Applies an entry of the layer.
    pub(super) fn on_memphis_entry(&mut self, router: &mut Router, pos: LogPos, entry: &Bytes) {
        let mut applied = Ok(());
        self.with_stations(router, |memphis, host| {
            applied = memphis.apply(pos, entry, host);
        });
        self.note_outlets();
        if let Err(error) = applied {
            log(router, Level::Error, format!("JetStream log: {error}"));
        }
    }

    /// Tells JetStream whose messages the layer copies when they leave.
    pub(super) fn note_outlets(&mut self) {
        self.machine.set_outlets(self.stations.machine.outlets());
    }

    /// Gives the layer a turn.
    pub(super) fn with_stations(
        &mut self,
        router: &mut Router,
        turn: impl FnOnce(&mut Memphis, &mut Host<'_>),
    ) {
        let stations = &mut self.stations;
        let mut host = Host {
            machine: &mut self.machine,
            world: World {
                domain_prefix: &self.domain_prefix,
                router,
                group: &self.group,
                store: &mut self.store,
                rng: &mut self.rng,
            },
            users: &stations.users,
            publishers: &stations.publishers,
            slack_url: &stations.slack_url,
        };
        turn(&mut stations.machine, &mut host);
    }
}
