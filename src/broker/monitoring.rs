//! The shard as monitoring sees it: what [`monitor::Source`] asks for, taken from the shard's parts.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use config::Options;
use config::options::ConnectionType;
use monitor::Source;
use monitor::stats::{
    Account, Connection, End, Flow, Health, JetStream, Process, Server, Stream, Sublist,
    Subscription, Tls, TlsCert,
};
use protocol::time::{Now, Wall};

use crate::closed::Closed;
use crate::shard::Shard;
use crate::snapshot::{ConnView, SubView};
use crate::stats;
use crate::tls::TlsSession;

mod streams;

/// A shard at one moment, with what the driver measured of the process.
#[derive(Debug)]
pub struct Monitoring<'a> {
    shard: &'a Shard,
    now: Now,
    process: Process,
}

impl Shard {
    /// Returns the view that monitoring documents are made from.
    #[must_use]
    pub fn monitoring(&self, now: Now, process: Process) -> Monitoring<'_> {
        Monitoring {
            shard: self,
            now,
            process,
        }
    }
}

impl Source for Monitoring<'_> {
    fn now(&self) -> Now {
        self.now
    }

    fn options(&self) -> &Options {
        &self.shard.options.config
    }

    fn server(&self) -> Server {
        let shard = self.shard;
        let stats = shard.stats();
        let accounts = &shard.router.accounts;
        let system = accounts.system.map(|id| accounts.name(id).to_string());
        let mut whole = Sublist::default();
        for (_, account) in accounts.iter() {
            add(&mut whole, &sublist(account.subs.stats()));
        }
        let config = &shard.options.config;
        let rules = match config.listen {
            Some(_) => crate::Rules::Nats,
            None => crate::Rules::Memphis,
        };
        Server {
            id: shard.identity.id.clone(),
            name: shard.identity.name.clone(),
            start: shard.options.start.wall,
            listen: None,
            connect_urls: Vec::new(),
            auth_required: shard.auth.is_required(rules, ConnectionType::Standard),
            system_account: system.unwrap_or_default(),
            connections: shard.connections() as u64,
            connections_total: stats.connections_total,
            received: flow(stats.received),
            sent: flow(stats.sent),
            slow_consumers: stats.slow_consumers,
            stale_connections: stats.stale_connections,
            stalls: stats.stalls,
            sublist: whole,
        }
    }

    fn process(&self) -> Process {
        self.process.clone()
    }

    fn connections(&self) -> Vec<Connection> {
        let views = self.shard.conn_views(self.now);
        let until = self.now.wall;
        views.into_iter().map(|v| connection(v, until)).collect()
    }

    fn closed_connections(&self) -> Vec<Connection> {
        let closed = self.shard.closed_views();
        closed.map(ended).collect()
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        let views = self.shard.sub_views();
        views.into_iter().map(subscription).collect()
    }

    fn accounts(&self) -> Vec<Account> {
        let router = &self.shard.router;
        let mut accounts: Vec<Account> = router
            .accounts
            .iter()
            .map(|(_, account)| Account {
                label: self.options().account_label(&account.name).to_string(),
                name: account.name.clone(),
                updated: self.shard.options.start.wall,
                jetstream: account.jetstream,
                connections: u64::from(account.connections),
                connections_total: u64::from(account.connections),
                slow_consumers: 0,
                received: flow(account.received),
                sent: flow(account.sent),
                sublist: sublist(account.subs.stats()),
            })
            .collect();
        for conn in router.conns.iter().filter(|conn| !conn.is_closing()) {
            if let Some(account) = accounts.get_mut(conn.account.0 as usize) {
                account.received.msgs += conn.received.msgs;
                account.received.bytes += conn.received.bytes;
                account.sent.msgs += conn.sent.msgs;
                account.sent.bytes += conn.sent.bytes;
            }
        }
        accounts
    }

    fn jetstream(&self) -> Option<JetStream> {
        streams::totals(self.shard)
    }

    fn streams(&self, account: &str) -> Option<Vec<Stream>> {
        streams::of_account(self.shard, account, self.now.wall)
    }

    fn store(&self) -> Option<monitor::stats::Store> {
        streams::store(self.shard)
    }

    fn health(&self) -> Health {
        streams::health(self.shard)
    }
}

fn flow(flow: stats::Flow) -> Flow {
    Flow {
        msgs: flow.msgs,
        bytes: flow.bytes,
    }
}

fn sublist(stats: routing::sublist::Stats) -> Sublist {
    Sublist {
        subscriptions: stats.subscriptions,
        cached: stats.cached,
        inserts: stats.inserts,
        removes: stats.removes,
        matches: stats.matches,
        cache_hits: stats.cache_hits,
        fanout_max: stats.fanout_max,
        fanout_total: stats.fanout_total,
    }
}

fn add(whole: &mut Sublist, part: &Sublist) {
    whole.subscriptions += part.subscriptions;
    whole.cached += part.cached;
    whole.inserts += part.inserts;
    whole.removes += part.removes;
    whole.matches += part.matches;
    whole.cache_hits += part.cache_hits;
    whole.fanout_max = whole.fanout_max.max(part.fanout_max);
    whole.fanout_total += part.fanout_total;
}

/// Shows a connection; `until` is now, or when it ended.
fn connection(view: ConnView, until: Wall) -> Connection {
    let idle_ns = protocol::time::nanos(view.idle);
    Connection {
        cid: view.cid,
        peer: view.peer,
        start: view.start,
        last_activity: Wall(until.0.saturating_sub(idle_ns)),
        end: None,
        rtt: view.rtt,
        pending_bytes: view.pending as u64,
        received: flow(view.received),
        sent: flow(view.sent),
        stalls: view.stalls,
        subscriptions: view.subscriptions as u64,
        name: view.name,
        lang: view.lang,
        version: view.version,
        user: view.user,
        account: view.account,
        account_label: view.account_label,
        signed: view.signed.map(|signed| *signed),
        proxy: view.proxy,
        websocket: view.websocket,
        tls: view.tls.map(|session| tls(*session)),
        last_subs: Vec::new(),
    }
}

fn tls(session: TlsSession) -> Tls {
    let certs = session.certs.into_iter().map(|cert| TlsCert {
        subject: cert.subject,
        spki_sha256: cert.spki_sha256,
        cert_sha256: cert.cert_sha256,
    });
    Tls {
        version: session.version,
        cipher: session.cipher,
        first: session.first,
        certs: certs.collect(),
    }
}

fn ended(closed: &Closed) -> Connection {
    let mut conn = connection(closed.conn.clone(), closed.stop);
    conn.last_subs = closed.subs.iter().cloned().map(subscription).collect();
    conn.end = Some(End {
        at: closed.stop,
        reason: closed.reason.text().to_string(),
    });
    conn
}

fn subscription(view: SubView) -> Subscription {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Subscription {
        cid: view.cid,
        account: view.account,
        subject: text(&view.subject),
        queue: view.queue.as_deref().map(text).unwrap_or_default(),
        sid: text(&view.sid),
        msgs: view.msgs,
        max: view.max,
    }
}
