//! `IPQUEUESZ`: what waits between the parts of a server.
//!
//! One thread takes in whatever comes, so nothing ever waits here. Tools look for nats-server's queues by
//! name, and so those that it always has are shown, empty; those of single streams and consumers are not.

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::query::{Problem, Query};
use crate::source::Source;

/// The queue of what is asked of the server.
const ASKED: &str = "System recvQ";
/// The other queues that nats-server always has.
const ALWAYS: [&str; 4] = [
    "SendQ",
    "System recvQ Pings",
    "System sendQ",
    "delayed API responses",
];
/// Those that it has with JetStream.
const OF_JETSTREAM: [&str; 2] = ["JetStream API info queue", "JetStream API queue"];

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct QueueszOptions {
    /// Queues in which nothing waits, too.
    all: bool,
    /// A part of the names.
    filter: String,
}

impl QueueszOptions {
    /// Reads the parameters of a request over HTTP.
    pub(crate) fn from_query(query: &Query) -> Result<Self, Problem> {
        Ok(Self {
            all: query.boolean("all")?,
            filter: query.text("queues").into(),
        })
    }
}

/// What is in a queue.
#[derive(Debug, Serialize)]
pub(crate) struct Queue {
    pending: u64,
    #[serde(skip_serializing_if = "crate::json::is_default")]
    in_progress: u64,
}

/// Returns the queues by name; `asked` of them are being worked on because of the request itself.
pub(crate) fn queuesz(
    source: &dyn Source,
    options: &QueueszOptions,
    asked: u64,
) -> BTreeMap<&'static str, Queue> {
    let mut names = BTreeMap::from([(ASKED, asked)]);
    names.extend(ALWAYS.map(|name| (name, 0)));
    if source.jetstream().is_some() {
        names.extend(OF_JETSTREAM.map(|name| (name, 0)));
    }
    let shown = names
        .into_iter()
        .filter(|(name, n)| (options.all || *n > 0) && name.contains(&options.filter));
    let queue = |(name, in_progress)| {
        let pending = 0;
        (
            name,
            Queue {
                pending,
                in_progress,
            },
        )
    };
    shown.map(queue).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::testing::Fixture;

    fn shown(all: bool, filter: &str, asked: u64) -> String {
        let options = QueueszOptions {
            all,
            filter: filter.into(),
        };
        let queues = queuesz(&Fixture::default(), &options, asked);
        String::from_utf8(json::compact(&queues)).unwrap()
    }

    #[test]
    fn only_the_request_itself_is_being_worked_on() {
        assert_eq!(
            shown(false, "", 1),
            "{\"System recvQ\":{\"pending\":0,\"in_progress\":1}}"
        );
        assert_eq!(shown(false, "", 0), "{}");
    }

    #[test]
    fn queues_are_chosen_by_a_part_of_their_name() {
        assert_eq!(shown(true, "Send", 0), "{\"SendQ\":{\"pending\":0}}");
        assert_eq!(shown(true, "", 0).matches("pending").count(), 7);
    }
}
