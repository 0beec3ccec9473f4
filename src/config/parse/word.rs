//! Words without quotes: where they end, and what their first characters make of them. nats-server
//! decides as it reads, so that `1-2` is a broken date, `5.5k` a number with something behind it,
//! and `2a` a text.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::cursor::Cursor;

/// A word, by what it begins like.
pub(super) enum Word<'a> {
    /// Digits, with a unit of size or without.
    Integer(&'a str),
    /// Digits with a point.
    Float(&'a str),
    /// A time of the shape that all times have.
    Time(&'a str),
    /// A text, its escapes replaced.
    Text(String),
    /// A text without escapes, a boolean or a variable.
    Bare(&'a str),
}

impl<'a> Cursor<'a> {
    /// Takes a word, or says why it is none.
    pub(super) fn take_word(&mut self) -> Result<Word<'a>, String> {
        let start = self.at();
        match self.peek() {
            Some('.') => {
                self.bump();
                Err("Floats must start with a digit".to_owned())
            }
            Some('-') => {
                self.bump();
                match self.next() {
                    Some('0'..='9') => self.take_number(start, true),
                    Some('.') => Err("Floats must start with a digit, not '.'.".to_owned()),
                    got => Err(format!("Expected a digit but got '{}'.", shown(got))),
                }
            }
            Some('0'..='9') => self.take_number(start, false),
            Some(_) | None => self.take_text(start),
        }
    }

    fn take_number(&mut self, start: usize, negative: bool) -> Result<Word<'a>, String> {
        self.take_until(|c| !c.is_ascii_digit());
        match self.peek() {
            Some('-') if !negative => {
                self.bump();
                if self.at() - start != "2006-".len() {
                    return Err("All ISO8601 dates must be in full Zulu form.".to_owned());
                }
                self.take_time(start)
            }
            Some('.') => {
                self.bump();
                self.take_fraction(start)
            }
            Some(c) if is_size(c) => {
                self.bump();
                self.take_until(|c| !matches!(c, 'b' | 'B' | 'i' | 'I'));
                if self.at_number_end() {
                    return Ok(Word::Integer(self.since(start)));
                }
                self.take_text(start)
            }
            _ if negative || self.at_number_end() => Ok(Word::Integer(self.since(start))),
            _ => {
                // What follows belongs to the text, whatever it is.
                self.bump();
                self.take_text(start)
            }
        }
    }

    /// Takes what follows the point of a number: digits, or the rest of an address.
    fn take_fraction(&mut self, start: usize) -> Result<Word<'a>, String> {
        let got = self.next();
        if !got.is_some_and(|c| c.is_ascii_digit()) {
            let got = shown(got);
            let reason =
                format!("Floats must have a digit after the '.', but got '{got}' instead.");
            return Err(reason);
        }
        self.take_until(|c| !c.is_ascii_digit());
        if self.peek() != Some('.') {
            return Ok(Word::Float(self.since(start)));
        }
        self.take_until(|c| !(c.is_ascii_digit() || matches!(c, '.' | ':' | '-')));
        Ok(Word::Text(self.since(start).to_owned()))
    }

    /// Takes what follows the year of a time.
    fn take_time(&mut self, start: usize) -> Result<Word<'a>, String> {
        for wanted in "00-00T00:00:00Z".chars() {
            let got = self.next();
            if wanted == '0' && !got.is_some_and(|c| c.is_ascii_digit()) {
                let got = shown(got);
                return Err(format!(
                    "Expected digit in ISO8601 datetime, but found '{got}' instead."
                ));
            }
            if wanted != '0' && got != Some(wanted) {
                let got = shown(got);
                return Err(format!(
                    "Expected '{wanted}' in ISO8601 datetime, but found '{got}' instead."
                ));
            }
        }
        Ok(Word::Time(self.since(start)))
    }

    fn take_text(&mut self, start: usize) -> Result<Word<'a>, String> {
        let begun = self.since(start);
        let ends = |c: char| {
            matches!(
                c,
                ' ' | '\t' | '\n' | '\r' | ';' | ',' | ']' | '}' | '\'' | '\0'
            )
        };
        let (text, escaped) = self.take_escaped(ends)?;
        if self.peek() == Some('\'') {
            // A quote ends a word, and what stands before it is a text whatever it looks like.
            let text = format!("{begun}{text}");
            self.bump();
            return Ok(Word::Text(text));
        }
        if escaped {
            return Ok(Word::Text(format!("{begun}{text}")));
        }
        Ok(Word::Bare(self.since(start)))
    }

    /// Takes a text up to what ends it, and replaces the escapes in it; tells whether there were any.
    pub(super) fn take_escaped(
        &mut self,
        ends: impl Fn(char) -> bool,
    ) -> Result<(String, bool), String> {
        let mut text = String::new();
        let mut escaped = false;
        loop {
            text.push_str(self.take_until(|c| c == '\\' || ends(c)));
            if !self.eat('\\') {
                return Ok((text, escaped));
            }
            escaped = true;
            text.push(self.take_escape()?);
        }
    }

    /// Takes what follows a backslash.
    fn take_escape(&mut self) -> Result<char, String> {
        match self.next() {
            Some('x') => self.take_code(),
            Some('t') => Ok('\t'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some(c @ ('"' | '\\')) => Ok(c),
            other => Err(format!(
                "Invalid escape character '{}'. Only the following escape characters are \
                 allowed: \\xXX, \\t, \\n, \\r, \\\", \\\\.",
                shown(other)
            )),
        }
    }

    fn take_code(&mut self) -> Result<char, String> {
        let start = self.at();
        for _ in 0..2 {
            if matches!(self.next(), Some('\n' | '\r')) {
                let reason = "Expected two hexadecimal digits after '\\x', but hit end of line";
                return Err(reason.to_owned());
            }
        }
        let digits = self.since(start);
        // Above 0x7f a byte would not be text; the code point of that number stands for it.
        match u8::from_str_radix(digits, 16) {
            Ok(code) if digits.len() == 2 => Ok(char::from(code)),
            _ => Err(format!(
                "Expected two hexadecimal digits after '\\x', but got '{digits}'"
            )),
        }
    }

    fn at_number_end(&self) -> bool {
        let ends = |c| matches!(c, ' ' | '\t' | '\n' | '\r' | ';' | ',' | '}' | '\0');
        self.peek().is_none_or(ends)
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.bump();
        next
    }
}

/// Says whether a character behind digits begins a unit of size.
fn is_size(c: char) -> bool {
    matches!(c.to_ascii_lowercase(), 'k' | 'm' | 'g' | 't' | 'p' | 'e')
}

/// Spells what is there instead of something else; the end of the text is a zero.
fn shown(c: Option<char>) -> String {
    match c {
        Some('\n') => "\\n".to_owned(),
        c => c.unwrap_or('\0').into(),
    }
}
