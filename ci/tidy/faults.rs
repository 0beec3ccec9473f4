//! The table of faults in `docs/durability.md`, held to what exists: each scenario, feature and row of
//! `faultcheck` is in it, and each name in it is that of a test.

use super::rules::Problem;
use super::tree::SourceFile;

/// Where the table is.
const PAGE: &str = "docs/durability.md";
const SECTION: &str = "## Which test holds what";
/// The columns that name tests: those of the simulation and the models, and those of real binaries.
const TESTS: usize = 2;
const BINARIES: usize = 4;

/// What the table is about.
pub(super) struct Tested<'a> {
    /// Where the table is.
    pub(super) page: &'a SourceFile,
    /// The names of scenarios and features of the simulation.
    pub(super) simulated: Vec<String>,
    /// The rows of `faultcheck`.
    pub(super) rows: Vec<String>,
    /// All sources.
    pub(super) sources: &'a [SourceFile],
}

impl<'a> Tested<'a> {
    /// Finds it in the project's files.
    pub(super) fn find(page: &'a SourceFile, sources: &'a [SourceFile]) -> Self {
        let part = |path, from, to| {
            let file = sources.iter().find(|file| file.path == path);
            let text = file.and_then(|file| file.text.split_once(from));
            let text = text.and_then(|(_, rest)| rest.split_once(to));
            words(text.map_or("", |(text, _)| text))
        };
        let mut simulated = part("sim/explorer/scenario.rs", "pub fn all() ", "pub fn named");
        simulated.extend(part("sim/lives.rs", "pub const FEATURES", "];"));
        Self {
            page,
            simulated,
            rows: part("ci/faults/main.rs", "const ROWS", "];"),
            sources,
        }
    }
}

/// Returns the string literals that are names.
fn words(text: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let quoted = text.split('"').skip(1).step_by(2);
    quoted
        .filter(|word| !word.is_empty() && word.chars().all(is_name))
        .map(str::to_owned)
        .collect()
}

/// Returns what is missing on either side.
pub(super) fn matrix(tested: &Tested<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (mut tests, mut binaries) = (Vec::new(), Vec::new());
    for (number, line) in section(&tested.page.text) {
        let columns: Vec<&str> = line.split('|').collect();
        let named = |at: usize| names(columns.get(at).copied().unwrap_or_default());
        for name in named(TESTS) {
            if !is_a_test(name, tested) {
                let what = format!("no test is called {name}");
                problems.push(Problem::new(PAGE, number, what));
            }
            tests.push(name);
        }
        for name in named(BINARIES) {
            if !tested.rows.iter().any(|row| row == name) {
                let what = format!("faultcheck has no row {name}");
                problems.push(Problem::new(PAGE, number, what));
            }
            binaries.push(name);
        }
    }
    let lacks = |name: &String| Problem::new(PAGE, 0, format!("the table lacks {name}"));
    let is_in = |name: &str, all: &[&str]| all.iter().any(|&one| matches(one, name));
    let mut unnamed: Vec<&String> = tested.simulated.iter().collect();
    unnamed.retain(|name| !is_in(name, &tests));
    let rows = tested.rows.iter().filter(|name| !is_in(name, &binaries));
    problems.extend(unnamed.into_iter().chain(rows).map(lacks));
    problems
}

/// Returns the table's rows, with their lines.
fn section(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate();
    let inside = lines
        .skip_while(|(_, line)| *line != SECTION)
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("## "));
    inside
        .filter(|(_, line)| line.starts_with("| "))
        .skip(1)
        .map(|(at, line)| (at + 1, line))
}

/// Returns what stands between backticks and is one word.
fn names(column: &str) -> impl Iterator<Item = &str> {
    let quoted = column.split('`').skip(1).step_by(2);
    quoted.filter(|name| !name.contains(' '))
}

/// Whether a name, or a beginning of names with something left out, is that of `other`.
fn matches(name: &str, other: &str) -> bool {
    match name.strip_suffix(['*', '…']) {
        Some(beginning) => other.starts_with(beginning),
        None => other == name,
    }
}

/// Whether a name is that of a scenario, a feature, a function, an invariant, or a file.
fn is_a_test(name: &str, tested: &Tested<'_>) -> bool {
    if tested.simulated.iter().any(|one| matches(name, one)) {
        return true;
    }
    if name.contains(['/', ':']) {
        let path = name.replace("::", "/");
        let path = path.strip_suffix(".rs").unwrap_or(&path);
        let (file, folder) = (format!("{path}.rs"), format!("{path}/"));
        let ends = |found: &str, end: &str| found == end || found.ends_with(&format!("/{end}"));
        let mut sources = tested.sources.iter().map(|source| source.path.as_str());
        return sources.any(|found| ends(found, &file) || found.contains(&folder));
    }
    let (beginning, end) = match name.strip_suffix(['*', '…']) {
        Some(beginning) => (beginning, ""),
        None => (name, "("),
    };
    let function = format!("fn {beginning}{end}");
    let invariant = format!("\"{name}\"");
    let file = format!("/{name}.rs");
    let mut sources = tested.sources.iter();
    sources.any(|source| {
        source.text.contains(&function)
            || source.text.contains(&invariant)
            || source.path.ends_with(&file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn problems(row: &str) -> Vec<String> {
        let page = file(PAGE, &format!("{SECTION}\n| Fault |\n{row}\n\n## Bugs\n"));
        let sources = [
            file(
                "sim/explorer/scenario.rs",
                "pub fn all() { new(\"kill\"); new(\"log_cut\") } pub fn named",
            ),
            file(
                "sim/lives.rs",
                "pub const FEATURES: [&str; 1] = [\"copies\"];",
            ),
            file(
                "ci/faults/main.rs",
                "const ROWS: x = [(\"rot\", \"bits flip\")];",
            ),
            file("src/broker/tests/abuse.rs", "fn floods_end() {}"),
        ];
        let found = matrix(&Tested::find(&page, &sources));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_table_that_names_everything_that_exists_is_fine() {
        let row =
            "| all | `kill`, `log_*`, `copies`, `floods_…`, `broker/tests/abuse.rs` | P1 | `rot` |";
        assert!(problems(row).is_empty(), "{:?}", problems(row));
    }

    #[test]
    fn what_it_lacks_and_what_does_not_exist_is_told() {
        let row = "| all | `kill`, `copies`, `floods`, `broker::tests::gone` | P1 | `power` |";
        assert_eq!(
            problems(row),
            [
                "docs/durability.md:3: no test is called floods",
                "docs/durability.md:3: no test is called broker::tests::gone",
                "docs/durability.md:3: faultcheck has no row power",
                "docs/durability.md: the table lacks log_cut",
                "docs/durability.md: the table lacks rot",
            ]
        );
    }
}
