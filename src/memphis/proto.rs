//! Compiles a `.proto` file into the descriptor set that SDKs decode messages with.
//!
//! What SDKs do not need is read over: options, services, comments. Names of types are left as they
//! are written, relative to where they are used, which the libraries behind the SDKs resolve.
//!
//! *Invariant:* one file without imports, and no deeper nesting than [`DEPTH_MAX`].

mod token;
mod wire;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use token::Tokens;
use wire::Record;

/// How deep messages may be nested.
const DEPTH_MAX: usize = 32;
const LABEL_OPTIONAL: u64 = 1;
const LABEL_REQUIRED: u64 = 2;
const LABEL_REPEATED: u64 = 3;

/// Why a file cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtoError {
    /// Something else was to come.
    #[error("expected {expected}, found '{found}'")]
    Unexpected {
        /// What was to come.
        expected: &'static str,
        /// What came; empty for the end of the file.
        found: String,
    },
    /// Schemas are single files.
    #[error("imports are not supported")]
    Import,
    /// Messages are nested too deep.
    #[error("messages are nested too deep")]
    Depth,
    /// There is nothing to send.
    #[error("it has no message")]
    NoMessage,
}

/// Returns the serialized `FileDescriptorSet` of a file.
///
/// # Errors
/// The first thing in the file that cannot be understood.
pub fn compile(file_name: &str, content: &str) -> Result<Vec<u8>, ProtoError> {
    let mut tokens = Tokens::new(content);
    let mut file = Record::default();
    file.text(1, file_name);
    let mut has_message = false;
    let mut syntax = String::from("proto2");
    while let Some(word) = tokens.next() {
        match word {
            "syntax" => {
                tokens.expect("=")?;
                syntax = tokens
                    .any("a syntax")?
                    .trim_matches(['"', '\''])
                    .to_string();
                tokens.expect(";")?;
            }
            "package" => {
                file.text(2, tokens.any("a package")?);
                tokens.expect(";")?;
            }
            "message" => {
                has_message = true;
                file.record(4, &message(&mut tokens, 0)?);
            }
            "enum" => file.record(5, &enumeration(&mut tokens)?),
            "import" => return Err(ProtoError::Import),
            "option" => tokens.skip_statement(),
            "service" | "extend" => tokens.skip_block()?,
            ";" => {}
            other => return Err(unexpected("a message", other)),
        }
    }
    if !has_message {
        return Err(ProtoError::NoMessage);
    }
    if syntax != "proto2" {
        file.text(12, &syntax);
    }
    let mut set = Record::default();
    set.record(1, &file);
    Ok(set.into_bytes())
}

fn message(tokens: &mut Tokens<'_>, depth: usize) -> Result<Record, ProtoError> {
    if depth > DEPTH_MAX {
        return Err(ProtoError::Depth);
    }
    let mut own = Message::default();
    own.record.text(1, tokens.any("a message's name")?);
    tokens.expect("{")?;
    loop {
        match tokens.any("a field")? {
            "}" => break,
            ";" => {}
            "message" => own.record.record(3, &message(tokens, depth + 1)?),
            "enum" => own.record.record(4, &enumeration(tokens)?),
            "option" | "reserved" | "extensions" => tokens.skip_statement(),
            "extend" => tokens.skip_block()?,
            "oneof" => {
                let choice = own.choice(tokens.any("a name")?);
                tokens.expect("{")?;
                loop {
                    match tokens.any("a field")? {
                        "}" => break,
                        "option" => tokens.skip_statement(),
                        kind => own.field(tokens, kind, LABEL_OPTIONAL, Some(choice))?,
                    }
                }
            }
            "map" => own.map(tokens)?,
            "repeated" => own.labelled(tokens, LABEL_REPEATED)?,
            "required" => own.labelled(tokens, LABEL_REQUIRED)?,
            "optional" => own.labelled(tokens, LABEL_OPTIONAL)?,
            kind => own.field(tokens, kind, LABEL_OPTIONAL, None)?,
        }
    }
    Ok(own.record)
}

/// A message under construction.
#[derive(Default)]
struct Message {
    record: Record,
    choices: u64,
}

impl Message {
    fn choice(&mut self, name: &str) -> u64 {
        let mut choice = Record::default();
        choice.text(1, name);
        self.record.record(8, &choice);
        self.choices += 1;
        self.choices - 1
    }

    fn labelled(&mut self, tokens: &mut Tokens<'_>, label: u64) -> Result<(), ProtoError> {
        let kind = tokens.any("a type")?;
        self.field(tokens, kind, label, None)
    }

    fn field(
        &mut self,
        tokens: &mut Tokens<'_>,
        kind: &str,
        label: u64,
        choice: Option<u64>,
    ) -> Result<(), ProtoError> {
        let name = tokens.any("a field's name")?;
        tokens.expect("=")?;
        let number = tokens.number()?;
        tokens.skip_statement();
        let mut field = field(name, number, label, kind);
        if let Some(choice) = choice {
            field.number(9, choice);
        }
        self.record.record(2, &field);
        Ok(())
    }

    /// A map is a repeated message of key and value, which carries a mark.
    fn map(&mut self, tokens: &mut Tokens<'_>) -> Result<(), ProtoError> {
        tokens.expect("<")?;
        let key = tokens.any("a key's type")?;
        tokens.expect(",")?;
        let value = tokens.any("a value's type")?;
        tokens.expect(">")?;
        let name = tokens.any("a field's name")?;
        tokens.expect("=")?;
        let number = tokens.number()?;
        tokens.skip_statement();
        let entry_name = entry_name(name);
        let mut mark = Record::default();
        mark.number(7, 1);
        let mut entry = Record::default();
        entry.text(1, &entry_name);
        entry.record(2, &field("key", 1, LABEL_OPTIONAL, key));
        entry.record(2, &field("value", 2, LABEL_OPTIONAL, value));
        entry.record(7, &mark);
        self.record.record(3, &entry);
        let field = field(name, number, LABEL_REPEATED, &entry_name);
        self.record.record(2, &field);
        Ok(())
    }
}

fn enumeration(tokens: &mut Tokens<'_>) -> Result<Record, ProtoError> {
    let mut own = Record::default();
    own.text(1, tokens.any("an enum's name")?);
    tokens.expect("{")?;
    loop {
        match tokens.any("a value")? {
            "}" => return Ok(own),
            ";" => {}
            "option" | "reserved" => tokens.skip_statement(),
            name => {
                tokens.expect("=")?;
                let number = tokens.number()?;
                tokens.skip_statement();
                let mut value = Record::default();
                value.text(1, name);
                value.number(2, number);
                own.record(2, &value);
            }
        }
    }
}

fn field(name: &str, number: u64, label: u64, kind: &str) -> Record {
    let mut field = Record::default();
    field.text(1, name);
    field.number(3, number);
    field.number(4, label);
    match scalar(kind) {
        Some(number) => field.number(5, number),
        // Message or enum: whoever reads the descriptor finds out.
        None => field.text(6, kind),
    }
    field
}

/// Returns the number of a built-in type.
fn scalar(kind: &str) -> Option<u64> {
    const NAMES: [&str; 18] = [
        "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "",
        "", "bytes", "uint32", "", "sfixed32", "sfixed64", "sint32", "sint64",
    ];
    let place = NAMES.iter().position(|name| *name == kind)?;
    Some(place as u64 + 1)
}

/// Returns the name that compilers give a map's entries: `FooBarEntry` for `foo_bar`.
fn entry_name(field: &str) -> String {
    let parts = field.split('_').filter(|part| !part.is_empty());
    let parts = parts.map(|part| {
        let (first, rest) = part.split_at(part.chars().next().map_or(0, char::len_utf8));
        first.to_ascii_uppercase() + rest
    });
    parts.collect::<String>() + "Entry"
}

fn unexpected(expected: &'static str, found: &str) -> ProtoError {
    ProtoError::Unexpected {
        expected,
        found: found.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_described_as_googles_library_does() {
        let content = "syntax = \"proto3\"; // one\npackage t;\n\
                       message M { string id = 1; /* two */ repeated int32 n = 2 [packed = true]; }";
        let expected = b"\n2\n\ts_1.proto\x12\x01t\"\x1a\n\x01M\x12\n\n\x02id\x18\x01 \x01(\t\
                         \x12\t\n\x01n\x18\x02 \x03(\x05b\x06proto3";
        assert_eq!(compile("s_1.proto", content).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_compiled_is_named() {
        let error = |content| compile("f", content).unwrap_err().to_string();
        assert_eq!(error("syntax = \"proto3\";"), "it has no message");
        assert_eq!(error("import \"a\";"), "imports are not supported");
        assert_eq!(error("message M { string = 1; }"), "expected =, found '1'");
        assert_eq!(error("message M {"), "expected a field, found ''");
    }

    #[test]
    fn nesting_ends_somewhere() {
        let deep = "message M { ".repeat(1000);
        assert_eq!(compile("f", &deep), Err(ProtoError::Depth));
    }
}
