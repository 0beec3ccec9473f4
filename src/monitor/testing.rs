//! A broker made up for tests: what a real nats-server told in `http/testdata`, in numbers of our own.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use config::Options;
use config::options::{
    Account as ConfiguredAccount, Export, ExportKind, Import, ImportKind, Listen, ResponseType,
};
use protocol::js::config::StreamConfig;
use protocol::js::info::{ConsumerInfo, SourceInfo, StreamInfo};
use protocol::time::{Now, Wall};

use crate::source::Source;
use crate::stats::{
    Account, AccountUsage, Connection, End, Flow, Health, JetStream, Process, Server, Store,
    Stream, Sublist, Subscription, Usage,
};

const SECOND_NS: u64 = 1_000_000_000;

/// The broker.
pub(crate) struct Fixture {
    pub(crate) options: Options,
    pub(crate) jetstream: bool,
    pub(crate) health: Health,
}

impl Default for Fixture {
    fn default() -> Self {
        let listen = |port| {
            Some(Listen {
                host: "127.0.0.1".to_owned(),
                port,
            })
        };
        let mut options = Options {
            listen: listen(4222),
            http: listen(8222),
            server_tags: Vec::from(["x:y".to_owned()]),
            server_metadata: Vec::from([("k".to_owned(), "v".to_owned())]),
            ..Options::default()
        };
        let exports = [
            (
                "q.>",
                ExportKind::Service {
                    response: ResponseType::Singleton,
                    threshold: None,
                },
            ),
            ("s.>", ExportKind::Stream),
        ];
        options.accounts.push(ConfiguredAccount {
            name: "A".to_owned(),
            exports: exports
                .map(|(subject, kind)| export(subject, kind))
                .to_vec(),
            ..ConfiguredAccount::default()
        });
        options.accounts.push(ConfiguredAccount {
            name: "B".to_owned(),
            imports: Vec::from([Import {
                account: "A".to_owned(),
                subject: "q.x".to_owned(),
                kind: ImportKind::Service {
                    to: Some("y.q".to_owned()),
                    share: false,
                },
                allow_trace: false,
            }]),
            ..ConfiguredAccount::default()
        });
        Self {
            options,
            jetstream: true,
            health: Health::default(),
        }
    }
}

fn export(subject: &str, kind: ExportKind) -> Export {
    Export {
        kind,
        subject: subject.to_owned(),
        accounts: None,
        account_token_position: 0,
        latency: None,
        allow_trace: false,
    }
}

fn connection(cid: u64, user: &str, sent: u64) -> Connection {
    Connection {
        cid,
        peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000)),
        start: Wall(cid * SECOND_NS),
        last_activity: Wall((cid + 1) * SECOND_NS),
        end: None,
        rtt: Duration::from_micros(551),
        pending_bytes: 0,
        received: Flow::default(),
        sent: Flow {
            msgs: sent,
            bytes: sent * 10,
        },
        stalls: 0,
        subscriptions: sent,
        name: String::new(),
        lang: "python3".to_owned(),
        version: "2.16.0".to_owned(),
        user: user.to_owned(),
        account: user.to_uppercase(),
        account_label: user.to_uppercase(),
        signed: None,
        proxy: None,
        websocket: false,
        tls: None,
        last_subs: Vec::new(),
    }
}

fn subscription(cid: u64, account: &str, subject: &str, queue: &str) -> Subscription {
    Subscription {
        cid,
        account: account.to_owned(),
        subject: subject.to_owned(),
        queue: queue.to_owned(),
        sid: "1".to_owned(),
        msgs: 1,
        max: 0,
    }
}

fn stream(name: &str) -> Stream {
    let config = StreamConfig {
        name: name.to_owned(),
        subjects: Vec::from(["ev.>".to_owned()]),
        ..StreamConfig::default()
    };
    Stream {
        info: StreamInfo {
            config,
            created: Wall(SECOND_NS),
            ..StreamInfo::default()
        },
        consumers: Vec::new(),
    }
}

impl Source for Fixture {
    fn now(&self) -> Now {
        Now {
            wall: Wall(100 * SECOND_NS),
            ..Now::default()
        }
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn server(&self) -> Server {
        Server {
            id: "NSERVER".to_owned(),
            name: "srv1".to_owned(),
            start: Wall(SECOND_NS),
            auth_required: true,
            system_account: "SYS".to_owned(),
            connections: 2,
            connections_total: 3,
            ..Server::default()
        }
    }

    fn process(&self) -> Process {
        Process {
            http_requests: BTreeMap::from([("/varz".to_owned(), 1)]),
            config_digest: "sha256:00".to_owned(),
            ..Process::default()
        }
    }

    fn connections(&self) -> Vec<Connection> {
        let mut one = connection(7, "a", 4);
        one.name = "one".to_owned();
        Vec::from([one, connection(8, "b", 1)])
    }

    fn closed_connections(&self) -> Vec<Connection> {
        let mut gone = connection(20, "a", 0);
        gone.name = "gone".to_owned();
        gone.end = Some(End {
            at: Wall(30 * SECOND_NS),
            reason: "Client Closed".to_owned(),
        });
        Vec::from([gone])
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        Vec::from([
            subscription(7, "A", "foo.*", "q"),
            subscription(7, "A", "foo.bar", ""),
            subscription(8, "B", "bar", ""),
        ])
    }

    fn accounts(&self) -> Vec<Account> {
        let account = |name: &str, connections, jetstream| Account {
            name: name.to_string(),
            label: name.to_string(),
            jetstream,
            connections,
            sublist: Sublist {
                matches: 8,
                cache_hits: 2,
                ..Sublist::default()
            },
            ..Account::default()
        };
        Vec::from([
            account("SYS", 0, false),
            account("A", 1, true),
            account("$G", 0, false),
            account("B", 1, false),
        ])
    }

    fn jetstream(&self) -> Option<JetStream> {
        self.jetstream.then(|| JetStream {
            directory: "/data/jetstream".to_owned(),
            streams: 3,
            consumers: 1,
            accounts: Vec::from([AccountUsage {
                account: "A".to_owned(),
                usage: Usage::default(),
            }]),
            ..JetStream::default()
        })
    }

    fn streams(&self, account: &str) -> Option<Vec<Stream>> {
        if account != "A" {
            return None;
        }
        let [mut plain, mut mirror, mut sourced] = ["S1", "M1", "M2"].map(stream);
        plain.info.state.num_subjects = 1;
        let mut consumer = ConsumerInfo {
            stream_name: "S1".to_owned(),
            name: "C1".to_owned(),
            ..ConsumerInfo::default()
        };
        consumer.delivered.last_active = Some(Wall(SECOND_NS));
        consumer.ack_floor.last_active = Some(Wall(SECOND_NS));
        plain.consumers.push(consumer);
        let source = || SourceInfo {
            name: "S1".to_owned(),
            ..SourceInfo::default()
        };
        mirror.info.mirror = Some(source());
        sourced.info.sources.push(SourceInfo { seq: 5, ..source() });
        Some(Vec::from([plain, mirror, sourced]))
    }

    fn store(&self) -> Option<Store> {
        Some(Store {
            entries: 7,
            syncs: 3,
            ..Store::default()
        })
    }

    fn health(&self) -> Health {
        self.health.clone()
    }
}
