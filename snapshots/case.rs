//! Case files: a header, perhaps a block of configuration, and the steps.
//!
//! ```text
//! title: A message reaches every plain subscription rows: C-005 C-010 with: jetstream
//! (optional: adds a jetstream block with a fresh store) show: info ping
//! (optional: frames that are normally left out) opaque: foo                      (optional: a
//! subject whose messages have bodies that only the server understands) config {
//! (optional: lines of nats-server's configuration)   max_payload: 1KB }
//!
//! A connect
//! A> SUB foo 1
//! ```
//! The steps' grammar is in [`crate::step`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::step::{self, Line, Step};

/// One scripted conversation.
#[derive(Debug)]
pub struct Case {
    /// `<area>/<name>`.
    pub id: String,
    /// One line that says what the case shows.
    pub title: String,
    /// The rows of the compatibility list that it covers.
    pub rows: Vec<String>,
    /// Whether the server runs with JetStream.
    pub jetstream: bool,
    /// Show INFO lines after the first.
    pub show_info: bool,
    /// Show the server's PINGs and do not answer them.
    pub show_ping: bool,
    /// The subject whose messages are shown without what they hold.
    pub opaque: String,
    /// Further lines of configuration.
    pub config: String,
    /// What is done, in order.
    pub steps: Vec<Line>,
}

impl Case {
    /// Parses the text of a case file.
    ///
    /// # Errors
    /// Says which line could not be understood.
    pub fn parse(id: &str, text: &str) -> io::Result<Case> {
        let mut case = Case {
            id: id.to_owned(),
            title: String::new(),
            rows: Vec::new(),
            jetstream: false,
            show_info: false,
            show_ping: false,
            opaque: String::new(),
            config: String::new(),
            steps: Vec::new(),
        };
        let mut in_config = false;
        let mut open: Option<(&str, String)> = None;
        for (number, line) in text.lines().enumerate() {
            if let Some((opening, block)) = open.take() {
                if line == "}" {
                    case.steps.extend(block_step(opening, block));
                } else {
                    open = Some((opening, format!("{block}{line}\n")));
                }
            } else if step::block(line).is_some() {
                open = Some((line, String::new()));
            } else if in_config {
                if line == "}" {
                    in_config = false;
                } else {
                    case.config.push_str(line);
                    case.config.push('\n');
                }
            } else if line == "config {" {
                in_config = true;
            } else if !case.header(line) && !line.trim().is_empty() {
                let step = Step::parse(line)
                    .map_err(|why| io::Error::other(format!("{id}:{}: {why}", number + 1)))?;
                case.steps.push(Line {
                    text: line.to_owned(),
                    step,
                });
            }
        }
        if case.title.is_empty() || case.rows.is_empty() || in_config || open.is_some() {
            return Err(io::Error::other(format!(
                "{id}: needs a title, rows and closed blocks"
            )));
        }
        Ok(case)
    }

    fn header(&mut self, line: &str) -> bool {
        if !self.steps.is_empty() {
            return false;
        }
        let Some((key, value)) = line.split_once(": ") else {
            return false;
        };
        match key {
            "title" => value.clone_into(&mut self.title),
            "rows" => self.rows = value.split_whitespace().map(str::to_owned).collect(),
            "with" => self.jetstream = value == "jetstream",
            "opaque" => value.clone_into(&mut self.opaque),
            "show" => {
                self.show_info = value.contains("info");
                self.show_ping = value.contains("ping");
            }
            _ => return false,
        }
        true
    }

    /// Where the recorded transcript lies.
    #[must_use]
    pub fn recorded(&self) -> PathBuf {
        crate::root()
            .join("recorded")
            .join(format!("{}.txt", self.id))
    }
}

fn block_step(opening: &str, block: String) -> Option<Line> {
    let text = format!("{opening}\n{block}}}");
    let step = step::block(opening)?(opening, block);
    Some(Line { text, step })
}

/// Reads every case, in the order of their ids.
///
/// # Errors
/// Of reading the files, or the first one that can not be parsed.
pub fn all() -> io::Result<Vec<Case>> {
    let root = crate::root().join("cases");
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    files.iter().map(|path| load(&root, path)).collect()
}

fn load(root: &Path, path: &Path) -> io::Result<Case> {
    let id = path
        .strip_prefix(root)
        .map_err(io::Error::other)?
        .with_extension("");
    Case::parse(&id.to_string_lossy(), &fs::read_to_string(path)?)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ext| ext == "case") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_has_a_header_a_configuration_and_steps() {
        let text =
            "title: T\nrows: C-001 C-002\nwith: jetstream\nconfig {\n  a: 1\n}\n\nA connect\n";
        let case = Case::parse("x/y", text).unwrap();
        assert_eq!(
            (case.rows.len(), case.jetstream, case.steps.len()),
            (2, true, 1)
        );
        assert_eq!(case.config, "  a: 1\n");
    }

    #[test]
    fn a_reload_holds_the_next_configuration() {
        let text = "title: T\nrows: C-001\n\nA connect\nreload {\n  a: 2\n}\nA sync\n";
        let case = Case::parse("x/y", text).unwrap();
        assert_eq!(case.steps.len(), 3);
        assert!(matches!(&case.steps[1].step, Step::Reload(text) if text == "  a: 2\n"));
    }

    #[test]
    fn a_line_that_is_no_step_is_named() {
        let error = Case::parse("x/y", "title: T\nrows: C-001\n\nA dance\n").unwrap_err();
        assert!(error.to_string().starts_with("x/y:4:"), "{error}");
    }
}
