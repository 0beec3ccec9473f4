//! Whether a stream may be made or changed.
//!
//! *Invariant:* what the options or an account's limits decide is checked before an entry is proposed,
//! and never again: the same log must give the same streams under other limits. Applying checks only
//! against other streams.

use alloc::collections::BTreeMap;

use protocol::id::{AccountId, Seq, StreamId};
use protocol::js::api::ApiRequest;
use protocol::js::check::{
    NameRules, StreamRules, check_memphis_name, check_stream_create, check_stream_update,
    overlaps_any, set_stream_level,
};
use protocol::js::config::{StreamConfig, StreamConfigRequest};
use protocol::js::enums::Storage;
use protocol::js::errors::{self, ApiError};
use protocol::js::info::AccountLimits;

use crate::JetStream;
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
        let find = |name: &str| self.stream(call.account, name).map(|s| s.core.config());
        let rules = self.rules(call.account, body.pedantic, &find);
        let mut config = check_stream_create(body.config, request.stream, &rules)?;
        set_stream_level(&mut config);
        if self.check_create(call.account, &config)?.is_none() {
            self.check_resources(call.account, &config, None)?;
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
        if body.config.name != request.stream {
            return Err(errors::STREAM_MISMATCH);
        }
        let old = &self.named(call, request)?.core;
        let find = |name: &str| self.stream(call.account, name).map(|s| s.core.config());
        let rules = self.rules(call.account, body.pedantic, &find);
        let mut config = check_stream_update(old.config(), body.config, &rules)?;
        set_stream_level(&mut config);
        self.check_update(old.id(), &config)?;
        self.check_resources(call.account, &config, Some(old))?;
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
        for other in self.of_account(account) {
            let other = other.core.config();
            if other.name != config.name && overlaps_any(&config.subjects, &other.subjects) {
                return Err(errors::STREAM_SUBJECT_OVERLAP);
            }
        }
        Ok(())
    }

    /// Checks what the account has left for a stream, which may replace `old`.
    fn check_resources(
        &self,
        account: AccountId,
        config: &StreamConfig,
        old: Option<&StreamCore>,
    ) -> Result<(), ApiError> {
        let limits = self.limits(account);
        if limits.max_bytes_required && config.max_bytes <= 0 {
            return Err(errors::STREAM_MAX_BYTES_REQUIRED);
        }
        let (total, per_stream, exceeded) = match config.storage {
            Storage::File => (
                limits.max_storage,
                limits.storage_max_stream_bytes,
                errors::STORAGE_RESOURCES_EXCEEDED,
            ),
            Storage::Memory => (
                limits.max_memory,
                limits.memory_max_stream_bytes,
                errors::MEMORY_RESOURCES_EXCEEDED,
            ),
        };
        if per_stream > 0 && config.max_bytes > per_stream {
            return Err(errors::STREAM_MAX_STREAM_BYTES_EXCEEDED);
        }
        let streams = || {
            self.of_account(account)
                .filter(|s| old.is_none_or(|o| o.id() != s.core.id()))
        };
        if old.is_none()
            && let Ok(max) = usize::try_from(limits.max_streams)
            && streams().count() >= max
        {
            return Err(errors::MAXIMUM_STREAMS_LIMIT);
        }
        let reserved: i64 = streams()
            .filter(|s| s.core.config().storage == config.storage)
            .map(|s| s.core.config().max_bytes.max(0))
            .sum();
        if total >= 0 && config.max_bytes > 0 && reserved.saturating_add(config.max_bytes) > total {
            return Err(exceeded);
        }
        Ok(())
    }

    fn limits(&self, account: AccountId) -> AccountLimits {
        let account = self.shared.accounts.get(account);
        account.and_then(|a| a.limits).unwrap_or_default()
    }

    /// Returns the streams of an account, sorted by name.
    pub(super) fn of_account(&self, account: AccountId) -> impl Iterator<Item = &Stream> {
        static NONE: BTreeMap<alloc::boxed::Box<str>, StreamId> = BTreeMap::new();
        let account = self.shared.accounts.get(account);
        let ids = account.map_or(&NONE, |account| &account.streams).values();
        ids.filter_map(|id| self.streams.get(id)).map(|s| &**s)
    }

    fn rules<'a>(
        &'a self,
        account: AccountId,
        pedantic: bool,
        find: &'a dyn Fn(&str) -> Option<&'a StreamConfig>,
    ) -> StreamRules<'a> {
        static UNLIMITED: AccountLimits = AccountLimits::UNLIMITED;
        let account = self.shared.accounts.get(account);
        StreamRules {
            server: &self.shared.options.limits,
            account: account
                .and_then(|a| a.limits.as_ref())
                .unwrap_or(&UNLIMITED),
            pedantic,
            find,
        }
    }
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
        if seq > self.index.last_seq() {
            return Err(errors::STREAM_MSG_DELETE_FAILED.with("stream store EOF"));
        }
        Err(errors::SEQUENCE_NOT_FOUND.with(seq.0))
    }
}
