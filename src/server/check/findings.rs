//! What a check has found, for people and for programs.

use core::fmt::Write as _;
use std::path::PathBuf;

use jetstream::{Row, StreamLosses};
use serde_json::{Value, json};
use storage::{CheckReport, Damage, Finding, Flaw, Unreadable};

/// Most rows of sequences of one stream that are printed for people.
const ROWS_MAX: usize = 20;

/// Everything that is known of a store.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) directory: PathBuf,
    pub(super) report: CheckReport,
    /// What the streams have lost beside messages, in words.
    pub(super) without: Vec<String>,
    pub(super) streams: Vec<StreamLosses>,
    pub(super) is_repaired: bool,
}

impl Findings {
    /// Returns whether nothing is damaged. What a repair has given up before is not.
    pub(super) fn is_clean(&self) -> bool {
        let all_there = self.streams.iter().all(|stream| stream.damaged.is_empty());
        self.report.findings.is_empty() && self.without.is_empty() && all_there
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        // Writing into memory does not fail.
        let _ = self.write_text(&mut out);
        out
    }

    fn write_text(&self, out: &mut String) -> core::fmt::Result {
        let report = &self.report;
        let (dir, files, bytes) = (self.directory.display(), report.files, report.bytes);
        writeln!(out, "{dir}: {files} files, {bytes} bytes read")?;
        for Finding { damage, flaw } in &report.findings {
            let Damage { file, from, to } = damage;
            writeln!(out, "{}: {file} from byte {from} to {to}", name_of(*flaw))?;
        }
        for file in &report.clear {
            writeln!(out, "not encrypted: {file} (older than the key)")?;
        }
        for text in &self.without {
            writeln!(out, "lost: {text}")?;
        }
        for stream in &self.streams {
            let StreamLosses { account, name, .. } = stream;
            if !stream.damaged.is_empty() {
                let count = count(&stream.damaged);
                let (all, rows) = (stream.messages, list(&stream.damaged));
                let what = "messages are damaged";
                writeln!(
                    out,
                    "stream {name} ({account}): {count} of {all} {what}: {rows}"
                )?;
            }
            if !stream.missing.is_empty() {
                let rows = list(&stream.missing);
                writeln!(out, "stream {name} ({account}): lost sequences: {rows}")?;
            }
        }
        out.write_str(match (self.is_clean(), self.is_repaired) {
            (true, _) => "no damage found\n",
            (false, true) => "repaired: what is named above is given up, all else is kept\n",
            (false, false) => "damage found; nothing has been changed (see check --repair)\n",
        })
    }

    pub(super) fn json(&self) -> String {
        let report = &self.report;
        let status = match (self.is_clean(), self.is_repaired) {
            (true, _) => "clean",
            (false, true) => "repaired",
            (false, false) => "damaged",
        };
        let findings = report.findings.iter().map(|Finding { damage, flaw }| {
            let Damage { file, from, to } = damage;
            json!({ "file": file.to_string(), "from": from, "to": to, "flaw": name_of(*flaw) })
        });
        let streams = self.streams.iter().map(|stream| {
            json!({
                "account": stream.account,
                "name": stream.name,
                "messages": stream.messages,
                "first_seq": stream.first.0,
                "last_seq": stream.last.0,
                "damaged": rows(&stream.damaged),
                "lost": rows(&stream.missing),
            })
        });
        let clear = report.clear.iter().map(ToString::to_string);
        let all = json!({
            "directory": self.directory.display().to_string(),
            "status": status,
            "files": report.files,
            "unused_files": report.unused,
            "bytes_read": report.bytes,
            "checkpoint": report.checkpoint,
            "log_entries": report.entries,
            "log_entries_lost": report.lost,
            "log_bytes_cut": report.cut,
            "findings": findings.collect::<Vec<_>>(),
            "not_encrypted": clear.collect::<Vec<_>>(),
            "lost": self.without,
            "streams": streams.collect::<Vec<_>>(),
        });
        format!("{all:#}\n")
    }
}

/// Says what the disk has refused.
pub(super) fn refused(unreadable: &Unreadable) -> String {
    let error = unreadable.error;
    match unreadable.part {
        Some(Damage { file, from, to }) => format!("{file} from byte {from} to {to}: {error}"),
        None => error.to_string(),
    }
}

fn name_of(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::Rotten => "damaged",
        Flaw::Missing => "missing",
    }
}

fn rows(rows: &[Row]) -> Vec<Value> {
    let pair = |&(first, last): &Row| json!([first.0, last.0]);
    rows.iter().map(pair).collect()
}

fn count(rows: &[Row]) -> u64 {
    rows.iter().map(|(first, last)| last.0 - first.0 + 1).sum()
}

fn list(rows: &[Row]) -> String {
    let some = rows.iter().take(ROWS_MAX);
    let some: Vec<String> = some
        .map(|(first, last)| match first == last {
            true => first.0.to_string(),
            false => format!("{}-{}", first.0, last.0),
        })
        .collect();
    let more = if rows.len() > ROWS_MAX { ", ..." } else { "" };
    format!("{}{more}", some.join(", "))
}
