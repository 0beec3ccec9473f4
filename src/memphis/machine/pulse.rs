//! What happens at every beat: the traffic is measured, and pages that somebody watches are pushed.
//!
//! The web interface asks for a page on `$memphis_ws_subs.<topic>`, is told which broker serves it, and
//! listens on `$memphis_ws_pubs.<topic>.<broker>`; nobody says when it leaves.
//!
//! *Invariant:* nothing here is in the log. Pages are made for somebody who may manage, and only while
//! somebody listens; how many are watched is bounded.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;

use protocol::id::AccountId;
use protocol::time::Instant;
use serde_json::{Value, json};

use super::{Host, Memphis, Request, WEB_USER, answer};
use crate::book::ROOT;
use crate::manage::{Call, Plan, plan};
use crate::throughput::Throughput;

/// What requests for pages start with.
const ASKED: &str = "$memphis_ws_subs.";
/// What the subjects of pages start with.
const PUSHED: &str = "$memphis_ws_pubs.";
/// The one broker there is, as Memphis calls its first one.
pub(crate) const BROKER: &str = "memphis-0";
/// How often the traffic is measured.
const BEAT: Duration = Duration::from_secs(5);
/// How often a page is pushed, and how long it is remembered while nobody listens.
const PAGE: Duration = Duration::from_secs(20);
/// Most pages that are watched, over all accounts.
const PAGES_MAX: usize = 1000;

/// What is measured and watched.
#[derive(Debug)]
pub(super) struct Pulse {
    next: Instant,
    throughput: BTreeMap<AccountId, Throughput>,
    watched: BTreeMap<(AccountId, String), Watch>,
}

/// A page that is watched.
#[derive(Clone, Copy, Debug)]
struct Watch {
    /// When it is pushed next.
    due: Instant,
    /// When somebody listened last, or asked for it.
    heard: Instant,
}

/// What is on a page.
#[derive(Debug, PartialEq)]
enum Page {
    /// What a route of the management interface answers.
    Route(&'static str, Value),
    /// Always the same.
    Same(Value),
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            next: Instant::NEVER,
            throughput: BTreeMap::new(),
            watched: BTreeMap::new(),
        }
    }
}

impl Pulse {
    /// Returns when the next beat is.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.next = now + BEAT;
    }

    pub(super) fn throughput(&self, account: AccountId) -> Option<&Throughput> {
        self.throughput.get(&account)
    }
}

impl Memphis {
    /// Handles a request for a page; false if it is none.
    pub(super) fn watch(
        &mut self,
        account: AccountId,
        request: &Request<'_>,
        host: &mut impl Host,
    ) -> bool {
        let subject = core::str::from_utf8(request.subject).unwrap_or_default();
        let Some(topic) = subject.strip_prefix(ASKED) else {
            return false;
        };
        let key = (account, topic.to_string());
        let watched = &mut self.pulse.watched;
        let is_new = !watched.contains_key(&key);
        let refusal = if ![ROOT, WEB_USER].contains(&request.asker.user) {
            Some("you may not watch this")
        } else if page(topic).is_none() {
            Some("there is no such topic")
        } else if is_new && watched.len() >= PAGES_MAX {
            Some("the broker is busy, try again later")
        } else {
            None
        };
        let told = if let Some(text) = refusal {
            json!({"error": text})
        } else {
            let now = host.now().mono;
            let (due, heard) = (now, now);
            watched.insert(key, Watch { due, heard });
            json!({"name": BROKER})
        };
        answer(account, request.reply, told.to_string().as_bytes(), host);
        true
    }

    /// Does what is due at a beat.
    pub(super) fn beat(&mut self, host: &mut impl Host) {
        let now = host.now();
        self.pulse.next = now.mono + BEAT;
        for account in host.tenants() {
            let totals = host.traffic(account);
            let throughput = self.pulse.throughput.entry(account).or_default();
            throughput.add(totals, BEAT, now.wall);
        }
        self.tell_alerts(host);
        let mut due: Vec<(AccountId, String)> = Vec::new();
        self.pulse.watched.retain(|(account, topic), watch| {
            if host.has_interest(*account, &pushed(topic)) {
                watch.heard = now.mono;
                if watch.due <= now.mono {
                    watch.due = now.mono + PAGE;
                    due.push((*account, topic.clone()));
                }
            }
            now.mono.since(watch.heard) < PAGE
        });
        for (account, topic) in due {
            self.push(account, &topic, host);
        }
    }

    fn push(&self, account: AccountId, topic: &str, host: &mut impl Host) {
        let shown = match page(topic) {
            Some(Page::Same(value)) => value,
            Some(Page::Route(route, body)) => {
                let tenant = host.account_name(account);
                let body = body.to_string();
                let call = Call {
                    route,
                    user: ROOT,
                    body: body.as_bytes(),
                };
                // A station that is gone has no page.
                match plan(&call, &self.cx(account, &tenant, host)) {
                    Ok(Plan::Now(value)) => value,
                    Ok(Plan::Work { .. } | Plan::Resend { .. }) | Err(_) => return,
                }
            }
            None => return,
        };
        let (to, body) = (pushed(topic), shown.to_string());
        answer(account, to.as_bytes(), body.as_bytes(), host);
    }
}

fn pushed(topic: &str) -> String {
    format!("{PUSHED}{topic}.{BROKER}")
}

/// Returns what a topic shows.
fn page(topic: &str) -> Option<Page> {
    let (name, rest) = topic.split_once('.').unwrap_or((topic, ""));
    Some(match name {
        "main_overview_data" => Page::Route("monitoring/getMainOverviewData", json!({})),
        "station_overview_data" => {
            let (station, partition) = rest.rsplit_once('.')?;
            let partition: i64 = partition.parse().ok()?;
            let station = station.replace('#', ".");
            let asked = json!({"station_name": station, "partition_number": partition});
            Page::Route("monitoring/getStationOverviewData", asked)
        }
        "poison_message_journey_data" => {
            let id: u64 = rest.parse().ok()?;
            let asked = json!({"message_id": id});
            Page::Route("stations/getPoisonMessageJourney", asked)
        }
        "syslogs_data" => {
            let (kind, source) = rest.split_once('.').unwrap_or((rest, ""));
            let asked = json!({"log_type": kind, "log_source": source, "start_index": -1});
            Page::Route("monitoring/getSystemLogs", asked)
        }
        "get_all_stations_data" => Page::Route("stations/getStations", json!({})),
        "get_all_schema_data" => Page::Route("schemas/getAllSchemas", json!({})),
        "get_system_messages" => Page::Same(json!([])),
        "get_async_tasks" => Page::Same(json!({"async_tasks": []})),
        "get_all_functions" => Page::Same(json!({
            "scm_integrated": false, "other": [], "installed": [], "connected_repos": [],
        })),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_name_pages() {
        let asked = json!({"station_name": "a.b", "partition_number": -1});
        let overview = Page::Route("monitoring/getStationOverviewData", asked);
        assert_eq!(page("station_overview_data.a#b.-1"), Some(overview));
        assert!(page("get_all_stations_data").is_some());
        for topic in [
            "nope",
            "station_overview_data.x",
            "poison_message_journey_data.x",
        ] {
            assert_eq!(page(topic), None, "{topic}");
        }
    }
}
