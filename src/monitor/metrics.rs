//! `/metrics`: the counters in Prometheus' text format.

use alloc::string::String;
use core::fmt::{Display, Write as _};

use crate::source::Source;

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
}

fn for_streams(source: &dyn Source, mut each: impl FnMut(&str, &crate::stats::Stream)) {
    for account in source.accounts() {
        for stream in source.streams(&account.name).unwrap_or_default() {
            each(&account.name, &stream);
        }
    }
}
