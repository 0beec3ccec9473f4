//! Which schema guards a stream: each version compiled once, and what becomes of messages that do not
//! fit.
//!
//! *Invariant:* a message is judged by the schema that the book says at that moment, whoever sent it. A
//! schema that cannot be compiled any more lets nothing pass, since nobody could say what fits.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use protocol::id::AccountId;
use serde_json::json;

use super::{Host, Memphis, Reply, TASKS_MAX, Task, answer};
use crate::book::{Book, Version};
use crate::dead;
use crate::guard::{SchemaLibrary, SchemaText, Validator};
use crate::name::station_of_stream;
use crate::station::Misfits;
use crate::turns::Topic;
use crate::work::Work;

/// The error code of a PubAck for a message that breaks its station's schema; nats-server has none.
pub const SCHEMA_ERR_CODE: u32 = 20_001;
/// Most compiled schemas that are kept.
const COMPILED_MAX: usize = 1000;

/// What guards a stream.
#[derive(Clone, Debug)]
pub struct Guard {
    validator: Result<Rc<dyn Validator>, Rc<str>>,
    /// What becomes of messages that do not fit.
    pub misfits: Misfits,
}

/// A message that does not fit its station's schema.
#[derive(Clone, Copy, Debug)]
pub struct Misfit<'a> {
    /// The stream that it was meant for.
    pub stream: &'a str,
    /// Where an acknowledgement is awaited; empty if nowhere, or if the stream gives it.
    pub reply: &'a [u8],
    /// Its header block.
    pub headers: &'a [u8],
    /// Its body.
    pub payload: &'a [u8],
    /// The name of the client that sent it.
    pub client: &'a str,
    /// Why it does not fit.
    pub reason: &'a str,
}

type Key = (String, String, u32);

#[derive(Debug)]
pub(super) struct Guards {
    library: Rc<dyn SchemaLibrary>,
    compiled: BTreeMap<Key, Result<Rc<dyn Validator>, Rc<str>>>,
    /// Counts the changes of who is guarded by what.
    epoch: u64,
    is_any: bool,
}

impl Guard {
    /// Says whether a message fits.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, message: &[u8]) -> Result<(), String> {
        match &self.validator {
            Ok(validator) => validator.check(message),
            Err(text) => Err(text.to_string()),
        }
    }
}

impl Guards {
    pub(super) fn new(library: Rc<dyn SchemaLibrary>) -> Self {
        Self {
            library,
            compiled: BTreeMap::new(),
            epoch: 0,
            is_any: false,
        }
    }

    pub(super) fn library(&self) -> &dyn SchemaLibrary {
        &*self.library
    }

    pub(super) fn book_changed(&mut self, book: &Book) {
        self.epoch += 1;
        let mut rows = book
            .tenants()
            .flat_map(|(_, tenant)| tenant.stations.values());
        self.is_any = rows.any(|row| row.schema.is_some());
    }

    fn validator(&mut self, key: Key, text: SchemaText<'_>) -> Result<Rc<dyn Validator>, Rc<str>> {
        if let Some(compiled) = self.compiled.get(&key) {
            return compiled.clone();
        }
        if self.compiled.len() >= COMPILED_MAX {
            self.compiled.pop_first();
        }
        let compiled = self.library.compile(text);
        let compiled = compiled.map_or_else(|text| Err(text.into()), |c| Ok(c.validator));
        self.compiled.insert(key, compiled.clone());
        compiled
    }
}

impl Memphis {
    /// Returns a number that changes whenever [`Memphis::guard`] may return something else.
    #[must_use]
    pub fn guards_epoch(&self) -> u64 {
        self.guards.epoch
    }

    /// Says whether any stream is guarded.
    #[must_use]
    pub fn has_guards(&self) -> bool {
        self.guards.is_any
    }

    /// Returns what guards a stream of an account, if something does.
    pub fn guard(&mut self, account: &str, stream: &str) -> Option<Guard> {
        let tenant = self.book.tenant(account)?;
        let (station, _) = station_of_stream(stream);
        let row = tenant.stations.get(&station)?;
        let attached = row.schema.as_ref()?;
        let schema = tenant.schemas.get(&attached.schema)?;
        let Version {
            content,
            message_struct,
            ..
        } = schema.version(attached.version)?;
        let text = SchemaText {
            kind: schema.kind,
            file_name: &format!("{}_{}.proto", attached.schema, attached.version),
            content,
            message_struct,
        };
        let key = (account.into(), attached.schema.clone(), attached.version);
        let misfits = row.station.as_ref().map(|station| station.misfits);
        Some(Guard {
            validator: self.guards.validator(key, text),
            misfits: misfits.unwrap_or_default(),
        })
    }

    /// Handles a message that did not fit: it becomes a dead letter where those are kept, and whoever
    /// awaits its acknowledgement is told once that is safe.
    pub fn misfit(&mut self, account: AccountId, misfit: Misfit<'_>, host: &mut impl Host) {
        let refusal = refusal(misfit.stream, misfit.reason);
        let (station, _) = station_of_stream(misfit.stream);
        let what = (misfit.reason, misfit.payload);
        self.alert_misfit(account, (&station, misfit.client), what, host);
        let burial = dead::misfit(misfit, refusal.clone());
        let is_busy = self.poisoned.is_some() || self.tasks.len() >= TASKS_MAX;
        let Some(burial) = burial.filter(|_| !is_busy) else {
            return answer(account, misfit.reply, &refusal, host);
        };
        let topics = vec![Topic::Station(burial.station().clone())];
        let task = Task {
            account,
            reply: Reply::Subject(misfit.reply.to_vec()),
            work: Work::Burial(burial),
        };
        self.start(task, topics, host);
    }
}

/// Writes the acknowledgement of a message that was not stored.
fn refusal(stream: &str, reason: &str) -> Vec<u8> {
    let refusal = json!({
        "error": {
            "code": 400,
            "err_code": SCHEMA_ERR_CODE,
            "description": format!("Schema validation has failed: {reason}"),
        },
        "stream": stream,
        "seq": 0,
    });
    refusal.to_string().into_bytes()
}
