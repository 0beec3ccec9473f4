//! The pull request: a client asks a consumer for messages.

use alloc::string::String;

use crate::js::json::{DecodeError, Strictness, decode, json_struct};
use crate::text::duration::Nanos;

json_struct! {
    /// The JSON form. Keys nobody knows are skipped. It has no name in error texts, because the server
    /// decodes it through a pointer to a pointer.
    pub struct PullRequest[""] {
        /// How long the request stands; 0 is as long as someone listens.
        expires: Nanos = "expires" omit,
        /// How many messages; less than one is one.
        batch: i64 = "batch" omit int,
        /// How many bytes at most; 0 is no limit.
        max_bytes: i64 = "max_bytes" omit int,
        /// Do not wait.
        no_wait: bool = "no_wait" omit,
        /// How often a waiting request hears that the consumer lives.
        idle_heartbeat: Nanos = "idle_heartbeat" omit,
        /// The priority group.
        group: String = "group" omit,
        /// Only if so many messages are to be delivered.
        min_pending: i64 = "min_pending" omit,
        /// Only if so many messages are unacknowledged.
        min_ack_pending: i64 = "min_ack_pending" omit,
        /// The pin that the client was given.
        id: String = "id" omit,
        /// How urgent it is; 0 is most.
        priority: i64 = "priority" omit int,
    }
}

impl PullRequest {
    /// Reports whether a body says more than a number of messages. One that does not asks no group for
    /// anything, not even which one it belongs to.
    #[must_use]
    pub fn is_formal(body: &[u8]) -> bool {
        body.trim_ascii().first() == Some(&b'{')
    }

    /// Reads the body: nothing asks for one message, a number for so many, JSON says more, and any other
    /// text asks for one, too.
    ///
    /// # Errors
    /// When the body is faulty JSON, or its heartbeat does not fit its expiry.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let body = body.trim_ascii();
        let mut request = Self::default();
        if Self::is_formal(body) {
            request = decode(body, Strictness::Lax)?;
            let heartbeat = request.idle_heartbeat.0;
            if heartbeat > 0 && heartbeat.saturating_mul(2) > request.expires.0 {
                return Err(DecodeError::new("heartbeat value too large"));
            }
        } else {
            let number = core::str::from_utf8(body)
                .ok()
                .and_then(|text| text.parse().ok());
            request.batch = number.filter(|n| *n != 0).unwrap_or(1);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(body: &[u8]) -> i64 {
        PullRequest::parse(body).unwrap().batch
    }

    #[test]
    fn short_forms_ask_for_a_number_of_messages() {
        assert_eq!(batch(b""), 1);
        assert_eq!(batch(b" 25 "), 25);
        assert_eq!(batch(b"0"), 1);
        assert_eq!(batch(b"many"), 1);
        assert_eq!(batch(b"{}"), 0);
        assert_eq!(batch(b"{\"batch\":7,\"unknown\":true}"), 7);
    }

    #[test]
    fn a_heartbeat_must_fit_twice_into_the_expiry() {
        assert!(PullRequest::parse(b"{\"expires\":10,\"idle_heartbeat\":5}").is_ok());
        for body in [
            &b"{\"expires\":9,\"idle_heartbeat\":5}"[..],
            b"{\"idle_heartbeat\":5}",
        ] {
            let error = PullRequest::parse(body).unwrap_err();
            assert_eq!(alloc::format!("{error}"), "heartbeat value too large");
        }
    }

    #[test]
    fn faulty_json_is_told() {
        let error = PullRequest::parse(b"{\"batch\":").unwrap_err();
        assert_eq!(alloc::format!("{error}"), "unexpected end of JSON input");
    }
}
