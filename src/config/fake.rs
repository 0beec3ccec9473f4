//! Files and variables that exist in memory only: what a configuration is tested with, here and in
//! other crates.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::Surroundings;
use crate::options::Tls;

/// Files and variables that exist in memory only.
#[derive(Debug, Default)]
pub struct Fake {
    /// What stands in each file, by its path.
    pub files: BTreeMap<&'static str, String>,
    /// The environment.
    pub env: BTreeMap<&'static str, &'static str>,
}

impl Fake {
    /// Returns a world whose only file is `nats.conf`.
    #[must_use]
    pub fn with_config(text: &str) -> Self {
        Self {
            files: BTreeMap::from([("nats.conf", text.to_string())]),
            env: BTreeMap::new(),
        }
    }
}

impl Surroundings for Fake {
    fn read(&mut self, path: &str) -> Result<String, String> {
        let text = self.files.get(path).cloned();
        text.ok_or_else(|| String::from("no such file or directory"))
    }

    fn variable(&mut self, name: &str) -> Option<String> {
        self.env.get(name).map(ToString::to_string)
    }

    fn seconds(&mut self) -> i64 {
        1_700_000_000
    }

    fn tokens(&mut self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    /// Returns the names of files that are not here, and else what is in them.
    fn check_tls(&mut self, tls: &Tls) -> Result<String, String> {
        let named = tls.certs.iter().flat_map(|files| [&files.cert, &files.key]);
        let named = named.chain(&tls.ca_file);
        let found = named.map(|path| self.files.get(path.as_str()).unwrap_or(path).as_str());
        Ok(found.collect::<Vec<_>>().join(" "))
    }
}
