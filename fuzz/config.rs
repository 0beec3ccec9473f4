//! Configuration files: whatever stands in one, the server starts or says why not.

use std::collections::BTreeMap;

use ::config::fake::Fake;
use ::config::{Launch, load, reload};

use crate::halves;

const PROGRAM: &str = "nats-server";

/// A text up to the first zero byte is the file at the start, one behind it the file at a reload, which
/// is also what the first may include.
pub fn run(input: &[u8]) {
    let (first, second) = halves(input);
    let Ok(first) = str::from_utf8(first) else {
        return;
    };
    let second = second.map(|second| String::from_utf8_lossy(second).into_owned());
    let second = second.unwrap_or_default();
    let mut files = Fake {
        files: BTreeMap::from([
            ("nats.conf", first.to_owned()),
            ("./other.conf", second.clone()),
            ("other.conf", second.clone()),
        ]),
        env: BTreeMap::from([("VARIABLE", "4222")]),
    };
    let args = [String::from("-c"), String::from("nats.conf")];
    let Ok(Launch::Serve(setup)) = load(PROGRAM, &args, &mut files) else {
        return;
    };
    reload(PROGRAM, &args, &setup.options, &mut files).expect("nothing has changed");
    files.files.insert("nats.conf", second);
    let _ = reload(PROGRAM, &args, &setup.options, &mut files);
}
