//! JSON Schema, drafts 4 to 2020-12: the draft is the one that `$schema` names.
//!
//! Nothing is fetched: a reference to another document is refused. Patterns are matched in linear time,
//! so that those which need backtracking are refused.

mod shape;

use std::rc::Rc;

use jsonschema::PatternOptions;
use memphis::guard::{Compiled, Validator};
use serde_json::Value;

use crate::limits::one_line;

/// How much memory a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

pub(crate) fn compile(content: &str) -> Result<Compiled, String> {
    let schema: Value = serde_json::from_str(content).map_err(|error| error.to_string())?;
    if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
        return Err("it is not an object".into());
    }
    shape::check(&schema)?;
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX);
    let validator = jsonschema::options()
        .with_pattern_options(patterns)
        .build(&schema)
        .map_err(|error| one_line(&error.to_string()))?;
    Ok(Compiled {
        validator: Rc::new(Json(validator)),
        descriptor: Vec::new(),
        message_struct: String::new(),
    })
}

#[derive(Debug)]
struct Json(jsonschema::Validator);

impl Validator for Json {
    fn check(&self, message: &[u8]) -> Result<(), String> {
        let message: Value =
            serde_json::from_slice(message).map_err(|error| format!("it is not JSON: {error}"))?;
        if self.0.is_valid(&message) {
            return Ok(());
        }
        let Err(error) = self.0.validate(&message) else {
            return Ok(());
        };
        let at = error.instance_path().to_string();
        let reason = one_line(&error.to_string());
        Err(if at.is_empty() {
            reason
        } else {
            format!("{at}: {reason}")
        })
    }
}
