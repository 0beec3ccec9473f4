//! Exports and imports between accounts, each as it stands; [`rules`] says which of them fit each
//! other.

mod exports;
mod imports;
mod rules;
#[cfg(test)]
mod tests;

pub(super) use exports::exports;
pub(super) use imports::imports;
pub(super) use rules::check;

use crate::value::Value;

/// Names a value's kind as nats-server's mistakes do.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "string",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::Bool(_) => "bool",
        Value::Time(_) => "time.Time",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
    }
}
