//! What happens without being asked: taking up what a crash interrupted, and forgetting what has been
//! kept for long enough.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use protocol::id::AccountId;
use protocol::js::enums::Storage;
use protocol::time::{Instant, nanos};

use super::{Host, Memphis, Reply, Task, record};
use crate::book::{Change, Dying, Phase, StationRow, Tenant};
use crate::consumer::{Joining, Leaving};
use crate::making::Making;
use crate::name::{Kind, Name};
use crate::removing::Removing;
use crate::turns::Topic;
use crate::work::Work;

/// How often old rows are looked for.
const SWEEP: Duration = Duration::from_secs(120);

impl Memphis {
    /// Recovery is over: what was begun before is taken up.
    pub fn recovered(&mut self, host: &mut impl Host) {
        let mut unfinished: Vec<(AccountId, Name, Work)> = Vec::new();
        let mut streams: BTreeSet<String> = BTreeSet::new();
        for (account, tenant) in self.book.tenants() {
            // An account that is not configured any more keeps its rows; its streams rest as well.
            let Some(account) = host.account_named(account) else {
                continue;
            };
            streams.clear();
            host.streams(account, &mut |stream| {
                streams.insert(stream.into());
            });
            for (name, row) in &tenant.stations {
                let Ok(name) = Name::new(Kind::Station, name) else {
                    continue;
                };
                let works = if is_forgotten(row, &streams) {
                    works_of_forgotten(&name, row)
                } else {
                    unfinished_work(&name, row)
                };
                unfinished.extend(works.into_iter().map(|work| (account, name.clone(), work)));
            }
        }
        for (account, station, work) in unfinished {
            let task = Task {
                account,
                reply: Reply::Subject(Vec::new()),
                work,
            };
            self.start(task, vec![Topic::Station(station)], host);
        }
        self.is_live = true;
        self.bind_aliases(host);
        for (name, rows) in self.book.tenants() {
            if let Some(account) = host.account_named(name) {
                for (user, row) in &rows.users {
                    host.user_changed(account, user, Some(row));
                }
            }
        }
        let mut dying: Vec<(String, Dying)> = Vec::new();
        for (name, rows) in self.book.tenants() {
            dying.extend(rows.dying.values().map(|d| (name.into(), d.clone())));
        }
        for (name, dying) in dying {
            if let Some(account) = host.account_named(&name) {
                self.bury(account, &name, &dying, host);
            }
        }
        self.send_wanted(host);
        let now = host.now().mono;
        self.next_sweep = now + SWEEP;
        self.pulse.begin(now);
        self.tiering.begin(now);
    }

    /// Returns when [`Memphis::handle_timeout`] is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let pulse = self.pulse.next();
        let due = self.next_sweep.min(self.next_resend);
        due.min(pulse).min(self.tiering.next())
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, host: &mut impl Host) {
        let now = host.now();
        if now.mono >= self.next_resend {
            self.send_wanted(host);
        }
        if now.mono >= self.pulse.next() {
            self.beat(host);
        }
        if now.mono >= self.tiering.next() {
            self.tier(host);
        }
        if now.mono < self.next_sweep {
            return;
        }
        self.next_sweep = now.mono + SWEEP;
        let kept_since = now
            .wall
            .0
            .saturating_sub(nanos(self.options.dead_letters_kept));
        let patience = self.options.clients_kept;
        let mut changes: Vec<(String, Change)> = Vec::new();
        for (name, tenant) in self.book.tenants() {
            let is_old = |updated| updated < kept_since;
            if tenant
                .dead_letters
                .iter()
                .any(|(_, dead)| is_old(dead.updated))
            {
                changes.push((name.to_string(), Change::DeadLettersExpired(kept_since)));
            }
            if let Some(account) = host.account_named(name) {
                let named = connections(tenant);
                let gone = self.clients.sweep(account, &named, patience, now.mono);
                if !gone.is_empty() {
                    changes.push((name.to_string(), Change::Forgotten(gone)));
                }
            }
        }
        for (account, change) in changes {
            record(account, change, host);
        }
    }
}

/// Says whether a station's streams went with the process: those in memory do, the station does not.
fn is_forgotten(row: &StationRow, streams: &BTreeSet<String>) -> bool {
    let station = row.station.as_ref();
    let in_memory = station.filter(|station| station.storage == Storage::Memory);
    row.phase == Phase::Whole
        && in_memory.is_some_and(|station| !streams.contains(&station.name.partition_stream(1)))
}

/// Returns what brings a station in memory and its groups back, empty.
fn works_of_forgotten(name: &Name, row: &StationRow) -> Vec<Work> {
    let station = row.station.iter().cloned();
    let making = station.map(|station| Work::Making(Making::resume(station)));
    let first_members = row
        .groups
        .values()
        .filter_map(|group| group.members.first());
    let joining =
        first_members.map(|first| Work::Joining(Joining::resume(name.clone(), first.clone())));
    making.chain(joining).collect()
}

/// Returns what has to be done until a station and its groups are whole or absent.
fn unfinished_work(name: &Name, row: &StationRow) -> Vec<Work> {
    let mut works = Vec::new();
    match (row.phase, &row.station) {
        (Phase::Making, Some(station)) => {
            works.push(Work::Making(Making::resume(station.clone())));
        }
        (Phase::Going, _) => works.push(Work::Removing(Removing::resume(name.clone()))),
        (Phase::Making | Phase::Whole, _) => {}
    }
    for (group_name, group) in &row.groups {
        match (group.phase, group.members.first()) {
            (Phase::Making, Some(first)) => {
                let joining = Joining::resume(name.clone(), first.clone());
                works.push(Work::Joining(joining));
            }
            (Phase::Going, _) | (Phase::Making, None) => {
                let leaving = Leaving::resume(name.clone(), group_name.clone());
                works.push(Work::Leaving(leaving));
            }
            (Phase::Whole, _) => {}
        }
    }
    works
}

/// Returns the connections that an account's rows name, sorted.
fn connections(tenant: &Tenant) -> Vec<&str> {
    let rows = tenant.stations.values();
    let mut named: Vec<&str> = rows
        .flat_map(|row| {
            let producers = row.producers.iter().map(|p| &p.client);
            let groups = row.groups.values().flat_map(|group| &group.members);
            producers.chain(groups.map(|c| &c.client))
        })
        .map(|client| client.connection.as_str())
        .collect();
    named.sort_unstable();
    named.dedup();
    named
}
