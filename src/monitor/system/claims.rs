//! What is answered to changes of accounts that operators sign.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{FAILED, ServerInfo};
use crate::json;
use crate::source::Source;

/// A change was made.
const DONE: u16 = 200;

#[derive(Debug, Serialize)]
struct Status<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    account: &'a str,
    code: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct Fault<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    account: &'a str,
    code: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
}

/// Returns the answer to a change of an account: what was done, and why not if it was not.
#[must_use]
pub fn changed(
    source: &dyn Source,
    account: &str,
    what: &str,
    outcome: Result<(), &str>,
    seq: u64,
) -> Vec<u8> {
    #[derive(Serialize)]
    struct Answer<'a> {
        server: ServerInfo,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Status<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Fault<'a>>,
    }
    json::compact(&Answer {
        server: ServerInfo::new(source, seq),
        data: outcome.is_ok().then_some(Status {
            account,
            code: DONE,
            message: what,
        }),
        error: outcome.err().map(|why| Fault {
            account,
            code: FAILED,
            description: alloc::format!("{what} - {why}"),
        }),
    })
}

/// Returns the list of accounts.
#[must_use]
pub fn listed(source: &dyn Source, keys: &[String], seq: u64) -> Vec<u8> {
    #[derive(Serialize)]
    struct Answer<'a> {
        data: &'a [String],
        server: ServerInfo,
    }
    json::compact(&Answer {
        data: keys,
        server: ServerInfo::new(source, seq),
    })
}

/// Reads the accounts that a request to delete them names; none if it names none.
#[must_use]
pub fn accounts(claims: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Data {
        accounts: Vec<String>,
    }
    serde_json::from_str::<Data>(claims)
        .ok()
        .map(|data| data.accounts)
}
