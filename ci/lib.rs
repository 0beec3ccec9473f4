//! The project's own lint test: rules that neither rustc nor clippy knows. `ci/run.sh` runs it with
//! everything else, `cargo test -p ci` alone.

#[cfg(test)]
mod tidy;
