//! Partition 0, which the JS SDK means by mistake when a key chooses the partition: it takes the key's
//! remainder, from 0, for the number, from 1.
//!
//! Other remainders lead it to partitions that exist, so that what it sends to and reads from 0 belongs
//! to the last one: then each key has one partition, and each partition as many keys as it should.

use alloc::format;
use alloc::string::{String, ToString as _};

use protocol::id::AccountId;

use super::{Host, Memphis, Request};
use crate::book::{Book, Phase, StationRow};
use crate::name::{Kind, Name, station_of_stream};

/// What the requests of SDKs about a partition's consumers start with.
const REQUESTS: [&str; 2] = ["$JS.API.CONSUMER.INFO.", "$JS.API.CONSUMER.MSG.NEXT."];

/// Whether a station is to be reachable under partition 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alias {
    Begins,
    Ends,
}

impl Memphis {
    /// Makes partition 0 of all stations reachable.
    pub(super) fn bind_aliases(&self, host: &mut impl Host) {
        for (tenant, rows) in self.book.tenants() {
            let Some(account) = host.account_named(tenant) else {
                continue;
            };
            for (name, row) in &rows.stations {
                if row.phase == Phase::Whole && row.station.is_some() {
                    bind(account, name, Alias::Begins, host);
                }
            }
        }
    }

    pub(super) fn bind_alias(
        account: AccountId,
        station: &str,
        alias: Alias,
        host: &mut impl Host,
    ) {
        bind(account, station, alias, host);
    }

    /// Passes on what was sent to a partition 0; false if it was sent elsewhere.
    pub(super) fn pass_on(
        &self,
        account: AccountId,
        request: &Request<'_>,
        host: &mut impl Host,
    ) -> bool {
        let tenant = host.account_name(account);
        let Ok(subject) = core::str::from_utf8(request.subject) else {
            return false;
        };
        let Some(meant) = meant(&self.book, &tenant, subject) else {
            return false;
        };
        let request = Request {
            subject: meant.as_bytes(),
            ..*request
        };
        host.pass_on(account, &request);
        true
    }
}

/// Returns the subject that one of partition 0 stands for.
fn meant(book: &Book, account: &str, subject: &str) -> Option<String> {
    let prefix = REQUESTS.iter().find(|prefix| subject.starts_with(**prefix));
    let prefix = prefix.map_or("", |prefix| *prefix);
    let (stream, rest) = subject.get(prefix.len()..)?.split_once('.')?;
    let internal = stream.strip_suffix("$0")?;
    let (station, _) = station_of_stream(&format!("{internal}$1"));
    let row: &StationRow = book.station(account, &station)?;
    let last = row.station.as_ref()?.partitions.to_string();
    Some(format!("{prefix}{internal}${last}.{rest}"))
}

fn bind(account: AccountId, station: &str, alias: Alias, host: &mut impl Host) {
    let Ok(name) = Name::new(Kind::Station, station) else {
        return;
    };
    let stream = format!("{}$0", name.internal());
    let mut subjects = REQUESTS
        .map(|prefix| format!("{prefix}{stream}.*"))
        .to_vec();
    subjects.push(format!("{stream}.>"));
    for subject in subjects {
        match alias {
            Alias::Begins => host.bind(account, &subject),
            Alias::Ends => host.unbind(account, &subject),
        }
    }
}
