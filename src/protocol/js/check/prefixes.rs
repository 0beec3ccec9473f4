//! Where external streams are reached, and cycles among the streams of the account.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::stream::StreamRules;
use super::subjects::{invalid, overlap};
use crate::js::config::{External, StreamConfig};
use crate::js::errors::{
    ApiError, STREAM_EXTERNAL_API_OVERLAP, STREAM_EXTERNAL_DEL_PREFIX_OVERLAPS,
    STREAM_INVALID_EXTERNAL_DELIVERY_SUBJ,
};
use crate::js::json::go_quote;
use crate::subject;

const API: &str = "$JS.API";

/// Checks the prefixes of external streams against the subjects of the streams of this account that
/// are copied, too.
pub(super) fn check_prefixes(
    externals: &[&External],
    origin_subjects: &[String],
) -> Result<(), ApiError> {
    for External { deliver, .. } in externals.iter().filter(|e| !e.deliver.is_empty()) {
        if !subject::is_valid_literal(deliver.as_bytes()) {
            return Err(STREAM_INVALID_EXTERNAL_DELIVERY_SUBJ.with(deliver));
        }
        for subject in origin_subjects {
            if overlap(subject, &format!("{deliver}.{subject}")) {
                return Err(STREAM_EXTERNAL_DEL_PREFIX_OVERLAPS.with_two(deliver, subject));
            }
        }
    }
    for External { api, .. } in externals.iter().filter(|e| !e.api.is_empty()) {
        if !subject::is_valid_literal(api.as_bytes()) {
            let api = go_quote(api.as_bytes());
            return Err(invalid(&format!(
                "stream external api prefix {api} must be a valid subject without wildcards"
            )));
        }
        if overlap(api, API) {
            return Err(STREAM_EXTERNAL_API_OVERLAP.with_two(api, API));
        }
    }
    Ok(())
}

/// Follows sources and mirrors through the account: a stream must not get its own messages back.
pub(super) fn check_cycle(config: &StreamConfig, rules: &StreamRules<'_>) -> Result<(), ApiError> {
    let mut ahead = Vec::from([config]);
    let mut visited: BTreeSet<&str> = BTreeSet::new();
    let mut next = 0;
    while let Some(&stream) = ahead.get(next) {
        next += 1;
        visited.insert(&stream.name);
        for source in stream
            .sources
            .iter()
            .filter(|source| source.external.is_none())
        {
            if !visited.contains(source.name.as_str()) {
                ahead.extend((rules.find)(&source.name));
            } else if source.filter_subject.is_empty()
                || stream
                    .subjects
                    .iter()
                    .any(|s| overlap(s, &source.filter_subject))
            {
                return Err(invalid("detected cycle"));
            }
        }
        if let Some(mirror) = stream
            .mirror
            .as_ref()
            .filter(|mirror| mirror.external.is_none())
        {
            if visited.contains(mirror.name.as_str()) {
                return Err(invalid("detected cycle"));
            }
            ahead.extend((rules.find)(&mirror.name));
        }
    }
    Ok(())
}
