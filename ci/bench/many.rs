//! Much of something: many streams, many messages, with a bounded number of requests under way.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use ci::load::client::{Client, append_publish};
use ci::load::server::Server;

use crate::rows::check;

/// Most requests or publishes that wait for an answer.
const WINDOW: u64 = 1000;

/// Waits until the server has been idle for a moment.
pub(crate) fn settle(server: &Server) -> Result<()> {
    let mut before = server.usage()?.cpu_s;
    for _ in 0..50 {
        sleep(Duration::from_millis(200));
        let after = server.usage()?.cpu_s;
        if after - before < 0.02 {
            break;
        }
        before = after;
    }
    Ok(())
}

/// Makes that many streams with a subject each.
pub(crate) fn streams(client: &mut Client, count: u64) -> Result<()> {
    requests(client, count, |i| {
        let config = format!("{{\"name\":\"T{i}\",\"subjects\":[\"t.{i}\"]}}");
        (format!("STREAM.CREATE.T{i}"), config)
    })
    .map(drop)
}

/// Stores that many messages.
pub(crate) fn fill(client: &mut Client, count: u64, subject: impl Fn(u64) -> String) -> Result<()> {
    publishes(client, count, 64, subject).map(drop)
}

/// Publishes that many messages of `len` bytes, with a bounded number under way.
pub(crate) fn publishes(
    client: &mut Client,
    count: u64,
    len: usize,
    subject: impl Fn(u64) -> String,
) -> Result<u64> {
    let body = vec![b'x'; len];
    pipeline(client, count, |i, out| {
        append_publish(out, &subject(i), "_INBOX.f.p", &body);
    })
}

/// Connects a client that hears the answers to its requests.
pub(crate) fn client(server: &Server) -> Result<Client> {
    let mut client = Client::connect(&server.addr)?;
    client.send(b"SUB _INBOX.f.* 1\r\n")?;
    client.barrier()?;
    Ok(client)
}

/// Sends that many requests to the API, with a bounded number under way.
pub(crate) fn requests(
    client: &mut Client,
    count: u64,
    request: impl Fn(u64) -> (String, String),
) -> Result<u64> {
    pipeline(client, count, |i, out| {
        let (subject, body) = request(i);
        append_publish(
            out,
            &format!("$JS.API.{subject}"),
            "_INBOX.f.a",
            body.as_bytes(),
        );
    })
}

fn pipeline(client: &mut Client, count: u64, put: impl Fn(u64, &mut Vec<u8>)) -> Result<u64> {
    let (mut sent, mut answered) = (0, 0);
    let mut out = Vec::new();
    while answered < count {
        out.clear();
        while sent < count && sent - answered < WINDOW {
            put(sent, &mut out);
            sent += 1;
        }
        client.send(&out)?;
        // Half of the window stays under way, so that the server is never without work.
        let until = if sent == count {
            count
        } else {
            answered + WINDOW / 2
        };
        while answered < until {
            check(client.receive()?.body)?;
            answered += 1;
        }
    }
    Ok(count)
}
