//! The words of a `.proto` file.

use super::{ProtoError, unexpected};

/// What is left of a file.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    pub(super) const fn new(content: &'a str) -> Self {
        Self { rest: content }
    }

    /// Takes the next word, text or sign; nothing at the end of the file.
    pub(super) fn next(&mut self) -> Option<&'a str> {
        self.skip_blanks();
        let first = self.rest.chars().next()?;
        let is_part = |c: char| c.is_alphanumeric() || "_.-".contains(c);
        let len = if first == '"' || first == '\'' {
            let text = self.rest.get(1..).unwrap_or_default();
            text.find(first).map_or(self.rest.len(), |end| end + 2)
        } else if is_part(first) {
            self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len())
        } else {
            first.len_utf8()
        };
        let (token, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(token)
    }

    /// Takes the next word, whatever it is.
    pub(super) fn any(&mut self, expected: &'static str) -> Result<&'a str, ProtoError> {
        self.next().ok_or_else(|| unexpected(expected, ""))
    }

    pub(super) fn expect(&mut self, sign: &'static str) -> Result<(), ProtoError> {
        match self.any(sign)? {
            found if found == sign => Ok(()),
            found => Err(unexpected(sign, found)),
        }
    }

    /// Takes a number; negative ones, which enums may have, as the wire has them.
    pub(super) fn number(&mut self) -> Result<u64, ProtoError> {
        let word = self.any("a number")?;
        let hexadecimal = word.strip_prefix("0x").or(word.strip_prefix("0X"));
        let number = match hexadecimal {
            Some(digits) => i64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        let number = number.map_err(|_| unexpected("a number", word))?;
        Ok(u64::from_ne_bytes(number.to_ne_bytes()))
    }

    /// Passes over the rest of a statement.
    pub(super) fn skip_statement(&mut self) {
        while self.next().is_some_and(|token| token != ";") {}
    }

    /// Passes over everything up to the end of the block that begins here.
    pub(super) fn skip_block(&mut self) -> Result<(), ProtoError> {
        let mut depth = 0_usize;
        loop {
            match self.any("a block")? {
                "{" => depth += 1,
                "}" if depth <= 1 => return Ok(()),
                "}" => depth -= 1,
                _ => {}
            }
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            let end = if self.rest.starts_with("//") {
                self.rest.find('\n').map(|at| at + 1)
            } else if self.rest.starts_with("/*") {
                self.rest.find("*/").map(|at| at + 2)
            } else {
                return;
            };
            let end = end.unwrap_or(self.rest.len());
            self.rest = self.rest.get(end..).unwrap_or_default();
        }
    }
}
