//! The shape of a JSON schema: which of its parts judge which values.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::growth::{Graph, NodeId, Place};

/// Refuses schemas that explode, and references that cannot be followed.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let mut shape = Shape::default();
    let root = shape.part(schema, "", "")?;
    shape.connect()?;
    shape.graph.check(root)
}

#[derive(Default)]
struct Shape {
    graph: Graph,
    /// Parts by their JSON pointer, `#/...`, and by what else they may be referred to as.
    names: BTreeMap<String, NodeId>,
    /// Parts with a `$dynamicAnchor` or `$recursiveAnchor`, any of which a dynamic reference may mean.
    dynamic: Vec<NodeId>,
    refs: Vec<Ref>,
}

struct Ref {
    from: NodeId,
    /// What it says, and the `$id` that it is relative to.
    to: String,
    base: String,
    is_dynamic: bool,
}

impl Shape {
    /// Adds the part at `pointer` and those inside it.
    fn part(&mut self, schema: &Value, pointer: &str, base: &str) -> Result<NodeId, String> {
        let node = self.graph.add();
        self.names.insert(format!("#{pointer}"), node);
        let Value::Object(schema) = schema else {
            return Ok(node);
        };
        let text = |key| schema.get(key).and_then(Value::as_str);
        let mut base = base.to_owned();
        for id in [text("$id"), text("id")].into_iter().flatten() {
            base = join(&base, id.trim_end_matches('#'));
            self.names.insert(base.clone(), node);
            if id.starts_with('#') {
                self.names.insert(id.into(), node);
            }
        }
        for anchor in [text("$anchor"), text("$dynamicAnchor")]
            .into_iter()
            .flatten()
        {
            self.names.insert(format!("#{anchor}"), node);
            self.names.insert(format!("{base}#{anchor}"), node);
        }
        if schema.contains_key("$dynamicAnchor") || schema.contains_key("$recursiveAnchor") {
            self.dynamic.push(node);
        }
        for (key, is_dynamic) in [
            ("$ref", false),
            ("$dynamicRef", true),
            ("$recursiveRef", true),
        ] {
            if let Some(to) = text(key) {
                let (to, base) = (to.to_owned(), base.clone());
                self.refs.push(Ref {
                    from: node,
                    to,
                    base,
                    is_dynamic,
                });
            }
        }
        self.keywords(node, schema, pointer, &base)?;
        Ok(node)
    }

    fn keywords(
        &mut self,
        node: NodeId,
        schema: &Map<String, Value>,
        pointer: &str,
        base: &str,
    ) -> Result<(), String> {
        // Branches are looked at twice where it matters which of them hold.
        let has_unevaluated = ["unevaluatedProperties", "unevaluatedItems"]
            .iter()
            .any(|key| schema.contains_key(*key));
        for (key, value) in schema {
            let at = format!("{pointer}/{}", escaped(key));
            match (key.as_str(), value) {
                ("not" | "if" | "then" | "else", part) => {
                    let to = self.part(part, &at, base)?;
                    self.here(node, to, has_unevaluated);
                }
                ("allOf", Value::Array(parts)) => {
                    for to in self.list(parts, &at, base)? {
                        self.here(node, to, false);
                    }
                }
                ("anyOf" | "oneOf", Value::Array(parts)) => {
                    for to in self.list(parts, &at, base)? {
                        self.here(node, to, has_unevaluated);
                    }
                }
                ("dependentSchemas" | "dependencies", Value::Object(parts)) => {
                    for (_, to) in self.table(parts, &at, base)? {
                        self.here(node, to, has_unevaluated);
                    }
                }
                ("properties", Value::Object(parts)) => {
                    for (name, to) in self.table(parts, &at, base)? {
                        self.graph.down(node, Place::Member(name), to);
                    }
                }
                ("patternProperties", Value::Object(parts)) => {
                    for (_, to) in self.table(parts, &at, base)? {
                        self.graph.down(node, Place::AnyMember, to);
                    }
                }
                ("additionalProperties" | "unevaluatedProperties", part) => {
                    let to = self.part(part, &at, base)?;
                    self.graph.down(node, Place::OtherMember, to);
                }
                ("propertyNames" | "contentSchema", part) => {
                    self.part(part, &at, base)?;
                }
                ("items" | "prefixItems", Value::Array(parts)) => {
                    for (number, to) in self.list(parts, &at, base)?.into_iter().enumerate() {
                        self.graph.down(node, Place::Element(number), to);
                    }
                }
                ("contains", part) => {
                    let to = self.part(part, &at, base)?;
                    self.graph.down(node, Place::AnyElement, to);
                }
                ("items" | "additionalItems" | "unevaluatedItems", part) => {
                    let to = self.part(part, &at, base)?;
                    self.graph.down(node, Place::OtherElement, to);
                }
                // Parts that judge nothing where they stand, or keywords that nobody knows: either may
                // be referred to.
                (_, Value::Object(_)) if !matches!(key.as_str(), "const" | "default") => {
                    self.part(value, &at, base)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn here(&mut self, from: NodeId, to: NodeId, is_twice: bool) {
        self.graph.here(from, to);
        if is_twice {
            self.graph.here(from, to);
        }
    }

    fn list(&mut self, parts: &[Value], at: &str, base: &str) -> Result<Vec<NodeId>, String> {
        let numbered = parts.iter().enumerate();
        numbered
            .map(|(number, part)| self.part(part, &format!("{at}/{number}"), base))
            .collect()
    }

    fn table(
        &mut self,
        parts: &Map<String, Value>,
        at: &str,
        base: &str,
    ) -> Result<Vec<(String, NodeId)>, String> {
        let named = parts.iter();
        named
            .map(|(name, part)| {
                let at = format!("{at}/{}", escaped(name));
                Ok((name.clone(), self.part(part, &at, base)?))
            })
            .collect()
    }

    /// Draws the ways that references are.
    fn connect(&mut self) -> Result<(), String> {
        for Ref {
            from,
            to,
            base,
            is_dynamic,
        } in core::mem::take(&mut self.refs)
        {
            if is_dynamic {
                for to in self.dynamic.clone() {
                    self.graph.here(from, to);
                }
            }
            let absolute = join(&base, &to);
            let names = [
                to.as_str(),
                absolute.as_str(),
                absolute.trim_end_matches('#'),
            ];
            let found = names.iter().find_map(|name| self.names.get(&decoded(name)));
            match found {
                Some(to) if !(is_dynamic && self.dynamic.contains(to)) => {
                    self.graph.here(from, *to);
                }
                Some(_) => {}
                // The library has these built in, and they explode as little as their drafts.
                None if to.contains("json-schema.org/") => {}
                None => return Err(format!("the reference {to} leads nowhere in it")),
            }
        }
        Ok(())
    }
}

/// Returns what `reference` means in a document called `base`.
fn join(base: &str, reference: &str) -> String {
    if reference.starts_with('#') {
        return format!("{base}{reference}");
    }
    if reference.contains("://") || reference.starts_with("urn:") || base.is_empty() {
        return reference.to_owned();
    }
    let end = match reference.strip_prefix('/') {
        // From the root of the host.
        Some(_) => {
            let host = base.find("://").map_or(0, |at| at + "://".len());
            let rest = base.get(host..).unwrap_or_default();
            rest.find('/').map(|at| host + at)
        }
        None => base.rfind('/').map(|at| at + 1),
    };
    format!(
        "{}{reference}",
        base.get(..end.unwrap_or(0)).unwrap_or_default()
    )
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Undoes the percent signs of a reference.
fn decoded(reference: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = reference.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digit = |b: Option<u8>| char::from(b?).to_digit(16);
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                out.extend(u8::try_from(high << 4 | low));
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
