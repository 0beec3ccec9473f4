//! Tells Slack what has happened.
//!
//! *Invariant:* what is told is text, which Slack is not to read as its own markup; the first message that does not
//! arrive ends the rest, so that a service that is away costs one wait.

use broker::Notice;
use serde_json::{Value, json};

use crate::web_client;

/// Tells notices in order.
///
/// # Errors
/// Why one was not taken.
pub(crate) fn tell(url: &str, notices: &[Notice]) -> Result<(), String> {
    notices.iter().try_for_each(|notice| {
        let said = json!({
            "channel": notice.channel,
            "text": notice.text,
            "mrkdwn": false,
            "parse": "none",
        });
        let answer = web_client::post(url, &notice.token, &said.to_string())?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        match (answer.get("ok"), answer.get("error")) {
            (Some(Value::Bool(true)), _) => Ok(()),
            (_, Some(Value::String(why))) => Err(why.clone()),
            (_, _) => Err("the answer is not Slack's".to_owned()),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn slack_is_told_until_it_refuses() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let url = format!("http://{}/api", listener.local_addr().expect("bound"));
        let other_side = std::thread::spawn(move || {
            let answers = [r#"{"ok":true}"#, r#"{"ok":false,"error":"invalid_auth"}"#];
            answers.map(|answer| {
                let (mut stream, _) = listener.accept().expect("a client");
                let mut asked = Vec::new();
                while !asked.ends_with(b"}") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).expect("a request");
                    asked.extend(byte);
                }
                let head = "HTTP/1.0 200 OK\r\n\r\n";
                let answer = format!("{head}{answer}");
                stream.write_all(answer.as_bytes()).expect("written");
                String::from_utf8(asked).expect("text")
            })
        });
        let notice = |text: &str| Notice {
            token: "xoxb".to_owned(),
            channel: "C1".to_owned(),
            text: text.to_owned(),
        };
        let told = tell(&url, &[notice("one"), notice("two"), notice("three")]);
        assert_eq!(told, Err("invalid_auth".to_owned()));
        let [first, second] = other_side.join().expect("no panic");
        assert!(first.starts_with("POST /api HTTP/1.0\r\n"), "{first}");
        assert!(first.contains("Authorization: Bearer xoxb\r\n"), "{first}");
        assert!(first.contains(r#""text":"one""#), "{first}");
        assert!(second.contains(r#""text":"two""#), "{second}");
    }
}
