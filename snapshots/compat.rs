//! `COMPATIBILITY.md`: which features of NATS have a recorded conversation, and whether we hold it.
//!
//! Written from `rows.txt` (row, since which NATS version, our words), the cases, `proofs.txt` and
//! `pending.txt`.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::case::Case;
use crate::proofs::{self, Proof};
use crate::{case, clients, errors, lists, memphis};

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
/// When a file is missing, a case or a proof names an unknown row, or a row has neither.
pub fn document() -> io::Result<String> {
    let (cases, rows, pending) = (case::all()?, rows()?, lists::pending()?);
    let proofs = proofs::all()?;
    let mut covered: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in &cases {
        for row in &case.rows {
            covered.entry(row).or_default().push(case);
        }
    }
    check(&rows, &covered, &proofs)?;
    let failing = |case: &&&Case| pending.contains_key(&case.id);
    let held = cases
        .iter()
        .filter(|case| !pending.contains_key(&case.id))
        .count();
    let mut out = format!(
        "# Compatibility with NATS\n\n\
         Written by `cargo run -p snapshots --bin compat`; do not edit. Each row is a feature of nats-server, each case a\n\
         conversation recorded from nats-server 2.15.1 (`snapshots/recorded`) that the tests hold with Beale: `same`. What\n\
         no recording can show is `tested` by the named tests and checks; what a single node does not have comes `later`.\n\
         Faults of nats-server by which messages are lost are not copied, see `ci/clients/differential/quirks.py`. \
         What differs on purpose stands in `snapshots/differences.txt`, what does not pass yet in `snapshots/pending.txt`.\n\n\
         {held} of {} conversations are the same; {} rows.\n\n\
         | row | feature | since | status | cases |\n|---|---|---|---|---|\n",
        cases.len(),
        rows.len(),
    );
    for Row { id, since, feature } in &rows {
        let of_row = covered
            .get(id.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let proof = proofs.get(id);
        let status = match (of_row.iter().filter(failing).count(), proof) {
            (_, Some(Proof::Later(reason))) => format!("later: {reason}"),
            (_, Some(Proof::Never(reason))) => format!("never: {reason}"),
            (0, _) if of_row.is_empty() => "tested".to_owned(),
            (0, _) => "same".to_owned(),
            (n, _) if n == of_row.len() => "not yet".to_owned(),
            _ => "partly".to_owned(),
        };
        let mut names: Vec<&str> = of_row.iter().map(|case| case.id.as_str()).collect();
        if let Some(Proof::Checks(checks)) = proof {
            names.extend(checks.iter().map(String::as_str));
        }
        let names = names.join(", ");
        let _ok = writeln!(out, "| {id} | {feature} | {since} | {status} | {names} |");
    }
    errors::append(&mut out)?;
    clients::append(&mut out)?;
    memphis::append(&mut out)?;
    Ok(out)
}

fn check(
    rows: &[Row],
    covered: &BTreeMap<&str, Vec<&Case>>,
    proofs: &BTreeMap<String, Proof>,
) -> io::Result<()> {
    let named = covered
        .keys()
        .copied()
        .chain(proofs.keys().map(String::as_str));
    for row in named {
        if !rows.iter().any(|r| r.id == row) {
            return Err(io::Error::other(format!("rows.txt has no row {row}")));
        }
    }
    let is_bare =
        |row: &&Row| !covered.contains_key(row.id.as_str()) && !proofs.contains_key(&row.id);
    match rows.iter().find(is_bare) {
        Some(row) => Err(io::Error::other(format!(
            "row {} has no case and no proof",
            row.id
        ))),
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
