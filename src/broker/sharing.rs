//! What accounts share: services that one asks of another, and streams that one hears of another.
//!
//! *Invariant:* an account without imports pays nothing: what it imports lies in its routing table, as
//! targets of their own kinds that are found like any other.

mod responses;
mod shadows;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use config::Options;
use config::options::{Export, ExportKind, Import, ImportKind, Latency, ResponseType};
use protocol::id::AccountId;
use protocol::rng::Rng;
use protocol::subject::is_subset;
use protocol::subject::renaming::Renaming;

use crate::accounts::Accounts;
use crate::router::Target;
pub(crate) use responses::{Request, Responses};
pub(crate) use shadows::{Shadow, ShadowRef, Shadows};

/// How long a service has to answer where its export does not say.
const RESPONSE_THRESHOLD: Duration = Duration::from_secs(120);
/// The stream of randomness for reply subjects.
const RNG_REPLIES: u64 = 4;

/// A service import's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ServiceRef(pub(crate) u32);

/// A service that an account offers.
#[derive(Debug)]
pub(crate) struct ServiceExport {
    pub(crate) id: u32,
    pub(crate) account: AccountId,
    pub(crate) response: ResponseType,
    /// How long it has to answer.
    pub(crate) threshold: Duration,
    /// How it is measured, if it is.
    pub(crate) latency: Option<Latency>,
    /// Whether messages are followed beyond it.
    pub(crate) allow_trace: bool,
}

/// A service that an account asks another for.
#[derive(Debug)]
pub(crate) struct ServiceImport {
    pub(crate) export: Rc<ServiceExport>,
    pub(crate) renaming: Renaming,
    /// Whether the exporter learns who asks.
    pub(crate) share: bool,
}

/// A stream that an account hears.
#[derive(Debug)]
pub(crate) struct StreamImport {
    pub(crate) exporter: AccountId,
    pub(crate) renaming: Renaming,
    /// Whether messages are followed beyond it.
    pub(crate) allow_trace: bool,
}

/// All that is shared.
#[derive(Debug)]
pub(crate) struct Sharing {
    services: Vec<(AccountId, Rc<ServiceImport>)>,
    streams: BTreeMap<AccountId, Vec<Rc<StreamImport>>>,
    pub(crate) shadows: Shadows,
    pub(crate) responses: Responses,
    /// The exports that the message being routed has come through: it goes through none twice, and
    /// what came as a request is not heard as a stream.
    pub(crate) chain: Vec<u32>,
    /// How long the publisher should pause for a client in another account that lags behind.
    pub(crate) pause: Option<Duration>,
    pub(crate) rng: Rng,
    exports_made: u32,
}

impl Sharing {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            services: Vec::new(),
            streams: BTreeMap::new(),
            shadows: Shadows::default(),
            responses: Responses::new(seed),
            chain: Vec::new(),
            pause: None,
            rng: Rng::new(seed, RNG_REPLIES),
            exports_made: 0,
        }
    }

    /// Takes over what the accounts of a configuration share, which has been checked.
    pub(crate) fn configure(&mut self, options: &Options, accounts: &mut Accounts) {
        let mut exports: BTreeMap<(&str, usize), Rc<ServiceExport>> = BTreeMap::new();
        for own in &options.accounts {
            let Some(account) = accounts.find(&own.name) else {
                continue;
            };
            for (at, export) in own.exports.iter().enumerate() {
                if let Some(export) = self.export(account, export) {
                    exports.insert((&own.name, at), export);
                }
            }
        }
        for own in &options.accounts {
            for import in &own.imports {
                let from = options.accounts.iter().find(|a| a.name == import.account);
                let (Some(importer), Some(from)) = (accounts.find(&own.name), from) else {
                    continue;
                };
                let export = covering(&from.exports, import);
                let export = export.and_then(|at| exports.get(&(from.name.as_str(), at)));
                let exporter = accounts.find(&from.name);
                self.import(accounts, importer, (exporter, export), import);
            }
        }
        self.import_from_system(accounts);
    }

    /// Lets every account ask about itself, as if it imported that from the system account.
    fn import_from_system(&mut self, accounts: &mut Accounts) {
        let Some(system) = accounts.system else {
            return;
        };
        self.exports_made += 1;
        let export = Rc::new(ServiceExport {
            id: self.exports_made,
            account: system,
            response: ResponseType::Singleton,
            threshold: RESPONSE_THRESHOLD,
            latency: None,
            allow_trace: false,
        });
        let others: Vec<AccountId> = accounts
            .iter()
            .map(|(id, _)| id)
            .filter(|id| *id != system)
            .collect();
        for account in others {
            let name = accounts.name(account);
            let imports = [
                (
                    "$SYS.REQ.ACCOUNT.PING.CONNZ",
                    format!("$SYS.REQ.ACCOUNT.{name}.CONNZ"),
                    false,
                ),
                (
                    "$SYS.REQ.SERVER.PING.CONNZ",
                    format!("$SYS.REQ.ACCOUNT.{name}.CONNZ"),
                    false,
                ),
                (
                    "$SYS.REQ.ACCOUNT.PING.STATZ",
                    format!("$SYS.REQ.ACCOUNT.{name}.STATZ"),
                    false,
                ),
                (
                    "$SYS.REQ.USER.INFO",
                    format!("$SYS.REQ.USER.{name}.INFO"),
                    true,
                ),
            ];
            for (ours, theirs, share) in imports {
                // A name that is no token cannot be asked about.
                if let Ok(renaming) = Renaming::new(&theirs, ours) {
                    let export = Rc::clone(&export);
                    let import = ServiceImport {
                        export,
                        renaming,
                        share,
                    };
                    self.bind(accounts, account, import);
                }
            }
        }
    }

    fn export(&mut self, account: AccountId, export: &Export) -> Option<Rc<ServiceExport>> {
        let ExportKind::Service {
            response,
            threshold,
        } = export.kind
        else {
            return None;
        };
        self.exports_made += 1;
        Some(Rc::new(ServiceExport {
            id: self.exports_made,
            account,
            response,
            threshold: threshold.unwrap_or(RESPONSE_THRESHOLD),
            latency: export.latency.clone(),
            allow_trace: export.allow_trace,
        }))
    }

    fn import(
        &mut self,
        accounts: &mut Accounts,
        importer: AccountId,
        from: (Option<AccountId>, Option<&Rc<ServiceExport>>),
        import: &Import,
    ) {
        let Ok(renaming) = Renaming::new(&import.subject, &ours(import)) else {
            debug_assert!(false, "a configuration has been checked");
            return;
        };
        match (&import.kind, from) {
            (ImportKind::Stream { .. }, (Some(exporter), _)) => {
                let import = StreamImport {
                    exporter,
                    renaming,
                    allow_trace: import.allow_trace,
                };
                self.streams
                    .entry(importer)
                    .or_default()
                    .push(Rc::new(import));
            }
            (ImportKind::Service { share, .. }, (_, Some(export))) => {
                let import = ServiceImport {
                    export: Rc::clone(export),
                    renaming,
                    share: *share,
                };
                self.bind(accounts, importer, import);
            }
            (ImportKind::Stream { .. }, (None, _)) | (ImportKind::Service { .. }, (_, None)) => {}
        }
    }

    /// Puts a service into the importing account's routing table.
    pub(crate) fn bind(
        &mut self,
        accounts: &mut Accounts,
        importer: AccountId,
        import: ServiceImport,
    ) {
        let at = u32::try_from(self.services.len()).expect("fewer than 2^32 imports");
        if let Some(account) = accounts.get_mut(importer) {
            let target = Target::Service(ServiceRef(at));
            let bound = account.subs.insert(import.renaming.ours(), None, target);
            debug_assert!(bound.is_ok(), "a configuration has been checked");
        }
        self.services.push((importer, Rc::new(import)));
    }

    pub(crate) fn service(&self, at: ServiceRef) -> Option<Rc<ServiceImport>> {
        let entry = self.services.get(at.0 as usize);
        entry.map(|(_, import)| Rc::clone(import))
    }

    /// Forgets who imports what. Requests under way still get their answers.
    pub(crate) fn clear(&mut self, accounts: &mut Accounts) {
        for ((importer, import), at) in self.services.drain(..).zip(0..) {
            if let Some(account) = accounts.get_mut(importer) {
                let target = Target::Service(ServiceRef(at));
                account.subs.remove(import.renaming.ours(), None, target);
            }
        }
        self.streams.clear();
    }

    /// Returns the streams that an account imports.
    pub(crate) fn streams(&self, importer: AccountId) -> Option<&Vec<Rc<StreamImport>>> {
        self.streams.get(&importer)
    }
}

/// Returns which export an import is about: that of the same subject, or the first that covers it.
fn covering(exports: &[Export], import: &Import) -> Option<usize> {
    let is_service = |export: &Export| matches!(export.kind, ExportKind::Service { .. });
    let services = || exports.iter().enumerate().filter(|(_, e)| is_service(e));
    let exact = services().find(|(_, export)| export.subject == import.subject);
    let covers = |export: &Export| is_subset(import.subject.as_bytes(), export.subject.as_bytes());
    let found = exact.or_else(|| services().find(|(_, export)| covers(export)));
    found.map(|(at, _)| at)
}

/// Returns what the importing account calls it.
fn ours(import: &Import) -> String {
    match &import.kind {
        ImportKind::Stream {
            prefix: Some(prefix),
            ..
        } => {
            let prefix = prefix.strip_suffix('.').unwrap_or(prefix);
            [prefix, &import.subject].join(".")
        }
        ImportKind::Service { to, .. } | ImportKind::Stream { prefix: None, to } => {
            to.clone().unwrap_or_else(|| import.subject.clone())
        }
    }
}
