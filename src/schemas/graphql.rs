//! GraphQL: the message is a query document that must be valid against the schema.

use std::rc::Rc;

use apollo_compiler::parser::Parser;
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Schema};
use memphis::guard::{Compiled, Validator};

use crate::limits::{QUERY_DEPTH_MAX, QUERY_TOKENS_MAX, check_depth, one_line};

/// What the library calls the document in its messages.
const DOCUMENT: &str = "message.graphql";

pub(crate) fn compile(content: &str) -> Result<Compiled, String> {
    let schema = parser().parse_schema(content, "schema.graphql");
    let schema = schema.map_err(|errors| first(&errors.errors))?;
    let schema = schema.validate().map_err(|errors| first(&errors.errors))?;
    Ok(Compiled {
        validator: Rc::new(GraphQl(schema)),
        descriptor: Vec::new(),
        message_struct: String::new(),
    })
}

#[derive(Debug)]
struct GraphQl(Valid<Schema>);

impl Validator for GraphQl {
    fn check(&self, message: &[u8]) -> Result<(), String> {
        let message = str::from_utf8(message).map_err(|_| "it is not a text")?;
        check_depth(message.as_bytes(), QUERY_DEPTH_MAX)?;
        let document: ExecutableDocument = parser()
            .parse_executable(&self.0, message, DOCUMENT)
            .map_err(|errors| first(&errors.errors))?;
        if document.operations.is_empty() && document.fragments.is_empty() {
            return Err("it has no operation".into());
        }
        match document.validate(&self.0) {
            Ok(_) => Ok(()),
            Err(errors) => Err(first(&errors.errors)),
        }
    }
}

fn parser() -> Parser {
    Parser::new()
        .recursion_limit(QUERY_DEPTH_MAX)
        .token_limit(QUERY_TOKENS_MAX)
}

fn first(errors: &DiagnosticList) -> String {
    let first = errors.iter().next();
    first.map_or_else(String::new, |error| one_line(&error.error.to_string()))
}
