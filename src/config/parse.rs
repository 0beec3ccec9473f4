//! From text to the value tree: maps, lists, comments, variables and includes. Single words are the
//! business of `scalar`.
//!
//! *Invariant:* recursion is bounded by [`DEPTH_MAX`] and [`INCLUDE_DEPTH_MAX`], whatever the text.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::Surroundings;
use crate::error::ParseError;
use crate::scalar::{self, Unfinished, Word};
use crate::value::{Map, Node, Pos, Value};

mod cursor;
#[cfg(test)]
mod tests;

use cursor::Cursor;

/// How deep maps and lists may nest.
const DEPTH_MAX: usize = 128;
/// How deep files may include each other; a file that includes itself ends here.
const INCLUDE_DEPTH_MAX: usize = 16;

/// Parses the file at `path` with everything it includes.
///
/// # Errors
/// The first place that breaks the grammar, or the file that cannot be read.
pub fn parse_file(path: &str, around: &mut dyn Surroundings) -> Result<Map, ParseError> {
    let map = parse_included(path, 0, around)?;
    if map.is_empty() {
        return Err(ParseError::Empty(path.to_owned()));
    }
    Ok(map)
}

fn parse_included(
    path: &str,
    depth: usize,
    around: &mut dyn Surroundings,
) -> Result<Map, ParseError> {
    let unreadable = |reason| ParseError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    if depth > INCLUDE_DEPTH_MAX {
        return Err(unreadable(String::from("too many levels of includes")));
    }
    let text = around.read(path).map_err(unreadable)?;
    Parser::new(&text, path, depth, Vec::new()).document(around)
}

/// Where a map ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Brace,
    File,
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    file: Arc<str>,
    include_depth: usize,
    /// The maps that are open, outermost first: variables are looked up in them.
    scopes: Vec<Map>,
    nesting: usize,
    /// The environment variables whose text is being parsed.
    expanding: Vec<String>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, path: &str, include_depth: usize, expanding: Vec<String>) -> Self {
        Self {
            cursor: Cursor::new(text),
            file: Arc::from(path),
            include_depth,
            scopes: Vec::new(),
            nesting: 0,
            expanding,
        }
    }

    fn document(mut self, around: &mut dyn Surroundings) -> Result<Map, ParseError> {
        self.cursor.skip_blank();
        if !self.cursor.eat('{') {
            return self.map(End::File, around);
        }
        let map = self.map(End::Brace, around)?;
        self.cursor.skip_blank();
        match self.cursor.peek() {
            None => Ok(map),
            Some(_) => Err(ParseError::KeyWithoutValue(self.here())),
        }
    }

    fn map(&mut self, end: End, around: &mut dyn Surroundings) -> Result<Map, ParseError> {
        self.scopes.push(Map::default());
        loop {
            self.cursor.skip_blank();
            match (self.cursor.peek(), end) {
                (None, End::File) => break,
                // The brace around a whole file may stay open, if a line ends there.
                (None, End::Brace) if self.scopes.len() == 1 && self.cursor.is_behind_newline() => {
                    break;
                }
                (None, End::Brace) => return Err(self.syntax("Unexpected EOF processing map.")),
                (Some('}'), End::Brace) => {
                    self.cursor.bump();
                    break;
                }
                // A closing brace too many at the end of a file is let pass, as nats-server does.
                (Some('}'), End::File) if self.cursor.rest().trim() == "}" => break,
                (Some(c @ ('=' | ':')), _) => {
                    return Err(self.syntax(&format!("Unexpected key separator '{c}'")));
                }
                (Some(_), _) => self.entry(around)?,
            }
            self.entry_end(end)?;
        }
        Ok(self.scopes.pop().unwrap_or_default())
    }

    fn entry(&mut self, around: &mut dyn Surroundings) -> Result<(), ParseError> {
        let (key, at, quoted) = self.key()?;
        if !quoted && key.eq_ignore_ascii_case("include") && !self.cursor.at_separator() {
            return self.include(&at, around);
        }
        self.cursor.skip_blank_but_comments();
        if self.cursor.eat('=') || self.cursor.eat(':') {
            self.cursor.skip_spaces();
            if self.nesting > 0 {
                self.cursor.skip_blank_but_comments();
            } else if self.cursor.at_newline() {
                // The line that nats-server names is the one behind.
                self.cursor.bump();
                return Err(self.syntax("Expected value but found new line"));
            }
        } else if self.cursor.peek().is_none() {
            return Err(ParseError::KeyWithoutValue(self.here()));
        }
        let value = self.value(around)?;
        self.define(key, value, at);
        Ok(())
    }

    fn define(&mut self, key: String, value: Value, at: Pos) {
        let node = Node {
            value,
            at,
            referenced: false,
        };
        if let Some(scope) = self.scopes.last_mut() {
            scope.set(key, node);
        }
    }

    fn key(&mut self) -> Result<(String, Pos, bool), ParseError> {
        for quote in ['"', '\''] {
            if self.cursor.eat(quote) {
                let at = self.here();
                let key = self.cursor.take_until(|c| c == quote).to_owned();
                if !self.cursor.eat(quote) {
                    return Err(self.syntax("Unexpected EOF."));
                }
                return Ok((key, at, true));
            }
        }
        let at = self.here();
        let ends = |c: char| c.is_whitespace() || c == '=' || c == ':';
        Ok((self.cursor.take_until(ends).to_owned(), at, false))
    }

    fn include(&mut self, at: &Pos, around: &mut dyn Surroundings) -> Result<(), ParseError> {
        self.cursor.skip_spaces();
        let name = match self.cursor.peek() {
            None => return Err(ParseError::KeyWithoutValue(at.clone())),
            Some(q @ ('"' | '\'')) => self.quoted(q)?,
            Some('[' | '{' | '(') => return Err(self.syntax("Expected the name of a file")),
            Some(_) => self.cursor.take_word().to_owned(),
        };
        let path = join(&self.file, &name);
        let included = parse_included(&path, self.include_depth + 1, around).map_err(|cause| {
            ParseError::Include {
                name,
                cause: Box::new(cause),
            }
        })?;
        if let Some(scope) = self.scopes.last_mut() {
            for (key, node) in included {
                scope.set(key, node);
            }
        }
        Ok(())
    }

    /// Reads what stands between two entries: at least a newline, `;` or `,`.
    fn entry_end(&mut self, end: End) -> Result<(), ParseError> {
        self.cursor.skip_spaces_and_comment();
        match self.cursor.peek() {
            None => Ok(()),
            Some('\n' | '\r' | ';' | ',') => {
                self.cursor.bump();
                Ok(())
            }
            Some('}') => Ok(()),
            Some(c) => Err(self.syntax(&match end {
                End::Brace => unexpected("a map value", "}", c),
                End::File => format!(
                    "Expected a top-level value to end with a new line, comment or EOF, \
                     but got '{c}' instead."
                ),
            })),
        }
    }

    fn value(&mut self, around: &mut dyn Surroundings) -> Result<Value, ParseError> {
        match self.cursor.peek() {
            None => Ok(Value::Text(String::new())),
            Some('[') => self.nested(around, Self::list),
            Some('{') => self.nested(around, |parser, around| {
                parser.map(End::Brace, around).map(Value::Map)
            }),
            Some(quote @ ('"' | '\'')) => self.quoted(quote).map(Value::Text),
            Some('(') => self.block_text().map(Value::Text),
            Some(_) => self.word(around),
        }
    }

    fn nested(
        &mut self,
        around: &mut dyn Surroundings,
        inside: impl FnOnce(&mut Self, &mut dyn Surroundings) -> Result<Value, ParseError>,
    ) -> Result<Value, ParseError> {
        if self.nesting >= DEPTH_MAX {
            return Err(self.syntax("Too many levels of maps and lists."));
        }
        self.cursor.bump();
        self.nesting += 1;
        let value = inside(self, around);
        self.nesting -= 1;
        value
    }

    fn list(&mut self, around: &mut dyn Surroundings) -> Result<Value, ParseError> {
        let mut items = Vec::new();
        loop {
            self.cursor.skip_blank();
            match self.cursor.peek() {
                Some(']') => {
                    self.cursor.bump();
                    return Ok(Value::List(items));
                }
                Some(',') => return Err(self.syntax("Unexpected array value terminator ','.")),
                None => return Err(self.syntax(&unexpected("an array value", "]", '\0'))),
                Some(_) => {}
            }
            let mut at = self.here();
            if matches!(self.cursor.peek(), Some('{' | '"' | '\'')) {
                // nats-server places a map in a list behind its brace, and a text behind its quote.
                at.column += 1;
            }
            let value = self.value(around)?;
            items.push(Node {
                value,
                at,
                referenced: false,
            });
            self.cursor.skip_spaces_and_comment();
            match self.cursor.peek() {
                Some(',' | '\n' | '\r') => self.cursor.bump(),
                Some(']') | None => {}
                Some(c) => return Err(self.syntax(&unexpected("an array value", "]", c))),
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, ParseError> {
        self.cursor.bump();
        let inside = if quote == '"' {
            self.cursor.take_double_quoted()
        } else {
            self.cursor.take_until(|c| c == quote)
        };
        let unescaped = if quote == '"' {
            scalar::unescape(inside).map_err(|reason| self.syntax(&reason))?
        } else {
            inside.to_owned()
        };
        if !self.cursor.eat(quote) {
            return Err(self.syntax("Unexpected EOF."));
        }
        Ok(unescaped)
    }

    /// Reads `(`, lines, and a line that holds only `)`.
    fn block_text(&mut self) -> Result<String, ParseError> {
        self.cursor.bump();
        let rest = self.cursor.rest();
        let end = rest.match_indices("\n)").find(|(at, close)| {
            let after = rest.get(at + close.len()..).unwrap_or_default();
            after.is_empty() || after.starts_with('\n') || after.starts_with("\r\n")
        });
        let Some((at, _)) = end else {
            self.cursor.skip(rest.len());
            return Err(self.syntax("Unexpected EOF processing block."));
        };
        let text = rest.get(..=at).unwrap_or_default().to_owned();
        self.cursor.skip(at + 2);
        Ok(text)
    }

    fn word(&mut self, around: &mut dyn Surroundings) -> Result<Value, ParseError> {
        let line = self.cursor.line();
        let word = self.cursor.take_word();
        if let Some(fault) = scalar::unfinished(word) {
            return Err(self.unfinished(fault));
        }
        match scalar::classify(word)? {
            Word::Value(value) => Ok(value),
            Word::Variable(name) => self.variable(name, line, around),
            Word::Escaped => scalar::unescape(word)
                .map(Value::Text)
                .map_err(|reason| self.syntax(&reason)),
        }
    }

    /// Says what a number would have gone on with; the line that nats-server names is the one behind what it got.
    fn unfinished(&mut self, fault: Unfinished) -> ParseError {
        let mut got = |inside: Option<char>| {
            let got = inside.or_else(|| self.cursor.peek());
            if inside.is_none() {
                self.cursor.bump();
            }
            got.map_or_else(
                || "\\x00".into(),
                |c| c.escape_default().collect::<String>(),
            )
        };
        let reason = match fault {
            Unfinished::PointFirst => "Floats must start with a digit".to_owned(),
            Unfinished::PointLast(c) => {
                let got = got(c);
                format!("Floats must have a digit after the '.', but got '{got}' instead.")
            }
            Unfinished::MinusAlone(c) => format!("Expected a digit but got '{}'.", got(c)),
        };
        self.syntax(&reason)
    }

    fn variable(
        &mut self,
        name: &str,
        line: u32,
        around: &mut dyn Surroundings,
    ) -> Result<Value, ParseError> {
        for scope in self.scopes.iter_mut().rev() {
            if let Some(node) = scope.find_mut(name) {
                node.referenced = true;
                return Ok(node.value.clone());
            }
        }
        let parsed = if self.expanding.iter().any(|n| n == name) {
            Err(ParseError::VariableCycle(name.to_owned()))
        } else if let Some(text) = around.variable(name) {
            self.expand(name, &text, around)
        } else {
            return Err(ParseError::VariableMissing {
                name: name.to_owned(),
                line,
            });
        };
        parsed.map_err(|cause| ParseError::Variable {
            name: name.to_owned(),
            line,
            cause: Box::new(cause),
        })
    }

    /// Parses an environment variable's text as the value that it would be in a file.
    fn expand(
        &self,
        name: &str,
        text: &str,
        around: &mut dyn Surroundings,
    ) -> Result<Value, ParseError> {
        let mut expanding = self.expanding.clone();
        expanding.push(name.to_owned());
        let assignment = format!("value={text}");
        let parser = Parser::new(&assignment, "", self.include_depth, expanding);
        let map = parser.document(around)?;
        let found = map.into_iter().find(|(key, _)| key == "value");
        Ok(found.map_or(Value::Text(String::new()), |(_, node)| node.value))
    }

    fn here(&self) -> Pos {
        Pos {
            file: Arc::clone(&self.file),
            line: self.cursor.line(),
            column: self.cursor.column(),
        }
    }

    fn syntax(&self, reason: &str) -> ParseError {
        ParseError::Syntax {
            line: self.cursor.line(),
            reason: reason.to_owned(),
        }
    }
}

fn unexpected(what: &str, close: &str, got: char) -> String {
    let whole = if close == "}" { "a map" } else { "an array" };
    format!(
        "Expected {what} terminator \",\" or {whole} terminator \"{close}\", but got '{got}' instead."
    )
}

/// Resolves an included path against the folder of the file that includes it.
fn join(file: &str, name: &str) -> String {
    match file.rfind('/') {
        Some(_) if name.starts_with('/') => name.to_owned(),
        Some(at) => format!("{}/{name}", file.get(..at).unwrap_or_default()),
        None => name.to_owned(),
    }
}
