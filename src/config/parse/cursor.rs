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

    pub(super) fn at_newline(&self) -> bool {
        matches!(self.peek(), Some('\n' | '\r'))
    }

    pub(super) fn at_blank(&self) -> bool {
        self.peek().is_some_and(char::is_whitespace)
    }

    /// Returns the text from a place, which [`Cursor::at`] told, up to here.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn at(&self) -> usize {
        self.at
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

    /// Skips whitespace, newlines and comments.
    pub(super) fn skip_blank(&mut self) {
        loop {
            self.skip_blank_but_comments();
            if !self.skip_comment() {
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
