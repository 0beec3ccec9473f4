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
use crate::scalar::{self, Bare};
use crate::value::{Map, Node, Pos, Value};

mod cursor;
#[cfg(test)]
mod tests;
mod word;

use cursor::Cursor;
use word::Word;

/// How deep maps and lists may nest.
const DEPTH_MAX: usize = 128;
/// How deep files may include each other; a file that includes itself ends here.
const INCLUDE_DEPTH_MAX: usize = 16;

/// Parses the file at `path` with everything it includes.
///
/// # Errors
/// The first place that breaks the grammar, or the file that cannot be read.
pub(crate) fn parse_file(path: &str, around: &mut dyn Surroundings) -> Result<Map, ParseError> {
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

/// What entries are in, and end with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// A file, with its end.
    File,
    /// Braces around entries of a file: they may stay open.
    Block,
    /// A map, with its brace.
    Map,
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    file: Arc<str>,
    include_depth: usize,
    /// The maps that are open, outermost first: variables are looked up in them.
    scopes: Vec<Map>,
    nesting: usize,
    /// The keys whose values are yet to come, outermost first. A map that ends behind a key without a value
    /// leaves it here for itself, as in nats-server, which then knows no such field.
    keys: Vec<(String, Pos)>,
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
            keys: Vec::new(),
            expanding,
        }
    }

    fn document(mut self, around: &mut dyn Surroundings) -> Result<Map, ParseError> {
        self.scopes.push(Map::default());
        loop {
            self.entries(End::File, around)?;
            if !self.cursor.eat('{') {
                break;
            }
            // Braces around a whole file, or around parts of it.
            self.entries(End::Block, around)?;
            self.cursor.eat('}');
        }
        Ok(self.scopes.pop().unwrap_or_default())
    }

    fn map(&mut self, around: &mut dyn Surroundings) -> Result<Map, ParseError> {
        self.scopes.push(Map::default());
        self.entries(End::Map, around)?;
        self.cursor.eat('}');
        Ok(self.scopes.pop().unwrap_or_default())
    }

    /// Reads entries up to what ends them, which stays.
    fn entries(&mut self, end: End, around: &mut dyn Surroundings) -> Result<(), ParseError> {
        loop {
            self.cursor.skip_blank();
            match (self.cursor.peek(), end) {
                (None, End::File | End::Block)
                | (Some('}'), End::Block | End::Map)
                | (Some('{'), End::File) => return Ok(()),
                (None, End::Map) => return Err(self.syntax("Unexpected EOF processing map.")),
                (Some(']'), End::Map) => {
                    return Err(self.syntax("Unexpected array end ']' processing map."));
                }
                (Some(c @ ('=' | ':')), _) => {
                    let period = if end == End::Map { "." } else { "" };
                    let reason = format!("Unexpected key separator '{c}'{period}");
                    return Err(self.syntax(&reason));
                }
                (Some(_), _) => self.entry(end, around)?,
            }
            self.entry_end(end)?;
        }
    }

    fn entry(&mut self, end: End, around: &mut dyn Surroundings) -> Result<(), ParseError> {
        let (key, at, quoted) = self.key(end)?;
        if !quoted && key.eq_ignore_ascii_case("include") && self.cursor.at_blank() {
            return self.include(around);
        }
        self.keys.push((key, at));
        self.cursor.skip_blank_but_comments();
        if self.cursor.eat('=') || self.cursor.eat(':') {
            self.cursor.skip_spaces();
            if end != End::Map && self.cursor.at_newline() {
                // The line that nats-server names is the one behind.
                self.cursor.bump();
                return Err(self.syntax("Expected value but found new line"));
            }
        } else if self.cursor.peek().is_none() && end != End::Map {
            if self.keys.pop().is_some_and(|(key, _)| key == "}") {
                return Ok(());
            }
            return Err(ParseError::KeyWithoutValue(self.here()));
        }
        if end == End::Map {
            self.cursor.skip_blank_but_comments();
            match self.cursor.peek() {
                Some('}') => return Ok(()),
                Some(',') => return Err(self.syntax("Unexpected map value terminator \",\".")),
                Some(_) | None => {}
            }
        }
        let value = self.value(around)?;
        self.define(value);
        Ok(())
    }

    /// Gives a value to the innermost key that waits for one.
    fn define(&mut self, value: Value) {
        let Some((key, at)) = self.keys.pop() else {
            return;
        };
        let node = Node {
            value,
            at,
            referenced: false,
        };
        if let Some(scope) = self.scopes.last_mut() {
            scope.set(key, node);
        }
    }

    fn key(&mut self, end: End) -> Result<(String, Pos, bool), ParseError> {
        for quote in ['"', '\''] {
            if self.cursor.eat(quote) {
                let at = self.here();
                let key = self.cursor.take_until(|c| c == quote).to_owned();
                if !self.cursor.eat(quote) {
                    return Err(self.syntax(match (end, quote) {
                        (End::File | End::Block, _) => "Unexpected EOF.",
                        (End::Map, '"') => "Unexpected EOF processing double quoted map key.",
                        (End::Map, _) => "Unexpected EOF processing quoted map key.",
                    }));
                }
                return Ok((key, at, true));
            }
        }
        let at = self.here();
        let ends = |c: char| c.is_whitespace() || c == '=' || c == ':';
        let key = self.cursor.take_until(ends).to_owned();
        if end == End::Map && self.cursor.peek().is_none() {
            return Err(self.syntax("Unexpected EOF processing map key."));
        }
        Ok((key, at, false))
    }

    fn include(&mut self, around: &mut dyn Surroundings) -> Result<(), ParseError> {
        self.cursor.skip_spaces();
        let name = self.included_name()?;
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

    fn included_name(&mut self) -> Result<String, ParseError> {
        let wrong = match self.cursor.peek() {
            Some(quote @ ('"' | '\'')) => {
                self.cursor.bump();
                let name = self.cursor.take_until(|c| c == quote).to_owned();
                return match (self.cursor.eat(quote), quote) {
                    (true, _) => Ok(name),
                    (false, '"') => Err(self.syntax("Unexpected EOF in double quoted include")),
                    (false, _) => Err(self.syntax("Unexpected EOF in quoted include")),
                };
            }
            Some('[') => "start of an array",
            Some('{') => "start of a map",
            Some('(') => "start of a block",
            Some('-' | '0'..='9') => "start of a number",
            Some('\\') => "escape sequence",
            Some('\n' | '\r') => {
                self.cursor.bump();
                "new line"
            }
            Some(_) | None => {
                let ends = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | ';' | '}' | '\'');
                let name = self.cursor.take_until(ends).to_owned();
                self.cursor.eat('\'');
                return Ok(name);
            }
        };
        Err(self.syntax(&format!("Expected include value but found {wrong}")))
    }

    /// Reads what stands between two entries: at least a newline, `;` or `,`.
    fn entry_end(&mut self, end: End) -> Result<(), ParseError> {
        self.cursor.skip_spaces_and_comment();
        match (self.cursor.peek(), end) {
            (None, End::File) | (Some('}'), End::Block | End::Map) => Ok(()),
            // A closing brace too many is let pass, as nats-server does.
            (Some('\n' | '\r' | ';' | ','), _) | (Some('}' | '\0'), End::File) => {
                self.cursor.bump();
                Ok(())
            }
            (c, End::Map) => {
                let reason = unexpected("a map value", "}", c.unwrap_or('\0'));
                Err(self.syntax(&reason))
            }
            (c, End::File | End::Block) => {
                let level = if end == End::File { "top" } else { "block" };
                let c = c.unwrap_or('\0');
                Err(self.syntax(&format!(
                    "Expected a {level}-level value to end with a new line, comment or EOF, \
                     but got '{c}' instead."
                )))
            }
        }
    }

    fn value(&mut self, around: &mut dyn Surroundings) -> Result<Value, ParseError> {
        match self.cursor.peek() {
            None => Ok(Value::Text(String::new())),
            Some('[') => self.nested(around, Self::list),
            Some('{') => self.nested(around, |parser, around| parser.map(around).map(Value::Map)),
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
            if matches!(self.cursor.peek(), Some('"' | '\'')) {
                // nats-server places a text in a list behind its quote, and a map behind its end.
                at.column += 1;
            }
            let value = self.value(around)?;
            if matches!(value, Value::Map(_)) {
                at = self.here();
            }
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
        let text = if quote == '"' {
            self.cursor.take_escaped(|c| c == '"').map(|(text, _)| text)
        } else {
            Ok(self.cursor.take_until(|c| c == quote).to_owned())
        };
        let text = text.map_err(|reason| self.syntax(&reason))?;
        if !self.cursor.eat(quote) {
            return Err(self.syntax("Unexpected EOF."));
        }
        Ok(text)
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
        match word.map_err(|reason| self.syntax(&reason))? {
            Word::Integer(word) => scalar::integer(word),
            Word::Float(word) => scalar::float(word),
            Word::Time(word) => scalar::time(word),
            Word::Text(text) => Ok(Value::Text(text)),
            Word::Bare(word) => match scalar::bare(word) {
                Bare::Value(value) => Ok(value),
                Bare::Variable(name) => self.variable(name, line, around),
            },
        }
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

/// Resolves an included path against the folder of the file that includes it, also one that begins with a
/// slash, and leaves out what leads nowhere: so nats-server does.
fn join(file: &str, name: &str) -> String {
    let folder = file.rfind('/').and_then(|at| file.get(..=at));
    let path = format!("{}{name}", folder.unwrap_or_default());
    let root = if folder.is_some_and(|folder| folder.starts_with('/')) {
        "/"
    } else {
        ""
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            ("..", None) if !root.is_empty() => {}
            (part, _) => parts.push(part),
        }
    }
    format!("{root}{}", parts.join("/"))
}
