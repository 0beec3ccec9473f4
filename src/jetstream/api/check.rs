//! Whether a stream may be made or changed.
//!
//! *Invariant:* what the options or an account's limits decide is checked before an entry is proposed,
//! and never again: the same log must give the same streams under other limits. Applying checks only
//! against other streams.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use protocol::id::{AccountId, Seq, StreamId};
use protocol::js::api::ApiRequest;
use protocol::js::check::{
    NameRules, Reserved, StreamRules, check_memphis_name, check_resources, check_stream,
    check_stream_create, check_stream_update, set_stream_level,
};
use protocol::js::config::{StreamConfig, StreamConfigRequest};
use protocol::js::enums::Storage;
use protocol::js::errors::{self, ApiError};
use protocol::js::info::AccountLimits;

use crate::JetStream;
use crate::consumer::Consumer;
use crate::env::ApiCall;
use crate::stream::{Stream, StreamCore};

impl JetStream {
    /// Checks a request for a new stream and fills in what it leaves open.
    pub(super) fn complete_create(
        &self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        body: StreamConfigRequest,
    ) -> Result<StreamConfig, ApiError> {
        if call.rules == NameRules::Memphis {
            check_memphis_name(&body.config.name)?;
        }
        if call.rules != NameRules::Nats {
            self.check_station_name(call.account, &body.config.name)?;
        }
        let find = |name: &str| self.stream(call.account, name).map(|s| s.core.config());
        let rules = self.rules(call.account, body.pedantic, &find);
        let old = self.stream(call.account, &body.config.name);
        let old = old.map(|stream| &stream.core);
        let check_room = |config: &StreamConfig| self.check_room(call.account, config, old);
        // What is asked for has to fit before it is looked at closely, and again with what is filled in;
        // of bytes nothing is known before it is said where they are kept.
        let check_asked = |asked: &StreamConfig| {
            if body.names_storage {
                return check_room(asked);
            }
            check_room(&StreamConfig {
                max_bytes: 0,
                max_consumers: asked.max_consumers,
                name: asked.name.clone(),
                ..StreamConfig::default()
            })
        };
        let mut config = check_stream_create(body.config, request.stream, &rules, &check_asked)?;
        set_stream_level(&mut config);
        if old.is_none() {
            check_room(&config)?;
        }
        self.check_create(call.account, &config)?;
        Ok(config)
    }

    /// Checks the configuration of a stream that is to be restored and fills in what it leaves open.
    pub(crate) fn complete_restore(
        &self,
        call: &ApiCall<'_>,
        body: StreamConfig,
    ) -> Result<StreamConfig, ApiError> {
        let find = |name: &str| self.stream(call.account, name).map(|s| s.core.config());
        let rules = self.rules(call.account, false, &find);
        let mut config = check_stream(body, &rules)?;
        set_stream_level(&mut config);
        self.check_room(call.account, &config, None)?;
        if self.stream(call.account, &config.name).is_some() {
            return Err(errors::STREAM_NAME_EXIST_RESTORE_FAILED);
        }
        Ok(config)
    }

    /// Checks a request to change a stream and fills in what it leaves open.
    pub(super) fn complete_update(
        &self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        body: StreamConfigRequest,
    ) -> Result<(StreamId, StreamConfig), ApiError> {
        let find = |name: &str| self.stream(call.account, name).map(|s| s.core.config());
        let rules = self.rules(call.account, body.pedantic, &find);
        check_stream(body.config.clone(), &rules)?;
        if body.config.name != request.stream {
            return Err(errors::STREAM_MISMATCH);
        }
        let old = &self.named(call, request)?.core;
        let mut config = check_stream_update(old.config(), body.config, &rules)?;
        set_stream_level(&mut config);
        check_consumer_limits(self.named(call, request)?, &config)?;
        self.check_update(old.id(), &config)?;
        check_republish_target(&mut config)?;
        self.check_room(call.account, &config, Some(old))?;
        Ok((old.id(), config))
    }

    /// Returns the stream that is just like `config`, if there is one.
    ///
    /// # Errors
    /// When the name is taken by another one, or its messages would belong to two streams.
    pub(crate) fn check_create(
        &self,
        account: AccountId,
        config: &StreamConfig,
    ) -> Result<Option<StreamId>, ApiError> {
        if let Some(existing) = self.stream(account, &config.name) {
            if existing.core.config() == config {
                return Ok(Some(existing.core.id()));
            }
            return Err(errors::STREAM_NAME_EXIST);
        }
        self.check_overlap(account, config)?;
        Ok(None)
    }

    /// Checks a changed configuration against the other streams.
    pub(crate) fn check_update(
        &self,
        stream: StreamId,
        config: &StreamConfig,
    ) -> Result<(), ApiError> {
        let Some(stream) = self.streams.get(&stream) else {
            return Err(errors::STREAM_NOT_FOUND);
        };
        self.check_overlap(stream.core.account(), config)
    }

    fn check_overlap(&self, account: AccountId, config: &StreamConfig) -> Result<(), ApiError> {
        let own = self.shared.accounts.stream(account, &config.name);
        let account = self.shared.accounts.get(account);
        if account.is_some_and(|account| account.overlaps(&config.subjects, own)) {
            return Err(errors::STREAM_SUBJECT_OVERLAP);
        }
        Ok(())
    }

    /// Checks what the account and the server have left for a stream, which may replace `old`.
    fn check_room(
        &self,
        account: AccountId,
        config: &StreamConfig,
        old: Option<&StreamCore>,
    ) -> Result<(), ApiError> {
        let replaced = old.map(StreamCore::config);
        let replaced = replaced.filter(|old| old.storage == config.storage);
        let replaced = replaced.map_or(0, |old| i128::from(old.max_bytes.max(0)));
        let others = |all: i128| i64::try_from(all - replaced).unwrap_or(i64::MAX);
        let accounts = &self.shared.accounts;
        let by_all = accounts.iter().map(|(_, a)| a.promised(config.storage));
        let by_account = accounts.get(account);
        let by_account = by_account.map_or(0, |account| account.promised(config.storage));
        let server_bytes = match config.storage {
            Storage::File => self.shared.options.store_bytes_max,
            Storage::Memory => self.shared.options.memory_bytes_max,
        };
        let streams = accounts.get(account).map_or(0, |a| a.streams.len());
        let reserved = Reserved {
            streams: if old.is_some() {
                0
            } else {
                i64::try_from(streams).unwrap_or(i64::MAX)
            },
            account_bytes: others(by_account),
            server_bytes_free: server_bytes.saturating_sub(others(by_all.sum())),
        };
        let old_max_bytes = old.map_or(0, |old| old.config().max_bytes);
        check_resources(config, old_max_bytes, self.limits(account), &reserved)
    }

    /// Returns what an account may use.
    pub(crate) fn limits(&self, account: AccountId) -> &AccountLimits {
        static UNLIMITED: AccountLimits = AccountLimits::UNLIMITED;
        let account = self.shared.accounts.get(account);
        account
            .and_then(|a| a.limits.as_ref())
            .unwrap_or(&UNLIMITED)
    }

    /// Returns the streams of an account, sorted by name.
    pub(crate) fn of_account(&self, account: AccountId) -> impl Iterator<Item = &Stream> {
        static NONE: BTreeMap<alloc::boxed::Box<str>, StreamId> = BTreeMap::new();
        let account = self.shared.accounts.get(account);
        let ids = account.map_or(&NONE, |account| &account.streams).values();
        ids.filter_map(|id| self.streams.get(id))
    }

    /// Refuses a stream whose name means the same station as another stream's: stations know no upper
    /// case.
    fn check_station_name(&self, account: AccountId, name: &str) -> Result<(), ApiError> {
        let is_same = |other: &str| {
            let station = match other.rsplit_once('$') {
                Some((station, _)) => station,
                None => other,
            };
            other != name && station.eq_ignore_ascii_case(name)
        };
        match self.of_account(account).find(|s| is_same(s.core.name())) {
            Some(other) => {
                let other = other.core.name();
                let text = alloc::format!("the name is taken by the station of stream {other}");
                Err(errors::STREAM_CREATE.with(text))
            }
            None => Ok(()),
        }
    }

    fn rules<'a>(
        &'a self,
        account: AccountId,
        pedantic: bool,
        find: &'a dyn Fn(&str) -> Option<&'a StreamConfig>,
    ) -> StreamRules<'a> {
        StreamRules {
            server: &self.shared.options.limits,
            account: self.limits(account),
            pedantic,
            find,
        }
    }
}

/// Takes nowhere for everywhere where an update says what is republished; refuses it for some subjects
/// only, which does not fit.
fn check_republish_target(config: &mut StreamConfig) -> Result<(), ApiError> {
    let Some(republish) = config.republish.as_mut().filter(|r| r.dest.is_empty()) else {
        return Ok(());
    };
    let src = &republish.src;
    if src != ">" {
        let text = alloc::format!(
            "stream configuration for republish from '{src}' to '>': invalid subject"
        );
        return Err(errors::STREAM_UPDATE.with(text));
    }
    republish.dest = ">".into();
    Ok(())
}

/// Refuses new limits for consumers that existing ones do not keep.
fn check_consumer_limits(stream: &Stream, config: &StreamConfig) -> Result<(), ApiError> {
    let limits = &config.consumer_limits;
    let before = &stream.core.config().consumer_limits;
    let is_new = (limits.max_ack_pending > 0 && limits.max_ack_pending != before.max_ack_pending)
        || (limits.inactive_threshold.0 > 0
            && limits.inactive_threshold != before.inactive_threshold);
    if !is_new {
        return Ok(());
    }
    let exceeds = |limit: i64, value: i64| limit > 0 && value > limit;
    let violators: Vec<&str> = stream
        .consumers
        .iter()
        .filter(|consumer| {
            let consumer = consumer.config();
            exceeds(limits.max_ack_pending, consumer.max_ack_pending)
                || exceeds(limits.inactive_threshold.0, consumer.inactive_threshold.0)
        })
        .map(Consumer::name)
        .collect();
    if violators.is_empty() {
        return Ok(());
    }
    let names = violators.join(", ");
    let text = alloc::format!("change to limits violates consumers: {names}");
    Err(errors::STREAM_UPDATE.with(text))
}

impl StreamCore {
    /// Checks whether the message `seq` can be deleted.
    ///
    /// # Errors
    /// When the stream forbids it or there is no such message.
    pub(crate) fn check_msg_delete(&self, seq: Seq) -> Result<(), ApiError> {
        if self.config().sealed {
            return Err(errors::STREAM_SEALED);
        }
        if self.config().deny_delete {
            return Err(errors::STREAM_MSG_DELETE_FAILED.with("message delete not permitted"));
        }
        if self.index.meta(seq).is_some() {
            return Ok(());
        }
        // nats-server's two stores tell different things about what they do not have.
        if !self.is_memory() && seq < self.index.first_seq().max(Seq(1)) {
            return Err(errors::STREAM_MSG_DELETE_FAILED.with("no message found"));
        }
        if !self.is_memory() && seq > self.index.last_seq() {
            return Err(errors::STREAM_MSG_DELETE_FAILED.with("stream store EOF"));
        }
        Err(errors::SEQUENCE_NOT_FOUND.with(seq.0))
    }
}
