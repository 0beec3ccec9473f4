//! How large and deep schemas and messages may be, so that the libraries' recursion stays on the stack.

/// The longest schema, in bytes.
pub(crate) const SCHEMA_BYTES_MAX: usize = 512 << 10;
/// How deep brackets may be nested in a schema.
pub(crate) const SCHEMA_DEPTH_MAX: usize = 64;
/// How deep selections may be nested in a GraphQL message.
pub(crate) const QUERY_DEPTH_MAX: usize = 64;
/// How many words a GraphQL document may have.
pub(crate) const QUERY_TOKENS_MAX: usize = 100_000;
/// How long a reason may be that goes to a user and into the log.
const REASON_BYTES_MAX: usize = 500;

/// Refuses a schema that no library should have to read.
pub(crate) fn check_schema(content: &str) -> Result<(), String> {
    if content.len() > SCHEMA_BYTES_MAX {
        return Err(format!("it is longer than {SCHEMA_BYTES_MAX} bytes"));
    }
    check_depth(content.as_bytes(), SCHEMA_DEPTH_MAX)
}

/// Refuses text whose brackets are nested too deep. Those in quoted texts count as well: whoever has
/// that many of them open can leave some out.
pub(crate) fn check_depth(content: &[u8], depth_max: usize) -> Result<(), String> {
    let mut depth = 0_usize;
    for byte in content {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > depth_max {
            return Err(format!("it is nested deeper than {depth_max} levels"));
        }
    }
    Ok(())
}

/// Returns a library's message as one short line, which fits into headers and logs.
pub(crate) fn one_line(reason: &str) -> String {
    let mut line = String::new();
    for word in reason.split_whitespace() {
        if line.len() + word.len() > REASON_BYTES_MAX {
            line.push_str("...");
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}
