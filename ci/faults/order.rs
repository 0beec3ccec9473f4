//! Reads a trace of the server's system calls: each PubAck must come after the return of a sync that
//! was called after the write of its message.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};

use ci::load::client::publish;
use ci::load::server::{Server, free_port};

use crate::Args;
use crate::history::{Caller, number};

/// Enough for batches of all sizes, few enough for a readable trace.
const MESSAGES: u64 = 3000;
const WINDOW: u64 = 100;

pub(crate) fn run(args: &Args) -> Result<String> {
    let dir = tempfile::Builder::new()
        .prefix("faultcheck")
        .tempdir_in(&args.dir)?;
    let trace = dir.path().join("trace");
    let trace_name = trace.display().to_string();
    let tracer = [
        "strace",
        "-f",
        "-s",
        "1000000",
        "-e",
        "trace=pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg,fdatasync,fsync",
        "-o",
        &trace_name,
    ];
    let mut server = Server::start_in(&args.candidate, dir.path(), free_port()?, &tracer)
        .context("start under strace")?;
    load(&server.addr)?;
    server.kill()?;
    judge(&fs::read_to_string(&trace)?)
}

fn load(addr: &str) -> Result<()> {
    let mut caller = Caller::connect(addr, "f")?;
    caller.api(
        "STREAM.CREATE.FAULT",
        r#"{"name":"FAULT","subjects":["fault.>"],"storage":"file"}"#,
    )?;
    let (mut sent, mut answered) = (0, 0);
    while answered < MESSAGES {
        let mut out = Vec::new();
        while sent < MESSAGES && sent - answered < WINDOW {
            sent += 1;
            let body = format!("<mark {sent}>");
            out.extend(publish(
                "fault.load",
                &format!("_INBOX.f.{sent}"),
                body.as_bytes(),
            ));
        }
        if !out.is_empty() {
            caller.client.send(&out)?;
        }
        caller.client.receive()?;
        answered += 1;
    }
    Ok(())
}

/// What a mark has gone through so far.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// In the file, perhaps only in memory.
    Written,
    /// A sync was called after the write.
    Syncing,
    /// That sync has returned.
    Synced,
}

fn judge(trace: &str) -> Result<String> {
    let mut stages: BTreeMap<u64, Stage> = BTreeMap::new();
    let (mut acks, mut syncs) = (0, 0);
    for line in trace.lines() {
        let is_sync = line.contains("fdatasync(") || line.contains("fsync(");
        let sync_returns = (line.contains("fdatasync resumed") || line.contains("fsync resumed"))
            || (is_sync && !line.contains("<unfinished"));
        if is_sync {
            syncs += 1;
            advance(&mut stages, Stage::Written, Stage::Syncing);
        }
        if sync_returns {
            ensure!(line.trim_end().ends_with("= 0"), "a sync failed: {line}");
            advance(&mut stages, Stage::Syncing, Stage::Synced);
        }
        if line.contains("<mark ") && line.contains("pwrite") {
            for mark in numbers_after(line, "<mark ") {
                stages.insert(mark, Stage::Written);
            }
        }
        if line.contains("\\\"seq\\\":") && !line.contains("pwrite") {
            for text in line.split("_INBOX.f.").skip(1) {
                let mark = text.split(' ').next().and_then(|n| n.parse::<u64>().ok());
                let Some(mark) = mark.filter(|_| number(&text.replace('\\', ""), "seq").is_some())
                else {
                    continue;
                };
                acks += 1;
                ensure!(
                    stages.get(&mark) == Some(&Stage::Synced),
                    "message {mark} was acknowledged before its sync returned"
                );
            }
        }
    }
    ensure!(
        acks == MESSAGES,
        "{acks} of {MESSAGES} acks found in the trace"
    );
    Ok(format!(
        "order: {acks} PubAcks, each after the return of its sync; {syncs} syncs"
    ))
}

fn advance(stages: &mut BTreeMap<u64, Stage>, from: Stage, to: Stage) {
    for stage in stages.values_mut().filter(|stage| **stage == from) {
        *stage = to;
    }
}

fn numbers_after<'a>(line: &'a str, tag: &'a str) -> impl Iterator<Item = u64> + 'a {
    line.split(tag)
        .skip(1)
        .filter_map(|rest| rest.split('>').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(lines: &[&str]) -> Result<String> {
        let many = lines.join("\n");
        judge(&many)
    }

    #[test]
    fn an_ack_before_its_sync_is_found() {
        let early = judged(&[
            r#"1 pwrite64(5, "..<mark 1>..", 30, 0) = 30"#,
            r#"1 fdatasync(5 <unfinished ...>"#,
            r#"2 sendto(7, "MSG _INBOX.f.1 1 28\r\n{\"stream\":\"FAULT\",\"seq\":1}\r\n", 40) = 40"#,
            r#"1 <... fdatasync resumed>) = 0"#,
        ]);
        assert!(
            early
                .unwrap_err()
                .to_string()
                .contains("message 1 was acknowledged before")
        );
    }

    #[test]
    fn a_sync_called_before_the_write_covers_nothing() {
        let uncovered = judged(&[
            r#"1 fdatasync(5 <unfinished ...>"#,
            r#"3 pwrite64(5, "..<mark 1>..", 30, 0) = 30"#,
            r#"1 <... fdatasync resumed>) = 0"#,
            r#"2 sendto(7, "MSG _INBOX.f.1 1 28\r\n{\"stream\":\"FAULT\",\"seq\":1}\r\n", 40) = 40"#,
        ]);
        assert!(
            uncovered
                .unwrap_err()
                .to_string()
                .contains("message 1 was acknowledged before")
        );
    }
}
