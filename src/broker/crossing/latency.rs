//! How long services of other accounts take: which requests are measured, and what is told of them.
//!
//! *Invariant:* of a request that is measured exactly one thing is told: that it was answered, or why it
//! was not.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use config::options::{Latency, Sampling};
use protocol::encode::BLANK_REPLY;
use protocol::headers::Headers;
use protocol::id::{AccountId, ConnId};
use protocol::js::advisory::ClientInfo;
use protocol::js::json::Writer;
use protocol::message::Message;
use protocol::rng::Rng;
use protocol::text::duration::Nanos;
use protocol::time::{Instant, Wall};

use super::Beyond;
use crate::router::Router;
use crate::sharing::ServiceExport;

/// How long the id of a metric is.
const ID_LEN: usize = 22;

/// A request that is measured.
#[derive(Clone, Debug)]
pub(crate) struct Tracking {
    /// Who asked.
    pub(crate) asker: Option<ConnId>,
    /// The account that it asked from.
    pub(crate) account: AccountId,
    /// Whether the exporter learns who that is.
    pub(crate) share: bool,
    /// The headers that had it measured.
    pub(crate) headers: BTreeMap<String, Vec<String>>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Somebody answered.
    Answered(Option<ConnId>),
    /// It wanted no answer.
    NoReply,
    /// Nobody was there.
    NobodyThere,
    /// No answer came in time.
    TooLate,
    /// Nobody waits for an answer any more.
    Unheard,
}

impl Outcome {
    fn status(self) -> (i64, &'static str) {
        match self {
            Self::Answered(_) => (200, ""),
            Self::NoReply => (400, "Bad Request"),
            Self::NobodyThere => (503, "Service Unavailable"),
            Self::Unheard => (408, "Request Timeout"),
            Self::TooLate => (504, "Service Timeout"),
        }
    }
}

/// Says whether a request is measured, and which of its headers had it so.
pub(crate) fn sampled(
    latency: &Latency,
    headers: &[u8],
    rng: &mut Rng,
) -> Option<BTreeMap<String, Vec<String>>> {
    match latency.sampling {
        Sampling::Percent(100..) => return Some(BTreeMap::new()),
        Sampling::Percent(percent) if rng.below(100) < u64::from(percent) => {
            return Some(BTreeMap::new());
        }
        Sampling::Percent(_) | Sampling::Headers => {}
    }
    let headers = Headers::new(headers);
    let first = |key: &str| {
        let mut all = headers.iter();
        all.find(|(name, _)| name.eq_ignore_ascii_case(key.as_bytes()))
            .and_then(|(_, value)| core::str::from_utf8(value).ok())
    };
    if let Some(trace) = first("Uber-Trace-Id") {
        let flags = trace
            .split(':')
            .nth(3)
            .filter(|_| trace.matches(':').count() == 3)?;
        let flags = u8::from_str_radix(flags, 16)
            .ok()
            .filter(|_| flags.len() <= 2)?;
        return (flags & 1 == 1).then(|| kept(headers, &["uber-trace-id"], "uberctx-"));
    }
    let b3 = [
        "x-b3-sampled",
        "x-b3-traceid",
        "x-b3-parentspanid",
        "x-b3-spanid",
    ];
    match (first("X-B3-Sampled"), first("X-B3-TraceId")) {
        (Some("1"), _) => return Some(kept(headers, &b3, "")),
        (Some("0"), _) => return None,
        (_, Some(_)) => return Some(kept(headers, &b3, "")),
        (_, None) => {}
    }
    if let Some(one) = first("B3") {
        let parts: Vec<&str> = one.split('-').collect();
        let denied = matches!(parts.as_slice(), ["0"] | [_, _, "0", ..]);
        return (!denied).then(|| kept(headers, &["b3"], ""));
    }
    let parent = first("Traceparent")?;
    let flags = parent.split('-').nth(3).filter(|flags| flags.len() == 2)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    (flags & 1 == 1).then(|| kept(headers, &["traceparent", "tracestate"], ""))
}

/// Returns the headers of these names, and those that start so, by the names that Go gives them.
fn kept(headers: Headers<'_>, names: &[&str], prefix: &str) -> BTreeMap<String, Vec<String>> {
    let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let prefixed = !prefix.is_empty() && name.starts_with(prefix);
        if prefixed || names.contains(&name.as_str()) {
            let value = String::from_utf8_lossy(value).into_owned();
            kept.entry(canonical(&name)).or_default().push(value);
        }
    }
    kept
}

/// Writes each part of a header's name with a capital letter.
fn canonical(name: &str) -> String {
    let parts = name.split('-').map(|part| {
        let mut part = part.to_owned();
        if let Some(first) = part.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        part
    });
    parts.collect::<Vec<_>>().join("-")
}

impl Router {
    /// Tells the account that offers a service what became of a measured request.
    pub(crate) fn tell_latency(
        &mut self,
        export: &Rc<ServiceExport>,
        tracking: &Tracking,
        since: Instant,
        outcome: Outcome,
        beyond: &mut dyn Beyond,
    ) {
        let Some(latency) = &export.latency else {
            return;
        };
        let body = self.latency_metric(tracking, since, outcome);
        let msg = Message {
            subject: latency.subject.as_bytes(),
            reply: BLANK_REPLY,
            headers: b"",
            payload: &body,
        };
        // It is not part of what is being routed now.
        let chain = core::mem::take(&mut self.sharing.chain);
        self.unfollowed(|router| router.enter(export.account, msg.subject, &msg, None, beyond));
        self.sharing.chain = chain;
    }

    fn latency_metric(&mut self, tracking: &Tracking, since: Instant, outcome: Outcome) -> Vec<u8> {
        const TYPE: &str = "io.nats.server.metric.v1.service_latency";
        let now = self.now;
        let known = tracking.asker.and_then(|asker| self.who(asker));
        let requestor = match known {
            Some(known) if tracking.share => known,
            known => ClientInfo {
                account: self.accounts.name(tracking.account).to_string(),
                rtt: known.map_or_else(Nanos::default, |known| known.rtt),
                ..ClientInfo::default()
            },
        };
        let responder = match outcome {
            Outcome::Answered(Some(by)) => self.who(by),
            Outcome::Answered(None)
            | Outcome::NoReply
            | Outcome::NobodyThere
            | Outcome::TooLate
            | Outcome::Unheard => None,
        };
        let rtt = |who: Option<&ClientInfo>| who.map_or(0, |who| who.rtt.0.max(0));
        let (asked_rtt, answered_rtt) = (rtt(Some(&requestor)), rtt(responder.as_ref()));
        let taken = now.mono.since(since);
        let answered = matches!(outcome, Outcome::Answered(_));
        let service = i64::try_from(taken.as_nanos()).unwrap_or(i64::MAX);
        let mut id = [0; ID_LEN];
        self.sharing.rng.fill_base62(&mut id);
        let (status, description) = outcome.status();
        let back = u64::try_from(service.saturating_add(asked_rtt)).unwrap_or(0);
        let start = Wall(now.wall.0.saturating_sub(back));
        let mut to = Writer::default();
        to.begin_object();
        to.field("type", TYPE);
        to.field("id", &*String::from_utf8_lossy(&id));
        to.field("timestamp", &now.wall);
        to.field("status", &status);
        to.field_if_set("description", description);
        to.field("requestor", &requestor);
        if let Some(responder) = &responder {
            to.field("responder", responder);
        }
        if !tracking.headers.is_empty() {
            to.field("header", &tracking.headers);
        }
        to.field("start", &start);
        to.field(
            "service",
            &Nanos(if answered {
                (service - answered_rtt).max(0)
            } else {
                0
            }),
        );
        // Within one input the clock stands still; but the way through the server takes its time.
        let system = i64::from(answered && answered_rtt > 0);
        to.field("system", &Nanos(system));
        to.field(
            "total",
            &Nanos(if answered {
                asked_rtt + service + system
            } else {
                0
            }),
        );
        to.end_object();
        to.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn asked(lines: &str) -> Option<Vec<String>> {
        let latency = Latency {
            sampling: Sampling::Headers,
            subject: String::from("lat"),
        };
        let headers = format!("NATS/1.0\r\n{lines}\r\n");
        let kept = sampled(&latency, headers.as_bytes(), &mut Rng::new(1, 1))?;
        Some(kept.into_keys().collect())
    }

    #[test]
    fn headers_say_whether_a_request_is_measured() {
        let table: &[(&str, Option<&[&str]>)] = &[
            ("", None),
            (
                "Uber-Trace-Id: a:b:c:1\r\nUberctx-X: y\r\n",
                Some(&["Uber-Trace-Id", "Uberctx-X"]),
            ),
            ("Uber-Trace-Id: a:b:c:2\r\n", None),
            ("Uber-Trace-Id: a:b:1\r\n", None),
            ("X-B3-Sampled: 1\r\n", Some(&["X-B3-Sampled"])),
            ("X-B3-Sampled: 0\r\nX-B3-TraceId: a\r\n", None),
            ("x-b3-traceid: a\r\nOther: b\r\n", Some(&["X-B3-Traceid"])),
            ("B3: a-b-1-c\r\n", Some(&["B3"])),
            ("B3: a-b-0\r\n", None),
            ("B3: 0\r\n", None),
            (
                "Traceparent: 00-a-b-01\r\nTracestate: c\r\n",
                Some(&["Traceparent", "Tracestate"]),
            ),
            ("Traceparent: 00-a-b-00\r\n", None),
            ("Traceparent: 00-a-b-xx\r\n", None),
        ];
        for (lines, expected) in table {
            let expected = expected.map(|names| names.iter().map(ToString::to_string).collect());
            assert_eq!(asked(lines), expected, "{lines}");
        }
    }

    #[test]
    fn a_share_of_requests_is_measured() {
        let latency = Latency {
            sampling: Sampling::Percent(30),
            subject: String::from("lat"),
        };
        let rng = &mut Rng::new(1, 1);
        let measured = (0..1000).filter(|_| sampled(&latency, b"", rng).is_some());
        assert!((250..350).contains(&measured.count()));
    }
}
