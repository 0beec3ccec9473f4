//! What a stream copies from: its mirror or its sources.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::names::is_valid_name;
use super::prefixes::{check_cycle, check_prefixes};
use super::stream::StreamRules;
use super::subjects::{invalid, overlap};
use crate::js::config::{External, SourceConsumer, StreamConfig, StreamSource};
use crate::js::errors::{self, ApiError};
use crate::subject::{self, transform::check_transform};

/// Checks mirror and sources, and takes over from a visible origin whether its direct gets are on.
pub(super) fn check_sources(
    config: &mut StreamConfig,
    rules: &StreamRules<'_>,
) -> Result<(), ApiError> {
    check_mirror(config)?;
    if let Some(mirror) = config
        .mirror
        .as_ref()
        .filter(|mirror| mirror.external.is_none())
    {
        if !is_valid_name(&mirror.name) {
            return Err(errors::MIRROR_INVALID_STREAM_NAME);
        }
        if let Some(origin) = (rules.find)(&mirror.name) {
            if is_smaller(config.max_msg_size, origin.max_msg_size) {
                return Err(errors::MIRROR_MAX_MESSAGE_SIZE_TOO_BIG);
            }
            if rules.pedantic && config.mirror_direct != origin.allow_direct {
                let text = "origin stream has direct get set, mirror has it disabled";
                return Err(errors::PEDANTIC.with(text));
            }
            config.mirror_direct = origin.allow_direct;
        }
    }
    if !config.sources.is_empty() && config.allow_msg_schedules {
        return Err(errors::SOURCE_WITH_MSG_SCHEDULES);
    }
    let mut names = BTreeSet::new();
    let mut consumers = BTreeSet::new();
    for source in &config.sources {
        check_source(source, &mut names, &mut consumers)?;
        let origin = source
            .external
            .is_none()
            .then(|| (rules.find)(&source.name))
            .flatten();
        if origin.is_some_and(|origin| is_smaller(config.max_msg_size, origin.max_msg_size)) {
            return Err(errors::SOURCE_MAX_MESSAGE_SIZE_TOO_BIG);
        }
    }
    let (externals, origin_subjects) = surroundings(config, rules);
    check_prefixes(&externals, &origin_subjects)?;
    check_cycle(config, rules)
}

/// Checks the filters, which only a stream that is made must have right.
pub(super) fn check_filters(config: &StreamConfig) -> Result<(), ApiError> {
    let bad = |source: &&StreamSource| {
        source.subject_transforms.is_empty() && !is_empty_or_valid(&source.filter_subject)
    };
    if let Some(mirror) = config.mirror.as_ref().filter(bad) {
        let filter = &mirror.filter_subject;
        let text = format!("subject filter '{filter}' for the mirror invalid subject");
        return Err(errors::STREAM_CREATE.with(text));
    }
    if let Some(source) = config.sources.iter().find(bad) {
        let filter = &source.filter_subject;
        let text = format!("subject filter '{filter}' for the source: invalid subject");
        return Err(errors::STREAM_CREATE.with(text));
    }
    Ok(())
}

fn surroundings<'a>(
    config: &'a StreamConfig,
    rules: &StreamRules<'_>,
) -> (Vec<&'a External>, Vec<String>) {
    let mut externals = Vec::new();
    let mut subjects = Vec::new();
    for source in config.mirror.iter().chain(&config.sources) {
        match &source.external {
            Some(external) => externals.push(external),
            None => {
                let origin = (rules.find)(&source.name);
                subjects.extend(
                    origin
                        .iter()
                        .flat_map(|origin| origin.subjects.iter().cloned()),
                );
            }
        }
    }
    (externals, subjects)
}

fn check_mirror(config: &StreamConfig) -> Result<(), ApiError> {
    let Some(mirror) = &config.mirror else {
        return Ok(());
    };
    let refusals = [
        (config.first_seq > 0, errors::MIRROR_WITH_FIRST_SEQ),
        (!config.subjects.is_empty(), errors::MIRROR_WITH_SUBJECTS),
        (!config.sources.is_empty(), errors::MIRROR_WITH_SOURCES),
        (config.allow_msg_counter, errors::MIRROR_WITH_COUNTERS),
        (config.allow_atomic, errors::MIRROR_WITH_ATOMIC_PUBLISH),
        (config.allow_batched, errors::MIRROR_WITH_BATCH_PUBLISH),
        (
            config.allow_msg_schedules,
            errors::MIRROR_WITH_MSG_SCHEDULES,
        ),
        (
            !has_valid_consumer(mirror),
            errors::MIRROR_DURABLE_CONSUMER_CFG_INVALID,
        ),
        (
            has_two_filters(mirror),
            errors::MIRROR_MULTIPLE_FILTERS_NOT_ALLOWED,
        ),
        (
            config.subject_delete_marker_ttl.0 > 0,
            invalid("subject delete markers forbidden on mirrors"),
        ),
    ];
    if let Some((_, error)) = refusals.into_iter().find(|(refused, _)| *refused) {
        return Err(error);
    }
    for (i, transform) in mirror.subject_transforms.iter().enumerate() {
        if !is_empty_or_valid(&transform.src) {
            let text = format!("invalid subject {}", transform.src);
            return Err(errors::MIRROR_INVALID_SUBJECT_FILTER.with(text));
        }
        check_transform(&transform.src, &transform.dest)
            .map_err(|error| errors::MIRROR_INVALID_TRANSFORM_DESTINATION.with(error))?;
        let mut others = mirror
            .subject_transforms
            .iter()
            .enumerate()
            .filter(|(j, _)| *j != i);
        if others.any(|(_, other)| overlap(&transform.src, &other.src)) {
            return Err(errors::MIRROR_OVERLAPPING_SUBJECT_FILTERS);
        }
    }
    Ok(())
}

fn check_source(
    source: &StreamSource,
    names: &mut BTreeSet<String>,
    consumers: &mut BTreeSet<String>,
) -> Result<(), ApiError> {
    if !is_valid_name(&source.name) {
        return Err(errors::SOURCE_INVALID_STREAM_NAME);
    }
    if !names.insert(identity(source)) {
        return Err(errors::SOURCE_DUPLICATE_DETECTED);
    }
    if has_two_filters(source) {
        return Err(errors::SOURCE_MULTIPLE_FILTERS_NOT_ALLOWED);
    }
    for transform in &source.subject_transforms {
        if !is_empty_or_valid(&transform.src) {
            let text = format!("invalid subject {}", transform.src);
            return Err(errors::SOURCE_INVALID_SUBJECT_FILTER.with(text));
        }
        check_transform(&transform.src, &transform.dest)
            .map_err(|error| errors::SOURCE_INVALID_TRANSFORM_DESTINATION.with(error))?;
    }
    let subset = |a: &str, b: &str| subject::is_subset(a.as_bytes(), b.as_bytes());
    for (i, transform) in source.subject_transforms.iter().enumerate() {
        let mut others = source
            .subject_transforms
            .iter()
            .enumerate()
            .filter(|(j, _)| *j != i);
        if others.any(|(_, other)| subset(&transform.src, &other.src)) {
            return Err(errors::SOURCE_OVERLAPPING_SUBJECT_FILTERS);
        }
    }
    if !has_valid_consumer(source) {
        return Err(errors::SOURCE_DURABLE_CONSUMER_CFG_INVALID);
    }
    if let Some(consumer) = &source.consumer {
        let api = source
            .external
            .as_ref()
            .map_or("", |external| &external.api);
        if !consumers.insert(format!("{} {api} {}", source.name, consumer.name)) {
            return Err(errors::SOURCE_DURABLE_CONSUMER_DUPLICATE_DETECTED);
        }
    }
    Ok(())
}

/// Returns what makes two sources the same: where they copy from and which subjects.
fn identity(source: &StreamSource) -> String {
    let or_all = |text: &str| String::from(if text.is_empty() { ">" } else { text });
    let (mut sources, mut destinations) = (Vec::new(), Vec::new());
    if source.subject_transforms.is_empty() {
        sources.push(or_all(&source.filter_subject));
        destinations.push(or_all(""));
    }
    for transform in &source.subject_transforms {
        sources.push(or_all(&transform.src));
        destinations.push(or_all(&transform.dest));
    }
    let api = source.external.as_ref().map(|external| &external.api);
    let consumer = source.consumer.as_ref().map(|consumer| &consumer.name);
    format!(
        "{} {api:?} {consumer:?} {sources:?} {destinations:?}",
        source.name
    )
}

fn has_valid_consumer(source: &StreamSource) -> bool {
    let Some(SourceConsumer {
        name,
        deliver_subject,
    }) = &source.consumer
    else {
        return true;
    };
    is_valid_name(name)
        && subject::is_valid_literal(deliver_subject.as_bytes())
        && source.opt_start_seq == 0
        && source.opt_start_time.is_none()
        && source.filter_subject.is_empty()
}

fn has_two_filters(source: &StreamSource) -> bool {
    !source.filter_subject.is_empty() && !source.subject_transforms.is_empty()
}

fn is_empty_or_valid(subject: &str) -> bool {
    subject.is_empty() || subject::is_valid(subject.as_bytes())
}

fn is_smaller(size: i32, than: i32) -> bool {
    size > 0 && than > 0 && size < than
}
