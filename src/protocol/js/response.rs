//! Responses: a type, then an error or what was asked for.

use alloc::string::String;
use alloc::vec::Vec;

use super::api::ApiKind;
use super::config::StreamConfig;
use super::errors::ApiError;
use super::info::{ConsumerInfo, StoredMessage, StreamInfo, StreamState};
use super::json::{Fields, ToJson, Writer, json_output};
use crate::text::duration::Nanos;
use crate::time::Wall;

/// Returns a response.
#[must_use]
pub fn encode_response(kind: ApiKind, body: &impl Fields) -> Vec<u8> {
    let mut to = Writer::default();
    to.begin_object();
    to.field("type", kind.response_type());
    body.write_fields(&mut to);
    to.end_object();
    to.into_bytes()
}

/// Returns an error response.
#[must_use]
pub fn encode_error(kind: ApiKind, error: &ApiError) -> Vec<u8> {
    let mut to = Writer::default();
    to.begin_object();
    to.field("type", kind.response_type());
    to.field("error", error);
    to.raw_fields(kind.error_fields());
    to.end_object();
    to.into_bytes()
}

/// A response that says nothing but that it was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty;

impl Fields for Empty {
    fn write_fields(&self, _: &mut Writer) {}
}

json_output! {
    /// It was done, or not.
    pub struct Success {
        /// It was done.
        success: bool = "success" omit,
    }
}

json_output! {
    /// Messages were removed.
    pub struct Purged {
        /// It was done.
        success: bool = "success" omit,
        /// How many.
        purged: u64 = "purged",
    }
}

json_output! {
    /// Deliveries stopped, or not.
    pub struct Paused {
        /// Nothing is delivered.
        paused: bool = "paused",
        /// Until then.
        pause_until: Wall = "pause_until",
        /// For so long.
        pause_remaining: Nanos = "pause_remaining" omit,
    }
}

json_output! {
    /// The deletion of an account's streams has begun.
    pub struct Initiated {
        /// It has.
        initiated: bool = "initiated" omit,
    }
}

json_output! {
    /// What is being written out.
    pub struct SnapshotStarted {
        /// What the stream is.
        config: Option<StreamConfig> = "config" omit,
        /// What it holds.
        state: Option<StreamState> = "state" omit,
    }
}

json_output! {
    /// Where to send what is to be taken in.
    pub struct RestoreStarted {
        /// The subject.
        deliver_subject: String = "deliver_subject",
    }
}

/// A stream was made, or was there already just so.
#[derive(Clone, Copy, Debug)]
pub struct StreamCreated<'a>(pub &'a StreamInfo);

impl Fields for StreamCreated<'_> {
    fn write_fields(&self, to: &mut Writer) {
        self.0.write_fields(to);
        to.field("did_create", &true);
    }
}

/// A consumer was started again.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerWasReset<'a> {
    /// The consumer.
    pub info: &'a ConsumerInfo,
    /// The sequence it starts at.
    pub reset_seq: u64,
}

impl Fields for ConsumerWasReset<'_> {
    fn write_fields(&self, to: &mut Writer) {
        self.info.write_fields(to);
        to.field("reset_seq", &self.reset_seq);
    }
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a>(pub StoredMessage<'a>);

impl Fields for Message<'_> {
    fn write_fields(&self, to: &mut Writer) {
        to.field("message", &self.0);
    }
}

/// Which part of a list a response holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Entries of the whole list.
    pub total: usize,
    /// How many were skipped.
    pub offset: usize,
    /// How many a page holds at most.
    pub limit: usize,
}

impl Page {
    /// Returns the page of a list of `total` entries that starts after `offset`, which may lie outside.
    #[must_use]
    pub fn new(total: usize, offset: i64, limit: usize) -> Self {
        let offset = usize::try_from(offset).unwrap_or(0).min(total);
        Self {
            total,
            offset,
            limit,
        }
    }
}

impl Fields for Page {
    fn write_fields(&self, to: &mut Writer) {
        to.field("total", &self.total);
        to.field("offset", &self.offset);
        to.field("limit", &self.limit);
    }
}

/// A page of streams or consumers, or of their names.
#[derive(Clone, Debug)]
pub struct Listed<'a, T> {
    /// Which part.
    pub page: Page,
    /// `streams` or `consumers`.
    pub key: &'static str,
    /// The entries.
    pub entries: &'a [T],
}

impl<T: ToJson> Fields for Listed<'_, T> {
    fn write_fields(&self, to: &mut Writer) {
        self.page.write_fields(to);
        to.field(self.key, self.entries);
    }
}

/// The names of streams. No names at all are null, as in NATS.
#[derive(Clone, Copy, Debug)]
pub struct StreamNames<'a> {
    /// Which part.
    pub page: Page,
    /// The names.
    pub names: &'a [&'a str],
}

impl Fields for StreamNames<'_> {
    fn write_fields(&self, to: &mut Writer) {
        self.page.write_fields(to);
        to.field("streams", &(!self.names.is_empty()).then_some(self.names));
    }
}

/// A stream, with the page of its subjects.
#[derive(Clone, Copy, Debug)]
pub struct StreamDetails<'a> {
    /// Which part of the subjects; all zero if they were not asked for.
    pub page: Page,
    /// The stream.
    pub info: &'a StreamInfo,
}

impl Fields for StreamDetails<'_> {
    fn write_fields(&self, to: &mut Writer) {
        self.page.write_fields(to);
        self.info.write_fields(to);
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::super::errors;
    use super::*;

    fn text(json: Vec<u8>) -> String {
        String::from_utf8(json)
            .unwrap()
            .replace("io.nats.jetstream.api.v1.", "")
    }

    #[test]
    fn errors_keep_the_empty_fields_of_their_response() {
        let not_found = |kind| text(encode_error(kind, &errors::STREAM_NOT_FOUND));
        let error =
            "\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not found\"}";
        for (kind, wanted) in [
            (
                ApiKind::StreamDelete,
                "{\"type\":\"stream_delete_response\",ERROR}",
            ),
            (
                ApiKind::StreamPurge,
                "{\"type\":\"stream_purge_response\",ERROR,\"purged\":0}",
            ),
            (
                ApiKind::StreamInfo,
                "{\"type\":\"stream_info_response\",ERROR,\"total\":0,\"offset\":0,\"limit\":0}",
            ),
            (
                ApiKind::ConsumerNames,
                "{\"type\":\"consumer_names_response\",ERROR,\"total\":0,\"offset\":0,\"limit\":0,\"consumers\":[]}",
            ),
        ] {
            assert_eq!(not_found(kind), wanted.replace("ERROR", error));
        }
    }

    #[test]
    fn lists_tell_their_page_first() {
        let page = Page::new(1, 5, 1024);
        let names = encode_response(ApiKind::StreamNames, &StreamNames { page, names: &[] });
        let wanted = "{\"type\":\"stream_names_response\",\"total\":1,\"offset\":1,\"limit\":1024,\"streams\":null}";
        assert_eq!(text(names), wanted);
        let listed = Listed {
            page: Page::new(2, -5, 1024),
            key: "consumers",
            entries: &["a", "d"],
        };
        let wanted = "{\"type\":\"consumer_names_response\",\"total\":2,\"offset\":0,\"limit\":1024,\"consumers\":[\"a\",\"d\"]}";
        assert_eq!(
            text(encode_response(ApiKind::ConsumerNames, &listed)),
            wanted
        );
    }

    #[test]
    fn a_new_stream_is_shown_with_its_zero_times() {
        let info = StreamInfo {
            ts: Wall(1),
            ..StreamInfo::default()
        };
        let created = text(encode_response(
            ApiKind::StreamCreate,
            &StreamCreated(&info),
        ));
        let state = "\"created\":\"0001-01-01T00:00:00Z\",\"state\":{\"messages\":0,\"bytes\":0,\
            \"first_seq\":0,\"first_ts\":\"0001-01-01T00:00:00Z\",\"last_seq\":0,\
            \"last_ts\":\"0001-01-01T00:00:00Z\",\"consumer_count\":0},\
            \"ts\":\"1970-01-01T00:00:00.000000001Z\",\"did_create\":true}";
        assert!(created.ends_with(&state.to_string()), "{created}");
    }

    #[test]
    fn messages_carry_headers_and_body_in_base64() {
        let message = StoredMessage {
            subject: "a",
            seq: 3,
            headers: b"",
            payload: b"hello",
            time: Wall(1_000_000_000),
        };
        let wanted = "{\"type\":\"stream_msg_get_response\",\"message\":{\"subject\":\"a\",\"seq\":3,\
            \"data\":\"aGVsbG8=\",\"time\":\"1970-01-01T00:00:01Z\"}}";
        assert_eq!(
            text(encode_response(ApiKind::MsgGet, &Message(message))),
            wanted
        );
    }
}
