//! Reads a trace of the server's system calls: each PubAck must come after the return of a sync that
//! was called after the write of its message.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};

use ci::load::client::publish;
use ci::load::server::{Candidate, Server, free_port};

use crate::Args;
use crate::history::{Caller, number};
use crate::outcome::Outcome;

/// Enough for batches of all sizes, few enough for a readable trace.
const MESSAGES: u64 = 3000;
const WINDOW: u64 = 100;

pub(crate) fn run(candidate: &Candidate, args: &Args) -> Result<Outcome> {
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
    let mut server = Server::start_in(candidate, dir.path(), free_port()?, &tracer)
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

fn judge(trace: &str) -> Result<Outcome> {
    let mut stages: BTreeMap<u64, Stage> = BTreeMap::new();
    let (mut acks, mut early, mut syncs) = (0, 0, 0_u64);
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
                early += u64::from(stages.get(&mark) != Some(&Stage::Synced));
            }
        }
    }
    ensure!(acks > 0, "none of {MESSAGES} acks is in the trace");
    Ok(Outcome {
        acked: acks,
        early,
        notes: vec![format!(
            "{syncs} syncs; {early} acks left before the sync that covers them returned"
        )],
        ..Outcome::default()
    })
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

    fn early(lines: &[&str]) -> u64 {
        judge(&lines.join("\n")).unwrap().early
    }

    const ACK: &str =
        r#"2 sendto(7, "MSG _INBOX.f.1 1 28\r\n{\"stream\":\"FAULT\",\"seq\":1}\r\n", 40) = 40"#;

    #[test]
    fn an_ack_before_its_sync_is_found() {
        let lines = [
            r#"1 pwrite64(5, "..<mark 1>..", 30, 0) = 30"#,
            r#"1 fdatasync(5 <unfinished ...>"#,
            ACK,
            r#"1 <... fdatasync resumed>) = 0"#,
        ];
        assert_eq!(early(&lines), 1);
    }

    #[test]
    fn a_sync_called_before_the_write_covers_nothing() {
        let lines = [
            r#"1 fdatasync(5 <unfinished ...>"#,
            r#"3 pwrite64(5, "..<mark 1>..", 30, 0) = 30"#,
            r#"1 <... fdatasync resumed>) = 0"#,
            ACK,
        ];
        assert_eq!(early(&lines), 1);
    }

    #[test]
    fn an_ack_behind_its_sync_is_in_order() {
        let lines = [
            r#"3 pwrite64(5, "..<mark 1>..", 30, 0) = 30"#,
            r#"1 fdatasync(5) = 0"#,
            ACK,
        ];
        assert_eq!(early(&lines), 0);
    }
}
