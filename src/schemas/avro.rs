//! Avro: the message is JSON, as Memphis' SDKs send it, not Avro's binary form.

use std::collections::BTreeMap;
use std::rc::Rc;

use apache_avro::Schema;
use apache_avro::types::Value;
use memphis::guard::{Compiled, Validator};

use crate::growth::{Graph, NodeId, Place};
use crate::limits::one_line;

pub(crate) fn compile(content: &str) -> Result<Compiled, String> {
    let schema = Schema::parse_str(content).map_err(|error| one_line(&error.to_string()))?;
    let mut shape = Shape::default();
    let root = shape.node(&schema);
    shape.graph.check(root)?;
    Ok(Compiled {
        validator: Rc::new(Avro(schema)),
        descriptor: Vec::new(),
        message_struct: String::new(),
    })
}

#[derive(Debug)]
struct Avro(Schema);

impl Validator for Avro {
    fn check(&self, message: &[u8]) -> Result<(), String> {
        let value: serde_json::Value =
            serde_json::from_slice(message).map_err(|error| format!("it is not JSON: {error}"))?;
        let value = Value::try_from(value).map_err(|error| one_line(&error.to_string()))?;
        let resolved = value.resolve(&self.0);
        resolved.map_err(|error| one_line(&error.to_string()))?;
        Ok(())
    }
}

/// The shape of a schema: where its parts are checked.
#[derive(Default)]
struct Shape {
    graph: Graph,
    /// Named types, which are referred to by name afterwards.
    named: BTreeMap<String, NodeId>,
}

impl Shape {
    fn node(&mut self, schema: &Schema) -> NodeId {
        if let Schema::Ref { name } = schema {
            return self.named(&format!("{name:?}"));
        }
        let node = match schema.name() {
            Some(name) => self.named(&format!("{name:?}")),
            None => self.graph.add(),
        };
        match schema {
            Schema::Record(record) => {
                for field in &record.fields {
                    let to = self.node(&field.schema);
                    let place = Place::Member(field.name.clone());
                    self.graph.down(node, place, to);
                }
            }
            Schema::Union(union) => {
                for variant in union.variants() {
                    let to = self.node(variant);
                    self.graph.here(node, to);
                }
            }
            Schema::Array(array) => {
                let to = self.node(&array.items);
                self.graph.down(node, Place::AnyElement, to);
            }
            Schema::Map(map) => {
                let to = self.node(&map.types);
                self.graph.down(node, Place::AnyMember, to);
            }
            // Nothing is inside the others.
            Schema::Null
            | Schema::Boolean
            | Schema::Int
            | Schema::Long
            | Schema::Float
            | Schema::Double
            | Schema::Bytes
            | Schema::String
            | Schema::Enum(_)
            | Schema::Fixed(_)
            | Schema::Decimal(_)
            | Schema::BigDecimal
            | Schema::Uuid(_)
            | Schema::Date
            | Schema::TimeMillis
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos
            | Schema::Duration(_)
            | Schema::Ref { .. } => {}
        }
        node
    }

    fn named(&mut self, name: &str) -> NodeId {
        if let Some(node) = self.named.get(name) {
            return *node;
        }
        let node = self.graph.add();
        self.named.insert(name.into(), node);
        node
    }
}
