//! Replaces what differs from run to run: ids, times, ports, generated names.
//!
//! *Invariant:* only values are replaced, never keys, order or spacing, so that the transcripts
//! still show the exact form of an answer.

/// JSON members whose value is a moment, an id or a measurement, and what is shown instead.
const MEMBERS: &[(&str, &str)] = &[
    ("server_id", "<id>"),
    ("xkey", "<xkey>"),
    ("nonce", "<nonce>"),
    ("client_id", "<n>"),
    ("port", "<port>"),
    ("id", "<id>"),
    ("created", "<time>"),
    ("ts", "<time>"),
    ("first_ts", "<time>"),
    ("last_ts", "<time>"),
    ("last_active", "<time>"),
    ("time", "<time>"),
    ("now", "<time>"),
    ("timestamp", "<time>"),
    ("start", "<time>"),
    ("stop", "<time>"),
    ("end", "<time>"),
    ("pinned_ts", "<time>"),
    ("pause_remaining", "<ns>"),
    ("expires", "<ns>"),
    ("rtt", "<ns>"),
    ("ack_time", "<ns>"),
    ("active", "<ns>"),
    ("pinned_client_id", "<pin>"),
];

/// Header lines of the same kind.
const HEADERS: &[(&str, &str)] = &[
    ("Nats-Time-Stamp: ", "<time>"),
    ("Nats-Pin-Id: ", "<pin>"),
    ("Nats-Stream-Identity: ", "<id>"),
    // A year follows; `purge` stays as it is.
    ("Nats-Schedule-Next: 2", "<time>"),
];

/// The text before the identity of a stream that is not the one that was meant.
const FOREIGN_STREAM: &str = "stream identity does not match: ";

/// The time that means "never", which stays as it is.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// The names that a case has given to generated texts.
#[derive(Debug, Default)]
pub struct Normaliser {
    names: Vec<(String, String)>,
}

impl Normaliser {
    /// From now on `value` is shown as `<name>`.
    pub fn name(&mut self, name: &str, value: &str) {
        self.names.push((value.to_owned(), format!("<{name}>")));
    }

    /// The value behind a name, for sending.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let shown = format!("<{name}>");
        self.names
            .iter()
            .rev()
            .find(|(_, n)| *n == shown)
            .map(|(v, _)| v.as_str())
    }

    /// Normalises one line of a transcript.
    #[must_use]
    pub fn line(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (value, shown) in &self.names {
            text = text.replace(value, shown);
        }
        for &(key, shown) in MEMBERS {
            text = member(&text, &format!("\"{key}\":"), "\"", shown);
            text = member(&text, &format!("\\\"{key}\\\":"), "\\\"", shown);
        }
        text = server_seq(&text);
        if text.contains("{\"type\":\"in\",") {
            // Elsewhere the same number is what a client asks by.
            text = member(&text, "\"cid\":", "\"", "<n>");
        }
        if text.contains("service_latency") {
            text = latencies(&text);
        }
        for &(header, shown) in HEADERS {
            if text.starts_with(header) {
                text = format!("{header}{shown}");
            }
        }
        if text.starts_with("Nats-Stream-Source: ")
            && let Some((kept, _)) = text.rsplit_once(' ')
        {
            text = format!("{kept} <identity>");
        }
        if let Some((before, after)) = text.split_once(FOREIGN_STREAM)
            && let Some((_, rest)) = after.split_once('"')
        {
            text = format!("{before}{FOREIGN_STREAM}<identity>\"{rest}");
        }
        subjects(&text)
    }
}

/// The value at `"key":` of a JSON text, without quotes.
#[must_use]
pub fn text_at<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = json.split_once(&format!("\"{key}\":\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

fn member(text: &str, key: &str, quote: &str, shown: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(key) {
        out.push_str(before);
        out.push_str(key);
        let (value, tail) = split_value(after, quote);
        let plain = value.trim_matches(|c| c == '"' || c == '\\');
        let keep = plain == ZERO_TIME || plain == "0" || value.starts_with(['{', '[']);
        out.push_str(&if keep {
            value.to_owned()
        } else if value.starts_with(quote) {
            format!("{quote}{shown}{quote}")
        } else {
            shown.to_owned()
        });
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// How much a server has said in the system account differs from server to server.
fn server_seq(text: &str) -> String {
    const BEFORE: [&str; 2] = ["\"flags\":0,\"seq\":", "\"flags\":7,\"seq\":"];
    let mut text = text.to_owned();
    for before in BEFORE {
        text = member(&text, before, "\"", "<n>");
    }
    text
}

/// What was measured is sometimes below what can be measured, and then zero.
fn latencies(text: &str) -> String {
    let mut text = text.to_owned();
    for key in ["\"service\":", "\"system\":", "\"total\":"] {
        if let Some((before, after)) = text.split_once(key) {
            let (_, tail) = split_value(after, "\"");
            text = format!("{before}{key}<ns>{tail}");
        }
    }
    text
}

fn split_value<'a>(after: &'a str, quote: &str) -> (&'a str, &'a str) {
    let end = match after.strip_prefix(quote) {
        Some(inner) => inner.find(quote).map(|at| at + 2 * quote.len()),
        None => after.find([',', '}', ']']),
    };
    after
        .split_at_checked(end.unwrap_or(after.len()))
        .unwrap_or((after, ""))
}

/// Ack subjects carry the time of storing, flow control subjects a random token, replies to
/// imported services two of them, and events the server's id.
fn subjects(text: &str) -> String {
    let words: Vec<String> = text
        .split(' ')
        .map(|word| {
            let mut tokens: Vec<&str> = word.split('.').collect();
            for token in &mut tokens {
                if is_server_id(token) {
                    *token = "<id>";
                }
            }
            if let (Some(&"$JS"), Some(&"SNAPSHOT")) = (tokens.first(), tokens.get(1))
                && let Some(token) = tokens.get_mut(4)
            {
                *token = "<token>";
            }
            let moment = match (tokens.first(), tokens.get(1), tokens.len()) {
                (Some(&"$JS"), Some(&"ACK"), 9) => tokens.get_mut(7),
                (Some(&"$JS"), Some(&"FC"), _) => tokens.last_mut(),
                _ => None,
            };
            if let Some(token) = moment {
                *token = "<ns>";
            }
            if tokens.first() == Some(&"_R_") && tokens.len() == 3 {
                return String::from("_R_.<account>.<request>");
            }
            if tokens.first() == Some(&"_R_") && tokens.last() == Some(&"T") {
                return String::from("_R_.<account>.<request>.<server>.T");
            }
            tokens.join(".")
        })
        .collect();
    words.join(" ")
}

/// A public key in base 32, as servers are named by.
fn is_server_id(token: &str) -> bool {
    let base32 = |b: u8| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b);
    token.len() == 56 && token.starts_with('N') && token.bytes().all(base32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_ids_are_replaced_and_the_zero_time_stays() {
        let text =
            r#"{"created":"2026-01-02T03:04:05.1Z","last_ts":"0001-01-01T00:00:00Z","port":4222}"#;
        assert_eq!(
            Normaliser::default().line(text),
            r#"{"created":"<time>","last_ts":"0001-01-01T00:00:00Z","port":<port>}"#
        );
    }

    #[test]
    fn json_inside_a_json_text_is_seen_too() {
        let text = r#"{"response":"{\"ts\":\"2026-01-02T03:04:05Z\",\"a\":1}"}"#;
        assert_eq!(
            Normaliser::default().line(text),
            r#"{"response":"{\"ts\":\"<time>\",\"a\":1}"}"#
        );
    }

    #[test]
    fn the_time_in_an_ack_subject_is_replaced() {
        let line = "MSG a 1 $JS.ACK.S.C.1.2.3.1700000000000000000.0 5";
        assert_eq!(
            Normaliser::default().line(line),
            "MSG a 1 $JS.ACK.S.C.1.2.3.<ns>.0 5"
        );
    }
}
