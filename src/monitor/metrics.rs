//! `/metrics`: the counters in Prometheus' text format.

use alloc::string::String;
use core::fmt::{Display, Write as _};

use crate::source::Source;
use crate::stats::{Histogram, Store};

/// Collects lines.
#[derive(Default)]
struct Text(String);

impl Text {
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric(name, "gauge", help, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric(name, "counter", help, value);
    }

    fn metric(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "beale_{name} {value}");
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        for (bound, count) in histogram.cumulative() {
            let _ = writeln!(self.0, "beale_{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let (count, sum) = (histogram.count(), histogram.sum().as_secs_f64());
        let _ = writeln!(
            self.0,
            "beale_{name}_bucket{{le=\"+Inf\"}} {count}\nbeale_{name}_sum {sum}\nbeale_{name}_count {count}"
        );
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(
            self.0,
            "# HELP beale_{name} {help}\n# TYPE beale_{name} {kind}"
        );
    }

    fn labelled(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "beale_{name}{{");
        for (i, (label, text)) in labels.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            let text = text.replace('\n', "\\n");
            let _ = write!(self.0, "{comma}{label}=\"{text}\"");
        }
        let _ = writeln!(self.0, "}} {value}");
    }
}

pub(crate) fn metrics(source: &dyn Source) -> String {
    let mut text = Text::default();
    server(&mut text, source);
    if source.jetstream().is_some() {
        jetstream(&mut text, source);
    }
    if let Some(known) = source.store() {
        store(&mut text, source, &known);
    }
    text.0
}

fn server(text: &mut Text, source: &dyn Source) {
    let (server, process) = (source.server(), source.process());
    let uptime = source.now().wall.since(server.start);
    let healthy = source.health().unavailable.is_none();
    text.gauge("up", "Whether the broker serves.", u8::from(healthy));
    text.gauge("uptime_seconds", "Time since the start.", uptime.as_secs());
    text.gauge("memory_bytes", "Resident memory.", process.memory_bytes);
    text.gauge("cpu_percent", "Use of one core.", process.cpu_percent);
    text.gauge("connections", "Open connections.", server.connections);
    text.counter(
        "connections_total",
        "Connections so far.",
        server.connections_total,
    );
    text.gauge(
        "subscriptions",
        "Subscriptions.",
        server.sublist.subscriptions,
    );
    text.counter(
        "received_messages_total",
        "Published by clients.",
        server.received.msgs,
    );
    text.counter(
        "received_bytes_total",
        "Published by clients.",
        server.received.bytes,
    );
    text.counter(
        "sent_messages_total",
        "Delivered to clients.",
        server.sent.msgs,
    );
    text.counter(
        "sent_bytes_total",
        "Delivered to clients.",
        server.sent.bytes,
    );
    text.counter(
        "slow_consumers_total",
        "Clients that read too slowly.",
        server.slow_consumers,
    );
    text.counter(
        "stale_connections_total",
        "Clients that fell silent.",
        server.stale_connections,
    );
    let pending: u64 = source.connections().iter().map(|c| c.pending_bytes).sum();
    text.gauge(
        "clients_pending_bytes",
        "Waiting for clients to read.",
        pending,
    );
    text.counter(
        "stalls_total",
        "Times that publishers were slowed down.",
        server.stalls,
    );
}

fn jetstream(text: &mut Text, source: &dyn Source) {
    let js = source.jetstream().unwrap_or_default();
    text.gauge(
        "jetstream_memory_bytes",
        "Held by memory streams.",
        js.usage.memory,
    );
    text.gauge(
        "jetstream_storage_bytes",
        "Held by file streams.",
        js.usage.storage,
    );
    text.gauge("jetstream_streams", "Streams.", js.streams);
    text.gauge("jetstream_consumers", "Consumers.", js.consumers);
    text.counter(
        "jetstream_api_requests_total",
        "API requests.",
        js.usage.api_total,
    );
    text.counter(
        "jetstream_api_errors_total",
        "API requests that failed.",
        js.usage.api_errors,
    );
    let lost: u64 = source.health().damaged.iter().map(|d| d.lost).sum();
    text.gauge("jetstream_lost_messages", "Lost to damage.", lost);
    text.head("stream_messages", "gauge", "Messages in a stream.");
    for_streams(source, |account, stream| {
        let labels = [("account", account), ("stream", &stream.info.config.name)];
        text.labelled("stream_messages", &labels, stream.info.state.messages);
    });
    text.head("stream_bytes", "gauge", "Bytes in a stream.");
    for_streams(source, |account, stream| {
        let labels = [("account", account), ("stream", &stream.info.config.name)];
        text.labelled("stream_bytes", &labels, stream.info.state.bytes);
    });
    text.head("consumer_pending", "gauge", "Messages yet to be delivered.");
    for_streams(source, |account, stream| {
        for consumer in &stream.consumers {
            let labels = [
                ("account", account),
                ("stream", consumer.stream_name.as_str()),
                ("consumer", consumer.name.as_str()),
            ];
            text.labelled("consumer_pending", &labels, consumer.num_pending);
        }
    });
    text.head(
        "consumer_ack_pending",
        "gauge",
        "Messages yet to be acknowledged.",
    );
    for_streams(source, |account, stream| {
        for consumer in &stream.consumers {
            let labels = [
                ("account", account),
                ("stream", consumer.stream_name.as_str()),
                ("consumer", consumer.name.as_str()),
            ];
            text.labelled("consumer_ack_pending", &labels, consumer.num_ack_pending);
        }
    });
}

/// What an operator of something that promises durability watches: the disk, and what has been found on it.
fn store(text: &mut Text, source: &dyn Source, store: &Store) {
    let disk = source.process().disk;
    text.histogram(
        "disk_sync_seconds",
        "From handing a sync to the disk until its answer: what an acknowledgement waits for.",
        &disk.syncs,
    );
    text.histogram("disk_write_seconds", "The same for writes.", &disk.writes);
    text.histogram("disk_read_seconds", "The same for reads.", &disk.reads);
    text.gauge(
        "disk_operations_waiting",
        "Operations without an answer yet.",
        disk.waiting,
    );
    text.counter("log_entries_total", "Entries made durable.", store.entries);
    text.counter("log_syncs_total", "Syncs of the log.", store.syncs);
    text.gauge(
        "log_unsynced_bytes",
        "Entries that are not durable yet.",
        store.unsynced_bytes,
    );
    text.gauge("segments", "Files besides the log.", store.segments);
    text.gauge("segment_bytes", "Their bytes.", store.segment_bytes);
    text.gauge("cache_bytes", "Messages in memory.", store.cache_bytes);
    text.counter(
        "scrub_bytes_total",
        "Read again to find rot.",
        store.scrubbed_bytes,
    );
    text.counter("scrub_laps_total", "Laps of that.", store.scrub_laps);
    text.gauge(
        "scrub_waiting",
        "Files and sections still to be read in this lap.",
        store.scrub_waiting,
    );
    text.counter(
        "damaged_reads_total",
        "Reads that found a damaged record.",
        store.damaged_reads,
    );
    let health = source.health();
    text.gauge(
        "damaged_streams",
        "Streams that have lost messages.",
        health.damaged.len(),
    );
    text.gauge(
        "store_damaged_at_start",
        "Whether the last start found damage.",
        u8::from(health.found.is_some()),
    );
    text.gauge(
        "store_refusing",
        "Whether nothing more can be stored for now.",
        u8::from(health.refuses.is_some()),
    );
    text.gauge(
        "store_poisoned",
        "Whether nothing can be stored until a restart.",
        u8::from(store.is_poisoned),
    );
}

fn for_streams(source: &dyn Source, mut each: impl FnMut(&str, &crate::stats::Stream)) {
    for account in source.accounts() {
        for stream in source.streams(&account.name).unwrap_or_default() {
            each(&account.name, &stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::time::Duration;

    use super::*;
    use crate::testing::Fixture;

    #[test]
    fn a_histogram_counts_what_took_at_most_as_long_as_each_bound() {
        let mut histogram = Histogram::default();
        for micros in [50, 51, 900, 6_000_000] {
            histogram.note(Duration::from_micros(micros));
        }
        let mut text = Text::default();
        text.histogram("x_seconds", "Help.", &histogram);
        for line in [
            "# TYPE beale_x_seconds histogram",
            "beale_x_seconds_bucket{le=\"0.00005\"} 1",
            "beale_x_seconds_bucket{le=\"0.0001\"} 2",
            "beale_x_seconds_bucket{le=\"0.001\"} 3",
            "beale_x_seconds_bucket{le=\"5\"} 3",
            "beale_x_seconds_bucket{le=\"+Inf\"} 4",
            "beale_x_seconds_sum 6.001001",
            "beale_x_seconds_count 4",
        ] {
            assert!(
                text.0.lines().any(|own| own == line),
                "{line} is not in {}",
                text.0
            );
        }
    }

    #[test]
    fn each_metric_is_described_before_it_is_told_and_once() {
        let text = metrics(&Fixture::default());
        let mut described = alloc::collections::BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let name = rest.split(' ').next().unwrap_or_default();
                assert!(described.insert(name), "{name} twice");
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap_or_default();
                let base = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|end| name.strip_suffix(end));
                let known = described.contains(name) || base.is_some_and(|b| described.contains(b));
                assert!(known, "{line}");
            }
        }
        assert!(described.contains("beale_disk_sync_seconds"));
        assert!(text.contains("beale_log_syncs_total 3\n"), "{text}");
    }

    /// A document names a family of metrics by its beginning and an ellipsis.
    #[test]
    fn the_operators_guide_names_every_metric_and_no_other() {
        let text = metrics(&Fixture::default());
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let metrics: Vec<&str> = types.filter_map(|rest| rest.split(' ').next()).collect();
        let guide = include_str!("../../docs/operations.md");
        let is_part = |c: char| c.is_ascii_lowercase() || c == '_' || c == '…';
        let words = guide.split(|c: char| !is_part(c));
        let named: Vec<&str> = words.filter(|word| word.starts_with("beale_")).collect();
        let fits = |name: &str, metric: &str| match name.strip_suffix('…') {
            Some(beginning) => metric.starts_with(beginning),
            None => metric == name.strip_suffix("_bucket").unwrap_or(name),
        };
        for name in &named {
            assert!(metrics.iter().any(|metric| fits(name, metric)), "{name}");
        }
        for metric in &metrics {
            // `beale_connections`, `…_total`.
            let short = metric.strip_suffix("_total").unwrap_or(metric);
            let is_named = |name: &&str| fits(name, metric) || fits(name, short);
            assert!(named.iter().any(is_named), "{metric}");
        }
    }
}
