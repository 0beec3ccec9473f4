//! The `beale` binary.

use std::process::ExitCode;

use server::launch::{Next, launch};
use server::process;

fn main() -> ExitCode {
    match launch() {
        Next::Serve(setup, line) => process::run(*setup, line),
        Next::Exit(code) => ExitCode::from(code),
    }
}
