//! The project's own lint test and its tools.
