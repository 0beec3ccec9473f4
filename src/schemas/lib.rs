//! The schema languages of Schemaverse: JSON Schema, Protocol Buffers, Avro and GraphQL, each by a library
//! from its field.
//!
//! [`Languages`] is what the broker lends to its Memphis machine, which is pure and cannot name these
//! libraries.
//!
//! *Invariant:* a function of its arguments alone. A schema from which a short message could cause long
//! work (deep, recursive at several places, huge) is refused when it is compiled.

mod avro;
mod graphql;
mod growth;
mod json;
mod limits;
mod protobuf;

use memphis::book::SchemaKind;
use memphis::guard::{Compiled, SchemaLibrary, SchemaText};

/// All schema languages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Languages;

impl SchemaLibrary for Languages {
    fn compile(&self, schema: SchemaText<'_>) -> Result<Compiled, String> {
        let refuse = |reason: String| Err(refusal(schema.kind, &reason));
        if let Err(reason) = limits::check_schema(schema.content) {
            return refuse(reason);
        }
        let compiled = match schema.kind {
            SchemaKind::Json => json::compile(schema.content),
            SchemaKind::Protobuf => protobuf::compile(schema),
            SchemaKind::Graphql => graphql::compile(schema.content),
            SchemaKind::Avro => avro::compile(schema.content),
        };
        compiled.or_else(refuse)
    }
}

/// Says what is wrong with a schema in Memphis' words, which SDKs show, and in the library's.
fn refusal(kind: SchemaKind, reason: &str) -> String {
    let what = match kind {
        SchemaKind::Json => "your json schema is invalid",
        SchemaKind::Protobuf => "your Proto file is invalid",
        SchemaKind::Graphql => "your schema content is invalid",
        SchemaKind::Avro => "your Avro file is invalid",
    };
    format!("{what}: {}", limits::one_line(reason))
}

#[cfg(test)]
mod tests;
