//! The second table of `COMPATIBILITY.md`: the features of Memphis, and the checks that show them.
//!
//! Written from `memphis.txt`, whose cases must exist where they say they are.

use core::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

/// How many features Memphis has.
const ROWS: usize = 51;
/// Where tests are looked for.
const TESTS: [&str; 5] = [
    "src/memphis",
    "src/broker/tests",
    "src/schemas",
    "src/server/rest",
    "sim/scenarios",
];

/// Appends the table.
///
/// # Errors
/// When a file is missing, a row is malformed, or a case is not there.
pub(crate) fn append(out: &mut String) -> io::Result<()> {
    let root = crate::root().join("..");
    let text = fs::read_to_string(crate::root().join("memphis.txt"))?;
    let python = fs::read_to_string(root.join("ci/clients/memphis-python/checks.py"))?;
    let js = fs::read_to_string(root.join("ci/clients/memphis-js/checks.mjs"))?;
    let rest = fs::read_to_string(root.join("ci/clients/memphis-rest/checks.py"))?;
    let mixed = fs::read_to_string(root.join("ci/clients/mixed/checks.py"))?;
    let mut tests = String::new();
    for folder in TESTS {
        read_all(&root.join(folder), &mut tests)?;
    }
    out.push_str(
        "\n# Compatibility with Memphis\n\n\
         Nothing is recorded from Memphis' own broker, which may not be used for that: a case is a check with\n\
         its unmodified SDKs (`py/`: memphis-py 1.3.1, `js/`: memphis-dev 1.3.2, both in `ci/clients`), by\n\
         plain HTTP (`rest/`, there too), by SDK, NATS clients and HTTP together (`mixed/`), or a test with the lines\n\
         that they send (`test/`).\n\n\
         | row | feature | status | cases |\n|---|---|---|---|\n",
    );
    let mut rows = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut parts = line.split('|');
        let (Some(number), Some(feature), Some(status), Some(cases)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(io::Error::other(format!("memphis.txt: {line}")));
        };
        rows += 1;
        if number.parse() != Ok(rows) {
            return Err(io::Error::other(format!(
                "memphis.txt: row {rows} is {number}"
            )));
        }
        for case in cases.split_whitespace() {
            let is_there = match case.split_once('/') {
                Some(("py", name)) => python.contains(&format!("async def {name}(")),
                Some(("rest", name)) => rest.contains(&format!("async def {name}(")),
                Some(("mixed", name)) => mixed.contains(&format!("async def {name}(")),
                Some(("js", name)) => js.contains(&format!("async {name}(")),
                Some(("test", name)) => tests.contains(&format!("fn {name}()")),
                Some(_) | None => false,
            };
            if !is_there {
                return Err(io::Error::other(format!("there is no {case}")));
            }
        }
        if cases.is_empty() && status == "same" {
            return Err(io::Error::other(format!(
                "memphis row {number} has no case"
            )));
        }
        let cases = cases.replace(' ', ", ");
        let _ok = writeln!(out, "| M-{number} | {feature} | {status} | {cases} |");
    }
    if rows == ROWS {
        Ok(())
    } else {
        Err(io::Error::other(format!("memphis.txt has {rows} rows")))
    }
}

/// Appends the Rust files of a folder and those below it.
fn read_all(folder: &Path, out: &mut String) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, out)?;
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            out.push_str(&fs::read_to_string(path)?);
        }
    }
    Ok(())
}
