//! What users with permissions on stations may name as NATS clients: subjects of partitions, of streams, and
//! of the JetStream API.
//!
//! *Invariant:* for such a user the JetStream API is closed but for what is listed here; what it may ask of
//! a stream depends on the station that the stream is of. Users without permissions of their own have no
//! fence.

use alloc::string::String;
use alloc::vec::Vec;

use memphis::book::Permissions;
use memphis::name::station_of_stream;
use memphis::request::Fields;

/// What inboxes begin with.
const INBOX: &str = "_INBOX.";
/// Requests and pushes of Memphis.
const MEMPHIS: &str = "$memphis_";
/// Pushes that SDKs listen to, each followed by a station.
const PUSHES: [&str; 2] = ["$memphis_schema_updates_", "$memphis_functions_updates_"];
const PUSHES_TO_ALL: &str = "$memphis_sdk_clients_updates";
/// Dead letters that are sent again, followed by station and group.
const DEAD_LETTERS: &str = "$memphis_dls_";
/// How many tokens acks have that name a domain.
const DOMAIN_ACK_TOKENS: usize = 11;

/// The permissions of one user.
#[derive(Clone, Debug)]
pub(crate) struct Fence(Permissions);

impl Fence {
    /// Returns the fence of a user; none if it may use all stations.
    pub(crate) fn of(permissions: &Permissions) -> Option<Self> {
        (*permissions != Permissions::default()).then(|| Self(permissions.clone()))
    }

    /// Says whether a message may be published, as far as its subjects tell.
    pub(crate) fn may_publish(&self, subject: &[u8], reply: &[u8], payload: &[u8]) -> bool {
        let (Ok(subject), Ok(reply)) = (core::str::from_utf8(subject), core::str::from_utf8(reply))
        else {
            return false;
        };
        // An answer is published in the server's name.
        if !reply.is_empty() && !self.may_write_to(reply) {
            return false;
        }
        match subject.strip_prefix("$JS.") {
            Some(asked) => self.may_ask(asked, payload),
            None => self.may_write_to(subject),
        }
    }

    /// Says whether messages may be stored in a stream.
    pub(crate) fn may_store(&self, stream: &str) -> bool {
        self.0.may_write(&station_of_stream(stream).0)
    }

    /// Says whether a subscription may be made; `streams` are those whose subjects overlap with it.
    pub(crate) fn may_subscribe<'s>(
        &self,
        subject: &[u8],
        mut streams: impl Iterator<Item = &'s str>,
    ) -> bool {
        let Ok(subject) = core::str::from_utf8(subject) else {
            return false;
        };
        if let Some(inbox) = subject.strip_prefix(INBOX) {
            // Everybody's inboxes are nobody's.
            return !begins_wild(inbox);
        }
        if begins_wild(subject) {
            return false;
        }
        if let Some(rest) = subject.strip_prefix(DEAD_LETTERS) {
            let station = rest.split_once('.').map(|(station, _)| external(station));
            return station.is_some_and(|station| self.0.may_read(&station));
        }
        if let Some(station) = PUSHES.iter().find_map(|push| subject.strip_prefix(push)) {
            let station = external(station);
            return self.0.may_read(&station) || self.0.may_write(&station);
        }
        let is_closed = subject.starts_with("$JS.") || subject.starts_with(MEMPHIS);
        if is_closed && subject != PUSHES_TO_ALL {
            return false;
        }
        let partition = station_of(subject);
        partition.is_none_or(|station| self.0.may_read(&station))
            && streams.all(|stream| self.0.may_read(&station_of_stream(stream).0))
    }

    fn may_write_to(&self, subject: &str) -> bool {
        // Pushes are the broker's to send.
        let is_push = subject.starts_with(DEAD_LETTERS)
            || subject.starts_with(PUSHES_TO_ALL)
            || PUSHES.iter().any(|push| subject.starts_with(push));
        let is_request = subject.starts_with(MEMPHIS) && !is_push;
        let station = station_of(subject);
        is_request || !is_push && station.is_none_or(|station| self.0.may_write(&station))
    }

    /// Says whether something may be asked of JetStream; `asked` is the subject without its first token.
    fn may_ask(&self, asked: &str, payload: &[u8]) -> bool {
        let tokens: Vec<&str> = asked.split('.').collect();
        let read = |stream: &str| self.0.may_read(&station_of_stream(stream).0);
        let write = |stream: &str| self.0.may_write(&station_of_stream(stream).0);
        match tokens.as_slice() {
            ["API", "INFO"] | ["API", "STREAM", "NAMES"] => true,
            ["API", "STREAM", "INFO", stream] => read(stream) || write(stream),
            ["API", "STREAM", "MSG", "GET", stream]
            | ["API", "DIRECT", "GET", stream, ..]
            | ["API", "CONSUMER", "NAMES" | "LIST", stream]
            | [
                "API",
                "CONSUMER",
                "INFO" | "DELETE" | "PAUSE" | "UNPIN",
                stream,
                _,
            ]
            | ["API", "CONSUMER", "MSG", "NEXT", stream, _] => read(stream),
            ["API", "STREAM", "MSG", "DELETE", stream]
            | ["API", "STREAM", "PURGE" | "DELETE", stream] => write(stream),
            ["API", "CONSUMER", "DURABLE", "CREATE", stream, _]
            | ["API", "CONSUMER", "CREATE", stream, ..] => {
                read(stream) && delivers_to_inbox(payload)
            }
            ["ACK", _, _, stream, ..] if tokens.len() >= DOMAIN_ACK_TOKENS => read(stream),
            ["ACK" | "FC", stream, ..] => read(stream),
            _ => false,
        }
    }
}

/// Says whether a consumer delivers to its client and nowhere else: a stream may listen elsewhere.
fn delivers_to_inbox(payload: &[u8]) -> bool {
    // Keys can be spelled with escapes, or be there twice: neither comes from an honest client.
    if payload.contains(&b'\\') {
        return false;
    }
    let text = String::from_utf8_lossy(payload).to_lowercase();
    match text.matches("deliver_subject").count() {
        0 => true,
        1 => {
            let asked = Fields::parse(payload).map(|asked| asked.object("config"));
            let to = asked.map(|config| String::from(config.text("deliver_subject")));
            to.is_ok_and(|to| to.is_empty() || to.starts_with(INBOX))
        }
        _ => false,
    }
}

/// Returns the station whose partition a subject names.
fn station_of(subject: &str) -> Option<String> {
    let (first, _) = subject.split_once('.').unwrap_or((subject, ""));
    let (name, number) = first.rsplit_once('$')?;
    let is_partition = !name.is_empty()
        && !number.is_empty()
        && number.bytes().all(|digit| digit.is_ascii_digit());
    is_partition.then(|| external(name))
}

fn external(name: &str) -> String {
    name.to_lowercase().replace('#', ".")
}

fn begins_wild(subject: &str) -> bool {
    let first = subject.split('.').next();
    first.is_none_or(|first| first.is_empty() || first == "*" || first == ">")
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// Reads `in.*`, writes `out`.
    fn fence() -> Fence {
        let permissions = Permissions {
            allow_read: vec!["in.*".into()],
            allow_write: vec!["out".into()],
            ..Permissions::default()
        };
        Fence::of(&permissions).expect("there are permissions")
    }

    fn publishes(subject: &str) -> bool {
        fence().may_publish(subject.as_bytes(), b"", b"")
    }

    fn subscribes(subject: &str) -> bool {
        fence().may_subscribe(subject.as_bytes(), core::iter::empty())
    }

    #[test]
    fn who_may_use_all_stations_has_no_fence() {
        assert!(Fence::of(&Permissions::default()).is_none());
    }

    #[test]
    fn messages_go_to_stations_that_may_be_written_to() {
        for subject in [
            "out$1.final",
            "OUT$2.final",
            "out$0.final",
            "plain",
            "$memphis_producer_creations",
        ] {
            assert!(publishes(subject), "{subject}");
        }
        for subject in [
            "in#a$1.final",
            "other$1.final",
            "other$12",
            "$memphis_dls_out.g",
            "$memphis_sdk_clients_updates",
            "$memphis_schema_updates_out",
        ] {
            assert!(!publishes(subject), "{subject}");
        }
        assert!(
            !fence().may_publish(b"$JS.API.INFO", b"other$1.final", b""),
            "an answer"
        );
        assert!(fence().may_store("out$1") && !fence().may_store("other"));
    }

    #[test]
    fn the_jetstream_api_is_open_for_what_the_station_is() {
        for subject in [
            "$JS.API.INFO",
            "$JS.API.STREAM.NAMES",
            "$JS.API.STREAM.INFO.in#a$1",
            "$JS.API.STREAM.INFO.out$1",
            "$JS.API.CONSUMER.INFO.in#a$1.g",
            "$JS.API.CONSUMER.MSG.NEXT.in#a$1.g",
            "$JS.API.STREAM.MSG.GET.in#a$1",
            "$JS.API.DIRECT.GET.in#a$1.x",
            "$JS.API.STREAM.PURGE.out$1",
            "$JS.ACK.in#a$1.g.1.1.1.1.0",
            "$JS.ACK._.hash.in#a$1.g.1.1.1.1.0.token",
        ] {
            assert!(publishes(subject), "{subject}");
        }
        for subject in [
            "$JS.API.CONSUMER.MSG.NEXT.out$1.g",
            "$JS.API.STREAM.MSG.GET.other$1",
            "$JS.API.DIRECT.GET.other$1",
            "$JS.API.STREAM.PURGE.in#a$1",
            "$JS.API.STREAM.CREATE.out$1",
            "$JS.API.STREAM.UPDATE.out$1",
            "$JS.API.STREAM.SNAPSHOT.in#a$1",
            "$JS.API.STREAM.RESTORE.out$1",
            "$JS.API.STREAM.LIST",
            "$JS.ACK.other$1.g.1.1.1.1.0",
            "$JS.ACK._.hash.other$1.g.1.1.1.1.0.token",
            "$JS.SNAPSHOT.ACK.other$1.x",
        ] {
            assert!(!publishes(subject), "{subject}");
        }
    }

    #[test]
    fn consumers_deliver_to_inboxes_only() {
        let makes = |body: &str| {
            let subject = b"$JS.API.CONSUMER.CREATE.in#a$1.c";
            fence().may_publish(subject, b"", body.as_bytes())
        };
        assert!(makes(
            r#"{"stream_name":"in#a$1","config":{"ack_policy":"explicit"}}"#
        ));
        assert!(makes(r#"{"config":{"deliver_subject":"_INBOX.x"}}"#));
        for body in [
            r#"{"config":{"deliver_subject":"other$1.final"}}"#,
            r#"{"config":{"deliver_subject":"anywhere"}}"#,
            r#"{"config":{"deliver_subject":"_INBOX.x","Deliver_Subject":"other$1.final"}}"#,
            r#"{"config":{"\u0064eliver_subject":"other$1.final"}}"#,
            r#"{"Config":{"deliver_subject":"a"}}"#,
        ] {
            assert!(!makes(body), "{body}");
        }
    }

    #[test]
    fn nobody_listens_to_what_may_not_be_read() {
        for subject in [
            "_INBOX.mine.*",
            "in#a$1.>",
            "$memphis_dls_in#a.g",
            "$memphis_schema_updates_out",
            "$memphis_sdk_clients_updates",
            "news.*",
        ] {
            assert!(subscribes(subject), "{subject}");
        }
        for subject in [
            ">",
            "*.final",
            "_INBOX.>",
            "_INBOX.*.x",
            "other$1.final",
            "out$1.final",
            "$memphis_dls_other.g",
            "$memphis_dls_>",
            "$memphis_producer_creations",
            "$JS.ACK.>",
        ] {
            assert!(!subscribes(subject), "{subject}");
        }
        let overlapping = ["in#a$1", "Plain"];
        assert!(!fence().may_subscribe(b"news.*", overlapping.into_iter()));
    }
}
