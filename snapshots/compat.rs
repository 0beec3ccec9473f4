//! `COMPATIBILITY.md`: which features of NATS have a recorded conversation, and whether we hold it.
//!
//! Written from `rows.txt` (row, since which NATS version, our words), the cases and `pending.txt`.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::case::Case;
use crate::{case, lists, memphis};

/// One line of `rows.txt`.
struct Row {
    id: String,
    since: String,
    feature: String,
}

/// Where the document lies.
#[must_use]
pub fn path() -> PathBuf {
    crate::root().join("../COMPATIBILITY.md")
}

/// Builds the document.
///
/// # Errors
/// When a file is missing, a case names an unknown row, or a row has no case.
pub fn document() -> io::Result<String> {
    let (cases, rows, pending) = (case::all()?, rows()?, lists::pending()?);
    let mut covered: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in &cases {
        for row in &case.rows {
            covered.entry(row).or_default().push(case);
        }
    }
    check(&rows, &covered)?;
    let failing = |case: &&&Case| pending.contains_key(&case.id);
    let held = cases
        .iter()
        .filter(|case| !pending.contains_key(&case.id))
        .count();
    let mut out = format!(
        "# Compatibility with NATS\n\n\
         Written by `cargo run -p snapshots --bin compat`; do not edit. Each row is a feature of nats-server, each case a\n\
         conversation recorded from nats-server 2.15.1 (`snapshots/recorded`) that the tests hold with Beale.\n\
         What differs on purpose stands in `snapshots/differences.txt`, what does not pass yet in `snapshots/pending.txt`.\n\n\
         {held} of {} conversations are the same; {} rows.\n\n\
         | row | feature | since | status | cases |\n|---|---|---|---|---|\n",
        cases.len(),
        rows.len(),
    );
    for row in &rows {
        let of_row = covered
            .get(row.id.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let status = match of_row.iter().filter(failing).count() {
            0 => "same",
            n if n == of_row.len() => "not yet",
            _ => "partly",
        };
        let names: Vec<&str> = of_row.iter().map(|case| case.id.as_str()).collect();
        let Row { id, since, feature } = row;
        let _ok = writeln!(
            out,
            "| {id} | {feature} | {since} | {status} | {} |",
            names.join(", ")
        );
    }
    memphis::append(&mut out)?;
    Ok(out)
}

fn check(rows: &[Row], covered: &BTreeMap<&str, Vec<&Case>>) -> io::Result<()> {
    for row in covered.keys() {
        if !rows.iter().any(|r| r.id == **row) {
            return Err(io::Error::other(format!("rows.txt has no row {row}")));
        }
    }
    match rows
        .iter()
        .find(|row| !covered.contains_key(row.id.as_str()))
    {
        Some(row) => Err(io::Error::other(format!("row {} has no case", row.id))),
        None => Ok(()),
    }
}

fn rows() -> io::Result<Vec<Row>> {
    let text = fs::read_to_string(crate::root().join("rows.txt"))?;
    let mut rows = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let mut parts = line.splitn(3, ' ').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(id), Some(since), Some(feature)) => rows.push(Row { id, since, feature }),
            _ => return Err(io::Error::other(format!("rows.txt: {line}"))),
        }
    }
    Ok(rows)
}
