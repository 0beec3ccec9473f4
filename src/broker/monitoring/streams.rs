//! JetStream as monitoring sees it: totals, accounts, streams, and whether all of it is well.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use monitor::stats::{AccountUsage, Damage, Health, JetStream, Store, Stream, Usage};
use protocol::id::AccountId;
use protocol::js::info::{AccountInfo, StreamInfo};
use protocol::time::Wall;

use crate::shard::Shard;
use crate::streams::Storage;

/// The system's temporary directory, where nothing else is configured.
const TEMP: &str = "/tmp";

/// Returns the totals; none without JetStream.
pub(super) fn totals(shard: &Shard) -> Option<JetStream> {
    let machine = shard.jetstream()?;
    let shared = machine.shared();
    let options = &shared.options;
    let mut js = JetStream {
        memory_max: u64::try_from(options.memory_bytes_max).unwrap_or(0),
        file_max: u64::try_from(options.store_bytes_max).unwrap_or(0),
        directory: shard.options.config.jetstream.directory(TEMP),
        ..JetStream::default()
    };
    js.usage.reserved_memory = Some(0);
    js.usage.reserved_storage = Some(0);
    for (id, account) in shared.accounts.iter() {
        let Some(limits) = account.limits else {
            continue;
        };
        let info = machine.account_usage(id);
        add(&mut js, &info);
        let limit = |limit: i64| u64::try_from(limit).ok();
        js.accounts.push(AccountUsage {
            account: account.name.to_string(),
            usage: Usage {
                reserved_memory: limit(limits.max_memory),
                reserved_storage: limit(limits.max_storage),
                ..usage(&info)
            },
        });
    }
    for stream in machine.streams() {
        let state = stream.core.state(0);
        js.messages += state.messages;
        js.bytes += state.bytes;
    }
    Some(js)
}

fn usage(info: &AccountInfo) -> Usage {
    Usage {
        memory: info.memory,
        storage: info.storage,
        reserved_memory: Some(info.reserved_memory),
        reserved_storage: Some(info.reserved_storage),
        api_total: info.api.total,
        api_errors: info.api.errors,
        api_inflight: 0,
    }
}

fn add(js: &mut JetStream, info: &AccountInfo) {
    let whole = &mut js.usage;
    whole.memory += info.memory;
    whole.storage += info.storage;
    whole.api_total += info.api.total;
    whole.api_errors += info.api.errors;
    whole.reserved_memory = whole.reserved_memory.map(|n| n + info.reserved_memory);
    whole.reserved_storage = whole.reserved_storage.map(|n| n + info.reserved_storage);
    js.streams += info.streams;
    js.consumers += info.consumers;
}

/// Returns an account's streams by name; none when it may not use JetStream.
pub(super) fn of_account(shard: &Shard, account: &str, now: Wall) -> Option<Vec<Stream>> {
    let machine = shard.jetstream()?;
    let shared = machine.shared();
    let (id, found) = shared
        .accounts
        .iter()
        .find(|(_, a)| *a.name == *account && a.limits.is_some())?;
    let names = found.streams.keys();
    let streams = names.filter_map(|name| machine.stream(id, name));
    Some(streams.map(|stream| view(stream, now)).collect())
}

fn view(stream: &jetstream::stream::Stream, now: Wall) -> Stream {
    let core = &stream.core;
    let consumers = stream.consumers.iter();
    Stream {
        info: StreamInfo {
            config: core.config().clone(),
            created: core.created(),
            state: core.state(stream.consumers.count()),
            ts: now,
            ..StreamInfo::default()
        },
        consumers: consumers
            .map(|consumer| consumer.snapshot_info(core, now))
            .collect(),
    }
}

/// Tells whether everything that was acknowledged is there and can be served.
pub(super) fn store(shard: &Shard) -> Option<Store> {
    let stats = shard.streams.as_ref()?.store.stats();
    let count = |n: usize| n as u64;
    Some(Store {
        entries: stats.entries,
        syncs: stats.syncs,
        unsynced_bytes: stats.unsynced_bytes,
        segments: count(stats.segments),
        segment_bytes: stats.segment_bytes,
        cache_bytes: count(stats.tail_cache_bytes + stats.read_cache_bytes),
        damaged_reads: stats.damaged_reads,
        scrubbed_bytes: stats.scrubbed_bytes,
        scrub_laps: stats.scrub_laps,
        scrub_waiting: count(stats.scrub_waiting),
        is_poisoned: shard
            .storage()
            .is_some_and(|storage| storage.storage == Storage::Poisoned),
    })
}

/// Says how JetStream is.
pub(super) fn health(shard: &Shard) -> Health {
    let mut health = Health::default();
    let Some(storage) = shard.storage() else {
        return health;
    };
    health.unavailable = match storage.storage {
        Storage::Recovering => Some(String::from("JetStream is still recovering")),
        Storage::Poisoned => Some(match storage.poisoned {
            Some(error) => {
                format!("JetStream has stopped: a write to the disk has failed: {error}")
            }
            None => String::from("JetStream has stopped: a write to the disk has failed"),
        }),
        Storage::Damaged | Storage::Unreadable => {
            Some(shard.storage_failure().unwrap_or_default().to_string())
        }
        Storage::Live if storage.unreadable > 0 => Some(format!(
            "JetStream could not read {} entries of its log",
            storage.unreadable
        )),
        Storage::Live => None,
    };
    health.refuses = storage
        .lacks
        .map(|error| format!("JetStream cannot make its next log file: {error}"));
    health.found = storage.damaged.map(|(first, ranges)| {
        let (file, from, to) = (first.file, first.from, first.to);
        format!(
            "JetStream storage was damaged at the start, in {ranges} places: \
             the first is {file} from byte {from} to {to}"
        )
    });
    let Some(machine) = shard.jetstream() else {
        return health;
    };
    let name = |id: AccountId| shard.router.accounts.name(id).to_string();
    if let Some((id, known)) = machine.closed_streams().next() {
        let streams = machine.closed_streams().count();
        let first = match known {
            Some((account, stream)) => format!("{stream:?} on account {:?}", name(account)),
            None => format!("number {}, whose configuration is lost", id.0),
        };
        health.found = Some(format!(
            "JetStream has closed {streams} streams, since damage has taken a part of a checkpoint: \
             the first is {first}"
        ));
    }
    for stream in machine.streams() {
        if let Some(lost) = stream.core.state(0).lost {
            health.damaged.push(Damage {
                account: name(stream.core.account()),
                stream: stream.core.name().to_string(),
                lost: lost.msgs.len() as u64,
            });
        }
    }
    let (streams, messages) = machine.orphans();
    if streams > 0 {
        health.damaged.push(Damage {
            account: String::new(),
            stream: format!("{streams} whose creation is lost"),
            lost: messages,
        });
    }
    health
}
