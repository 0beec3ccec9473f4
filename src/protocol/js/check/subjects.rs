//! The subjects of a stream, and where it publishes them again.

use alloc::format;
use alloc::string::String;

use super::stream::StreamRules;
use crate::js::config::{Republish, StreamConfig};
use crate::js::errors::{ApiError, MIRROR_WITH_SUBJECTS, PEDANTIC, STREAM_INVALID_CONFIG};
use crate::js::json::go_quote;
use crate::subject::{self, transform::Transform};

pub(super) fn overlap(a: &str, b: &str) -> bool {
    subject::overlaps(a.as_bytes(), b.as_bytes())
}

/// Checks the subjects; a stream without any, and that copies from nowhere, gets its own name.
pub(super) fn check_subjects(config: &mut StreamConfig) -> Result<(), ApiError> {
    if config.subjects.is_empty() {
        if config.mirror.is_none() && config.sources.is_empty() {
            config.subjects.push(config.name.clone());
        }
        return Ok(());
    }
    if config.mirror.is_some() {
        return Err(MIRROR_WITH_SUBJECTS);
    }
    let mut left = config.subjects.as_slice();
    while let [subject, rest @ ..] = left {
        check_subject(subject, config)?;
        if let Some(other) = rest.iter().find(|other| overlap(other, subject)) {
            let (subject, other) = (go_quote(subject.as_bytes()), go_quote(other.as_bytes()));
            return Err(invalid(&format!("subject {subject} overlaps with {other}")));
        }
        left = rest;
    }
    Ok(())
}

fn check_subject(subject: &str, config: &StreamConfig) -> Result<(), ApiError> {
    if !subject::is_valid(subject.as_bytes()) {
        return Err(invalid("invalid subject"));
    }
    if subject == ">" && !config.no_ack {
        return Err(invalid("capturing all subjects requires no-ack to be true"));
    }
    if subject == ">" && config.num_replicas != 1 {
        return Err(invalid("capturing all subjects requires replicas of 1"));
    }
    if config.no_ack {
        return Ok(());
    }
    // A stream that acknowledges its own API's messages would answer itself for ever.
    let within = |space: &str| subject::is_subset(subject.as_bytes(), space.as_bytes());
    let reserved = ["$JS.>", "$JSC.>", "$NRG.>"];
    if reserved.iter().any(|space| overlap(subject, space)) && !within("$JS.EVENT.>") {
        return Err(invalid(
            "subjects that overlap with jetstream api require no-ack to be true",
        ));
    }
    if overlap(subject, "$SYS.>") && !within("$SYS.ACCOUNT.>") {
        return Err(invalid(
            "subjects that overlap with system api require no-ack to be true",
        ));
    }
    Ok(())
}

/// Checks where stored messages are published again: not into the stream itself.
pub(super) fn check_republish(
    config: &mut StreamConfig,
    rules: &StreamRules<'_>,
) -> Result<(), ApiError> {
    let Some(mut republish) = config.republish.take() else {
        return Ok(());
    };
    if republish.src.is_empty() {
        if rules.pedantic {
            return Err(PEDANTIC.with("republish source can not be empty"));
        }
        republish.src = String::from(">");
    }
    if let Some(dest) = implied_destination(&republish, config) {
        if rules.pedantic {
            return Err(PEDANTIC.with("implicit republish based on subject transform"));
        }
        republish.src.clone_from(&dest);
        republish.dest = dest;
    }
    let Republish { src, dest, .. } = &republish;
    if config.subjects.iter().any(|subject| overlap(dest, subject)) {
        return Err(invalid(
            "stream configuration for republish destination forms a cycle",
        ));
    }
    if !dest.is_empty() && Transform::new(src, dest).is_err() {
        return Err(invalid(&format!(
            "stream configuration for republish with transform from '{src}' to '{dest}' not valid"
        )));
    }
    config.republish = Some(republish);
    Ok(())
}

/// Everything to everything is no cycle if the stream changes all its subjects on their way in.
fn implied_destination(republish: &Republish, config: &StreamConfig) -> Option<String> {
    let transform = config.subject_transform.as_ref()?;
    let [only] = config.subjects.as_slice() else {
        return None;
    };
    let all = republish.src == ">" && republish.dest == ">";
    (all && transform.src == *only).then(|| transform.dest.clone())
}

pub(super) fn invalid(text: &str) -> ApiError {
    STREAM_INVALID_CONFIG.with(text)
}
