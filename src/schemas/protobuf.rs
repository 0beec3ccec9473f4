//! Protocol Buffers: one `.proto` file without imports, and bytes that must decode as its message.
//!
//! Almost any bytes are some message of fields that nobody knows, and so fields that the schema does not
//! know count as a misfit, and so do `required` ones that are missing.

use std::rc::Rc;

use memphis::guard::{Compiled, SchemaText, Validator};
use prost_reflect::{Cardinality, DynamicMessage, MessageDescriptor, ReflectMessage as _, Value};
use protox::file::{File, FileResolver};
use protox::{Compiler, Error};

use crate::limits::one_line;

pub(crate) fn compile(schema: SchemaText<'_>) -> Result<Compiled, String> {
    let SchemaText {
        file_name, content, ..
    } = schema;
    let text = |error: Error| one_line(&error.to_string());
    let mut compiler = Compiler::with_file_resolver(OneFile {
        file_name: file_name.into(),
        content: content.into(),
    });
    compiler.include_source_info(false);
    compiler.open_file(file_name).map_err(text)?;
    let descriptor = compiler.encode_file_descriptor_set();
    let pool = compiler.descriptor_pool();
    let mut messages = pool.files().flat_map(|file| {
        let messages: Vec<MessageDescriptor> = file.messages().collect();
        messages
    });
    let wanted = schema.message_struct;
    let message = if wanted.is_empty() {
        messages.next().ok_or("it has no message")?
    } else {
        let is_it =
            |message: &MessageDescriptor| message.name() == wanted || message.full_name() == wanted;
        let found = messages.find(is_it);
        found.ok_or_else(|| format!("it has no message {wanted}"))?
    };
    Ok(Compiled {
        message_struct: message.name().into(),
        validator: Rc::new(Protobuf(message)),
        descriptor,
    })
}

/// Schemas are single files.
struct OneFile {
    file_name: String,
    content: String,
}

impl FileResolver for OneFile {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        if name == self.file_name {
            File::from_source(name, &self.content)
        } else {
            Err(Error::file_not_found(name))
        }
    }
}

#[derive(Debug)]
struct Protobuf(MessageDescriptor);

impl Validator for Protobuf {
    fn check(&self, message: &[u8]) -> Result<(), String> {
        // The library's own limit on nesting is 100.
        let decoded = DynamicMessage::decode(self.0.clone(), message);
        let decoded = decoded.map_err(|error| one_line(&error.to_string()))?;
        fits(&decoded)
    }
}

fn fits(message: &DynamicMessage) -> Result<(), String> {
    let of = message.descriptor();
    let name = of.full_name();
    if let Some(field) = message.unknown_fields().next() {
        let number = field.number();
        return Err(format!("{name} has no field {number}"));
    }
    let is_missing = |field: &prost_reflect::FieldDescriptor| {
        field.cardinality() == Cardinality::Required && !message.has_field(field)
    };
    if let Some(field) = of.fields().find(is_missing) {
        return Err(format!("{name} lacks the required field {}", field.name()));
    }
    message
        .fields()
        .try_for_each(|(_, value)| fits_value(value))
}

fn fits_value(value: &Value) -> Result<(), String> {
    match value {
        Value::Message(message) => fits(message),
        Value::List(values) => values.iter().try_for_each(fits_value),
        Value::Map(values) => {
            // In the order of the keys, so that the same reason is given each time.
            let mut values: Vec<_> = values.iter().collect();
            values.sort_unstable_by_key(|(key, _)| format!("{key:?}"));
            values
                .into_iter()
                .try_for_each(|(_, value)| fits_value(value))
        }
        Value::Bool(_)
        | Value::I32(_)
        | Value::I64(_)
        | Value::U32(_)
        | Value::U64(_)
        | Value::F32(_)
        | Value::F64(_)
        | Value::String(_)
        | Value::Bytes(_)
        | Value::EnumNumber(_) => Ok(()),
    }
}
