//! Configuration files: whatever stands in one, the server starts or says why not.

use ::config::options::Tls;
use ::config::{Launch, Surroundings, load, reload};

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
    let mut files = Files {
        main: first.to_owned(),
        other: second.unwrap_or_default(),
    };
    let args = [String::from("-c"), String::from("nats.conf")];
    let Ok(Launch::Serve(setup)) = load(PROGRAM, &args, &mut files) else {
        return;
    };
    reload(PROGRAM, &args, &setup.options, &mut files).expect("nothing has changed");
    files.main.clone_from(&files.other);
    let _ = reload(PROGRAM, &args, &setup.options, &mut files);
}

struct Files {
    main: String,
    other: String,
}

impl Surroundings for Files {
    fn read(&mut self, path: &str) -> Result<String, String> {
        match path {
            "nats.conf" => Ok(self.main.clone()),
            "./other.conf" | "other.conf" => Ok(self.other.clone()),
            _ => Err(String::from("no such file or directory")),
        }
    }

    fn variable(&mut self, name: &str) -> Option<String> {
        (name == "VARIABLE").then(|| String::from("4222"))
    }

    fn seconds(&mut self) -> i64 {
        1_700_000_000
    }

    fn tokens(&mut self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn check_tls(&mut self, _: &Tls) -> Result<String, String> {
        Ok(String::new())
    }
}
