//! A position in a text that knows its line and column.

/// Walks over a text.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    /// Where the current line starts, its preceding newline included: columns count from it.
    line_start: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            line_start: 0,
        }
    }

    pub(super) fn line(&self) -> u32 {
        self.line
    }

    pub(super) fn column(&self) -> u32 {
        u32::try_from(self.at.saturating_sub(self.line_start)).unwrap_or(u32::MAX)
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Says whether a line ends just before.
    pub(super) fn is_behind_newline(&self) -> bool {
        let before = self.text.get(..self.at).unwrap_or_default();
        before.ends_with('\n')
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn bump(&mut self) {
        let Some(c) = self.peek() else { return };
        if c == '\n' {
            self.line = self.line.saturating_add(1);
            self.line_start = self.at;
        }
        self.at += c.len_utf8();
    }

    /// Moves on by `bytes`, which end at a character.
    pub(super) fn skip(&mut self, bytes: usize) {
        let end = self.at.saturating_add(bytes);
        while self.at < end && self.at < self.text.len() {
            self.bump();
        }
    }

    pub(super) fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.bump();
        }
        found
    }

    pub(super) fn take_until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(|c| !ends(c)) {
            self.bump();
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Takes a bare word: up to whitespace or what ends a value.
    pub(super) fn take_word(&mut self) -> &'a str {
        self.take_until(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | ';' | ',' | ']' | '}'))
    }

    /// Takes what stands before the closing quote; a backslash hides the character after it.
    pub(super) fn take_double_quoted(&mut self) -> &'a str {
        let start = self.at;
        while let Some(c) = self.peek() {
            if c == '"' {
                break;
            }
            self.bump();
            if c == '\\' {
                self.bump();
            }
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn at_newline(&self) -> bool {
        matches!(self.peek(), Some('\n' | '\r'))
    }

    /// Tells whether a key separator follows on this line.
    pub(super) fn at_separator(&self) -> bool {
        self.rest()
            .trim_start_matches([' ', '\t'])
            .starts_with(['=', ':'])
    }

    pub(super) fn skip_spaces(&mut self) {
        self.take_until(|c| c != ' ' && c != '\t');
    }

    pub(super) fn skip_blank_but_comments(&mut self) {
        self.take_until(|c| !c.is_whitespace());
    }

    pub(super) fn skip_spaces_and_comment(&mut self) {
        self.skip_spaces();
        self.skip_comment();
    }

    /// Skips whitespace, newlines, comments and separators that separate nothing.
    pub(super) fn skip_blank(&mut self) {
        loop {
            self.skip_blank_but_comments();
            if !self.skip_comment() && !self.eat(';') {
                return;
            }
        }
    }

    fn skip_comment(&mut self) -> bool {
        let found = self.rest().starts_with('#') || self.rest().starts_with("//");
        if found {
            self.take_until(|c| c == '\n' || c == '\r');
        }
        found
    }
}
