//! Telling about accounts and streams.

use alloc::string::String;
use alloc::vec::Vec;

use protocol::id::AccountId;
use protocol::js::api::{ApiKind, ApiRequest};
use protocol::js::check::shown_metadata;
use protocol::js::enums::Storage;
use protocol::js::errors::ApiError;
use protocol::js::info::{AccountInfo, AccountLimits, ClusterInfo, StreamInfo, Tier};
use protocol::js::json::decode;
use protocol::js::limits::{LIST_PAGE, NAMES_PAGE, SUBJECTS_PAGE};
use protocol::js::request::{
    StreamInfoRequest, StreamListRequest, StreamNamesRequest, decode_optional, is_object,
};
use protocol::js::response::{Listed, Page, StreamDetails, StreamNames};
use protocol::subject;
use protocol::time::Now;

use crate::JetStream;
use crate::env::{ApiCall, Env};
use crate::stream::Stream;

/// Whether a response shows who leads the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cluster {
    /// INFO does.
    Show,
    /// The others don't.
    Omit,
}

/// What limits of streams with one replica go by.
const ONE_REPLICA: &str = "R1";

impl JetStream {
    /// Returns what is told about a stream.
    pub(super) fn stream_info(&self, stream: &Stream, cluster: Cluster, now: Now) -> StreamInfo {
        let core = &stream.core;
        let mut config = core.config().clone();
        config.metadata = shown_metadata(&config.metadata, &self.shared.options.version);
        let leader = || ClusterInfo {
            leader: self.shared.options.server_name.clone(),
            ..ClusterInfo::default()
        };
        let (mirror, sources) = self.source_infos(stream, now);
        StreamInfo {
            config,
            mirror,
            sources,
            created: core.created(),
            state: core.state(stream.consumers.count()),
            domain: self.shared.options.domain.clone(),
            cluster: match cluster {
                Cluster::Show => Some(leader()),
                Cluster::Omit => None,
            },
            ts: now.wall,
            ..StreamInfo::default()
        }
    }

    /// Returns what is told about a stream that has been restored.
    pub(crate) fn restored_info(&self, stream: &Stream, now: Now) -> StreamInfo {
        StreamInfo {
            mirror: None,
            sources: Vec::new(),
            domain: String::new(),
            ..self.stream_info(stream, Cluster::Omit, now)
        }
    }

    pub(super) fn account_info(
        &mut self,
        call: &ApiCall<'_>,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        let mut info = self.account_usage(call.account);
        info.domain.clone_from(&self.shared.options.domain);
        self.succeed(call, ApiKind::AccountInfo, &info, env);
        Ok(())
    }

    /// Returns what an account uses and may use.
    #[must_use]
    pub fn account_usage(&self, id: AccountId) -> AccountInfo {
        let mut info = AccountInfo::default();
        let Some(account) = self.shared.accounts.get(id) else {
            return info;
        };
        info.limits = account.limits.unwrap_or_default();
        info.api = account.api;
        for stream in account
            .streams
            .values()
            .filter_map(|id| self.streams.get(id))
        {
            let core = &stream.core;
            let reserved = u64::try_from(core.config().max_bytes).unwrap_or(0);
            match core.config().storage {
                Storage::File => {
                    info.storage += core.index.bytes();
                    info.reserved_storage += reserved;
                }
                Storage::Memory => {
                    info.memory += core.index.bytes();
                    info.reserved_memory += reserved;
                }
            }
            info.streams += 1;
            let consumers = stream.consumers.count_with_direct() + self.copying_from(core.id());
            info.consumers += u64::try_from(consumers).unwrap_or(0);
        }
        if info.limits.tiered {
            let limits = core::mem::replace(&mut info.limits, AccountLimits::NOTHING);
            info.tiers.insert(ONE_REPLICA.into(), tier(&info, limits));
        }
        info
    }

    pub(super) fn stream_info_request(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        let body: StreamInfoRequest = decode_optional(call.msg.payload)?;
        let stream = self.named(call, request)?;
        let mut info = self.stream_info(stream, Cluster::Show, env.now());
        let mut page = Page::default();
        if body.deleted_details {
            let state = &mut info.state;
            state.deleted = stream.core.deleted();
            // As in nats-server: in a file that has never had a message, the sequence before the first counts.
            if state.first_seq == 0 && !stream.core.is_memory() {
                (state.num_deleted, state.deleted) = (1, alloc::vec![0]);
            }
        }
        if !body.subjects_filter.is_empty() {
            let subjects = stream.core.subject_counts(&body.subjects_filter);
            // Where nothing matches, nothing is paged: total, offset and limit stay 0.
            if !subjects.is_empty() {
                page = Page::new(subjects.len(), body.offset, SUBJECTS_PAGE);
                // Beyond the end, what was asked for is told, as in NATS.
                page.offset = usize::try_from(body.offset).unwrap_or(0);
            }
            let shown = subjects.into_iter().skip(page.offset).take(page.limit);
            info.state.subjects = shown.collect();
        }
        let details = StreamDetails { page, info: &info };
        self.succeed(call, ApiKind::StreamInfo, &details, env);
        Ok(())
    }

    pub(super) fn stream_names(
        &mut self,
        call: &ApiCall<'_>,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        let mut body = StreamNamesRequest::default();
        if is_object(call.msg.payload) {
            body = decode(call.msg.payload, self.strictness())?;
        }
        let found = self.selected(call.account, &body.subject);
        let page = Page::new(found.len(), body.offset, NAMES_PAGE);
        let names: Vec<String> = found
            .iter()
            .skip(page.offset)
            .take(page.limit)
            .map(|stream| String::from(stream.core.name()))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let body = StreamNames {
            page,
            names: &names,
        };
        self.succeed(call, ApiKind::StreamNames, &body, env);
        Ok(())
    }

    pub(super) fn stream_list(
        &mut self,
        call: &ApiCall<'_>,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        let mut body = StreamListRequest::default();
        if is_object(call.msg.payload) {
            body = decode(call.msg.payload, self.strictness())?;
        }
        let found = self.selected(call.account, &body.subject);
        let page = Page::new(found.len(), body.offset, LIST_PAGE);
        let entries: Vec<StreamInfo> = found
            .iter()
            .skip(page.offset)
            .take(page.limit)
            .map(|stream| StreamInfo {
                // A list shows what is stored, without what INFO adds.
                config: stream.core.config().clone(),
                ..self.stream_info(stream, Cluster::Omit, env.now())
            })
            .collect();
        let body = Listed {
            page,
            key: "streams",
            entries: &entries,
        };
        self.succeed(call, ApiKind::StreamList, &body, env);
        Ok(())
    }

    /// Returns the account's streams, sorted by name, that share messages with `subject`.
    fn selected(&self, account: AccountId, subject: &str) -> Vec<&Stream> {
        self.of_account(account)
            .filter(|stream| {
                let mut subjects = stream.core.config().subjects.iter();
                subject.is_empty()
                    || subjects.any(|s| subject::overlaps(s.as_bytes(), subject.as_bytes()))
            })
            .collect()
    }
}

/// Returns what an account uses as a tier's: here all streams have one replica.
fn tier(info: &AccountInfo, limits: AccountLimits) -> Tier {
    Tier {
        memory: info.memory,
        storage: info.storage,
        reserved_memory: info.reserved_memory,
        reserved_storage: info.reserved_storage,
        streams: info.streams,
        consumers: info.consumers,
        limits,
    }
}
