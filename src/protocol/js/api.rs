//! The subjects of the API: which request is meant, of which stream and consumer.

use core::str;

/// What every API subject of the local domain starts with.
pub const API_PREFIX: &str = "$JS.API.";

/// Reports whether a subject is one that streams and consumers answer themselves: where none does, whoever
/// asks is told that nobody is there, and not left waiting.
#[must_use]
pub fn is_answered_by_assets(subject: &[u8]) -> bool {
    let prefixes: [&[u8]; 2] = [b"$JS.API.CONSUMER.MSG.NEXT.", b"$JS.API.DIRECT.GET"];
    prefixes.iter().any(|prefix| subject.starts_with(prefix))
}

/// A request, told by its subject. Slices that a request does not have are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRequest<'a> {
    /// What is asked.
    pub kind: ApiKind,
    /// The account, in requests of the system account.
    pub account: &'a str,
    /// The stream.
    pub stream: &'a str,
    /// The consumer.
    pub consumer: &'a str,
    /// What follows: the filter of a consumer create request, the subject of a direct get.
    pub rest: &'a str,
}

macro_rules! api {
    ($($(#[$meta:meta])* $kind:ident = $($token:literal)* $([$($slot:ident)*])? => $response:literal $error_fields:literal,)*) => {
        /// The requests that exist.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ApiKind {
            $($(#[$meta])* $kind,)*
        }

        impl ApiKind {
            /// Every request.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Returns the type of the response.
            #[must_use]
            pub const fn response_type(self) -> &'static str {
                match self {
                    $(Self::$kind => concat!("io.nats.jetstream.api.v1.", $response),)*
                }
            }

            /// Returns the fields that an error response carries after the error.
            #[must_use]
            pub(crate) const fn error_fields(self) -> &'static str {
                match self {
                    $(Self::$kind => $error_fields,)*
                }
            }
        }

        const ROUTES: &[Route] = &[$(Route {
            kind: ApiKind::$kind,
            words: &[$($token,)*],
            slots: &[$($(Slot::$slot,)*)?],
        },)*];
    };
}

api! {
    /// What the account uses.
    AccountInfo = "INFO" => "account_info_response" "",
    /// Makes a stream.
    StreamCreate = "STREAM" "CREATE" [Stream] => "stream_create_response" "",
    /// Changes a stream.
    StreamUpdate = "STREAM" "UPDATE" [Stream] => "stream_update_response" "",
    /// Lists the names of streams.
    StreamNames = "STREAM" "NAMES" => "stream_names_response" "\"total\":0,\"offset\":0,\"limit\":0,\"streams\":null",
    /// Lists streams.
    StreamList = "STREAM" "LIST" => "stream_list_response" "\"total\":0,\"offset\":0,\"limit\":0,\"streams\":[]",
    /// Tells about a stream.
    StreamInfo = "STREAM" "INFO" [Stream] => "stream_info_response" "\"total\":0,\"offset\":0,\"limit\":0",
    /// Deletes a stream.
    StreamDelete = "STREAM" "DELETE" [Stream] => "stream_delete_response" "",
    /// Removes messages.
    StreamPurge = "STREAM" "PURGE" [Stream] => "stream_purge_response" "\"purged\":0",
    /// Reads a message.
    MsgGet = "STREAM" "MSG" "GET" [Stream] => "stream_msg_get_response" "",
    /// Deletes a message.
    MsgDelete = "STREAM" "MSG" "DELETE" [Stream] => "stream_msg_delete_response" "",
    /// Reads messages without JSON around them. Answered with raw messages.
    DirectGet = "DIRECT" "GET" [Stream] => "" "",
    /// Reads the last message of a subject without JSON around it. Answered with a raw message.
    DirectGetLast = "DIRECT" "GET" [Stream Rest] => "" "",
    /// Writes a stream out.
    StreamSnapshot = "STREAM" "SNAPSHOT" [Stream] => "stream_snapshot_response" "",
    /// Takes a stream in.
    StreamRestore = "STREAM" "RESTORE" [Stream] => "stream_restore_response" "\"deliver_subject\":\"\"",
    /// Takes a stream off a server.
    StreamPeerRemove = "STREAM" "PEER" "REMOVE" [Stream] => "stream_remove_peer_response" "",
    /// Moves a stream's leader.
    StreamLeaderStepdown = "STREAM" "LEADER" "STEPDOWN" [Stream] => "stream_leader_stepdown_response" "",
    /// Moves a stream away from a server.
    StreamPeerEvacuate = "STREAM" "PEER" "EVACUATE" [Stream] => "stream_evacuate_peer_response" "",
    /// Stops a move.
    StreamCancelMove = "STREAM" "CANCEL_MOVE" [Stream] => "stream_cancel_move_response" "",
    /// Makes or changes a consumer whose name may be in the body.
    ConsumerCreate = "CONSUMER" "CREATE" [Stream] => "consumer_create_response" "",
    /// Makes or changes a consumer named in the subject; the filter may follow.
    ConsumerCreateNamed = "CONSUMER" "CREATE" [Stream Consumer Rest] => "consumer_create_response" "",
    /// Makes or changes a durable consumer, as old clients ask for it.
    ConsumerCreateDurable = "CONSUMER" "DURABLE" "CREATE" [Stream Consumer] => "consumer_create_response" "",
    /// Lists the names of consumers.
    ConsumerNames = "CONSUMER" "NAMES" [Stream] => "consumer_names_response" "\"total\":0,\"offset\":0,\"limit\":0,\"consumers\":[]",
    /// Lists consumers.
    ConsumerList = "CONSUMER" "LIST" [Stream] => "consumer_list_response" "\"total\":0,\"offset\":0,\"limit\":0,\"consumers\":[]",
    /// Tells about a consumer.
    ConsumerInfo = "CONSUMER" "INFO" [Stream Consumer] => "consumer_info_response" "",
    /// Deletes a consumer.
    ConsumerDelete = "CONSUMER" "DELETE" [Stream Consumer] => "consumer_delete_response" "",
    /// Asks for messages. Answered with raw messages.
    ConsumerNext = "CONSUMER" "MSG" "NEXT" [Stream Consumer] => "" "",
    /// Stops deliveries for a while.
    ConsumerPause = "CONSUMER" "PAUSE" [Stream Consumer] => "consumer_pause_response" "\"paused\":false,\"pause_until\":\"0001-01-01T00:00:00Z\"",
    /// Lets go of the pinned client.
    ConsumerUnpin = "CONSUMER" "UNPIN" [Stream Consumer] => "consumer_unpin_response" "",
    /// Starts a consumer again.
    ConsumerReset = "CONSUMER" "RESET" [Stream Consumer] => "consumer_reset_response" "\"reset_seq\":0",
    /// Moves a consumer's leader.
    ConsumerLeaderStepdown = "CONSUMER" "LEADER" "STEPDOWN" [Stream Consumer] => "consumer_leader_stepdown_response" "",
    /// Takes a consumer off a server.
    ConsumerPeerRemove = "CONSUMER" "PEER" "REMOVE" [Stream Consumer] => "consumer_remove_peer_response" "",
    /// Moves a consumer away from a server.
    ConsumerPeerEvacuate = "CONSUMER" "PEER" "EVACUATE" [Stream Consumer] => "consumer_evacuate_peer_response" "",
    /// Moves the leader of the metadata.
    MetaLeaderStepdown = "META" "LEADER" "STEPDOWN" => "meta_leader_stepdown_response" "",
    /// Takes a server out.
    ServerRemove = "SERVER" "REMOVE" => "meta_server_remove_response" "",
    /// Moves everything away from a server.
    ServerEvacuate = "SERVER" "EVACUATE" => "meta_server_evacuate_response" "",
    /// Changes how many servers the metadata needs.
    MetaRescue = "META" "RESCUE" => "meta_rescue_response" "\"server\":\"\",\"server_id\":\"\"",
    /// Deletes what an account has.
    AccountPurge = "ACCOUNT" "PURGE" [Account] => "account_purge_response" "",
    /// Moves an account's stream.
    AccountStreamMove = "ACCOUNT" "STREAM" "MOVE" [Account Stream] => "stream_update_response" "",
    /// Stops that.
    AccountStreamCancelMove = "ACCOUNT" "STREAM" "CANCEL_MOVE" [Account Stream] => "stream_update_response" "",
}

struct Route {
    kind: ApiKind,
    words: &'static [&'static str],
    slots: &'static [Slot],
}

#[derive(Clone, Copy)]
enum Slot {
    Account,
    Stream,
    Consumer,
    /// All remaining tokens; for a consumer create request possibly none.
    Rest,
}

impl<'a> ApiRequest<'a> {
    /// Reads a subject of the local domain, `$JS.API.…`.
    #[must_use]
    pub fn parse(subject: &'a [u8]) -> Option<Self> {
        let subject = str::from_utf8(subject).ok()?;
        let request = subject.strip_prefix(API_PREFIX)?;
        ROUTES.iter().find_map(|route| route.matches(request))
    }
}

impl Route {
    fn matches<'a>(&self, request: &'a str) -> Option<ApiRequest<'a>> {
        let mut left = Some(request);
        for word in self.words {
            (next_token(&mut left)? == *word).then_some(())?;
        }
        let mut found = ApiRequest {
            kind: self.kind,
            account: "",
            stream: "",
            consumer: "",
            rest: "",
        };
        for slot in self.slots {
            match slot {
                Slot::Account => found.account = next_token(&mut left)?,
                Slot::Stream => found.stream = next_token(&mut left)?,
                Slot::Consumer => found.consumer = next_token(&mut left)?,
                Slot::Rest => {
                    let optional = self.kind == ApiKind::ConsumerCreateNamed;
                    found.rest = if optional { left.unwrap_or("") } else { left? };
                    left = None;
                }
            }
        }
        left.is_none().then_some(found)
    }
}

fn next_token<'a>(left: &mut Option<&'a str>) -> Option<&'a str> {
    let subject = (*left)?;
    let (token, rest) = match subject.split_once('.') {
        Some((token, rest)) => (token, Some(rest)),
        None => (subject, None),
    };
    *left = rest;
    (!token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(subject: &str) -> Option<ApiRequest<'_>> {
        ApiRequest::parse(subject.as_bytes())
    }

    #[test]
    fn each_request_is_told_by_its_subject() {
        for route in ROUTES {
            let mut subject = alloc::string::String::from("$JS.API");
            let names = route.slots.iter().map(|slot| match slot {
                Slot::Account => "acc",
                Slot::Stream => "str",
                Slot::Consumer => "con",
                Slot::Rest => "a.b",
            });
            for token in route.words.iter().copied().chain(names) {
                subject.push('.');
                subject.push_str(token);
            }
            assert_eq!(
                parse(&subject).map(|r| r.kind),
                Some(route.kind),
                "{subject}"
            );
        }
    }

    #[test]
    fn slices_are_what_the_subject_names() {
        let found = parse("$JS.API.CONSUMER.CREATE.S.C.a.*.>").unwrap();
        assert_eq!(found.kind, ApiKind::ConsumerCreateNamed);
        assert_eq!(
            (found.stream, found.consumer, found.rest),
            ("S", "C", "a.*.>")
        );
        assert_eq!(parse("$JS.API.CONSUMER.CREATE.S.C").unwrap().rest, "");
        let found = parse("$JS.API.ACCOUNT.STREAM.MOVE.A.S").unwrap();
        assert_eq!((found.account, found.stream), ("A", "S"));
        let found = parse("$JS.API.DIRECT.GET.S.x.y").unwrap();
        assert_eq!(
            (found.kind, found.stream, found.rest),
            (ApiKind::DirectGetLast, "S", "x.y")
        );
    }

    #[test]
    fn subjects_with_too_few_or_too_many_tokens_are_no_requests() {
        for subject in [
            "$JS.API.INFO.x",
            "$JS.API.STREAM.CREATE",
            "$JS.API.STREAM.CREATE.a.b",
            "$JS.API.STREAM.NAMES.a",
            "$JS.API.CONSUMER.INFO.s",
            "$JS.API.CONSUMER.DURABLE.CREATE.s",
            "$JS.API.CONSUMER.DURABLE.CREATE.s.c.f",
            "$JS.API.STREAM.TEMPLATE.NAMES",
            "$JS.API.XX",
            "$JS.API",
            "$JS.API.",
            "$JS.ACK.s.c.1.1.1.1.1",
        ] {
            assert_eq!(parse(subject), None, "{subject}");
        }
        assert_eq!(ApiRequest::parse(b"$JS.API.STREAM.INFO.\xff"), None);
    }
}
