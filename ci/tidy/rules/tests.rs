//! Each rule finds what it is there for.

use super::*;

fn file(text: &str) -> SourceFile {
    SourceFile {
        path: "src/x/lib.rs".to_owned(),
        text: text.to_owned(),
    }
}

/// Returns the lines of the problems.
fn lines(problems: &[Problem]) -> Vec<usize> {
    problems.iter().map(|problem| problem.line).collect()
}

#[test]
fn a_manifest_without_lints_is_found() {
    assert_eq!(inherits_lints(&file("[lints]\nworkspace = true\n")), []);
    assert_eq!(lines(&inherits_lints(&file("[dependencies]\n"))), [0]);
}

#[test]
fn a_crate_with_std_is_found() {
    assert_eq!(is_no_std(&file("//! x\n\n#![no_std]\n")), []);
    assert_eq!(lines(&is_no_std(&file("//! x\n"))), [0]);
}

#[test]
fn a_file_without_a_head_is_found() {
    assert_eq!(has_head(&file("//! Owns x.\n")), []);
    assert_eq!(lines(&has_head(&file("use x;\n"))), [1]);
}

#[test]
fn a_select_without_an_order_is_found() {
    let macro_start = ["tokio::select", "! {\n"].concat();
    let biased = format!("{macro_start}    biased;\n}}\n");
    let random = format!("{macro_start}    x = y => z,\n}}\n");
    assert_eq!(selects_are_biased(&file(&biased)), []);
    assert_eq!(lines(&selects_are_biased(&file(&random))), [1]);
}

#[test]
fn randomness_and_real_time_are_found_but_not_names_that_end_alike() {
    let found = is_deterministic(&file(
        "use rand::Rng;\n// rand::\nlet x = operand::new();\n",
    ));
    assert_eq!(lines(&found), [1]);
    let found = is_deterministic(&file("\ntokio::task::spawn_blocking(f);\n"));
    assert_eq!(lines(&found), [2]);
}

#[test]
fn unfinished_code_is_found() {
    let unfinished = ["fn f() { to", "do!() }\n"].concat();
    assert_eq!(lines(&is_finished(&file(&unfinished))), [1]);
    assert_eq!(is_finished(&file("fn f() {}\n")), []);
}

#[test]
fn unsafe_code_is_found_elsewhere_and_without_a_reason() {
    let code = ["let x = unsa", "fe { y };\n"].concat();
    assert_eq!(lines(&unsafe_code_is_justified(&file(&code))), [1]);
    let at = |text: String| SourceFile {
        path: UNSAFE[0].to_owned(),
        text,
    };
    assert_eq!(lines(&unsafe_code_is_justified(&at(code.clone()))), [1]);
    let justified = ["// SAFETY: y is.\n", &code].concat();
    assert_eq!(unsafe_code_is_justified(&at(justified)), []);
}

#[test]
fn ignored_tests_without_a_reason_are_found() {
    let bare = ["#[ign", "ore]\n"].concat();
    assert_eq!(lines(&ignores_have_reasons(&file(&bare))), [1]);
    assert_eq!(ignores_have_reasons(&file("#[ignore = \"slow\"]\n")), []);
}

#[test]
fn public_items_that_nobody_uses_are_found() {
    let text = "pub const fn lone(x: u8) {}\npub struct Known<T>(T);\n// lone\nfn f(k: Known) {}\n";
    assert_eq!(lines(&public_items_are_used(&[file(text)])), [1]);
}

#[test]
fn long_files_are_found() {
    let long = file(&"x\n".repeat(LINES_MAX + 1));
    assert_eq!(lines(&lengths(&[long])), [0]);
    assert_eq!(lengths(&[file("x\n")]), []);
}

#[test]
fn machines_are_found() {
    let text = ["see /wo", "rk/notes\n"].concat();
    assert_eq!(lines(&names_no_machine(&file(&text))), [1]);
    assert_eq!(names_no_machine(&file("see docs/notes\n")), []);
}
