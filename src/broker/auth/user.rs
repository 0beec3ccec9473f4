//! A user, and what it may do.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use config::options;
use protocol::id::AccountId;
use routing::permissions::{PermissionSpec, Permissions, ResponseSpec, SubjectSpec};

/// Somebody who may connect.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) account: AccountId,
    /// Its rules; none when it may do everything in its account.
    pub(crate) permissions: Option<Rc<Permissions>>,
    /// The same as they are configured, for who asks.
    pub(crate) said: Option<options::Permissions>,
}

impl User {
    pub(crate) fn new(
        name: &str,
        account: AccountId,
        permissions: Option<&options::Permissions>,
        seed: u64,
    ) -> Self {
        Self {
            name: String::from(name),
            account,
            said: permissions.cloned(),
            permissions: permissions.map(|own| {
                let rules = Permissions::new(&spec(own), seed);
                Rc::new(rules.expect("the configuration was checked"))
            }),
        }
    }
}

fn spec(own: &options::Permissions) -> PermissionSpec {
    PermissionSpec {
        publish: subjects(own.publish.as_ref()),
        subscribe: subjects(own.subscribe.as_ref()),
        responses: own.responses.map(|limits| ResponseSpec {
            answers_max: limits.msgs_max,
            expires: limits.expires,
        }),
    }
}

fn subjects(list: Option<&options::PermissionList>) -> SubjectSpec {
    let bytes = |subjects: &Vec<String>| subjects.iter().map(|s| s.as_bytes().to_vec()).collect();
    let Some(list) = list else {
        return SubjectSpec::default();
    };
    SubjectSpec {
        allow: list.allow.as_ref().map(bytes),
        deny: bytes(&list.deny),
    }
}
