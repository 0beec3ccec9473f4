//! A password or token as the configuration holds it.

use alloc::rc::Rc;
use alloc::string::String;

use protocol::id::AccountId;

use crate::auth::{Refusal, User, Verdict};

/// A configured secret.
#[derive(Clone)]
pub(crate) enum Secret {
    /// As it is typed.
    Plain(String),
    /// A bcrypt hash. Checking one takes long on purpose and is not done on the shard's thread.
    Bcrypt(String),
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    pub(crate) fn new(text: &str) -> Self {
        const HASHES: [&str; 3] = ["$2a$", "$2b$", "$2y$"];
        const HASH_LEN: usize = 60;
        if text.len() == HASH_LEN && HASHES.iter().any(|prefix| text.starts_with(prefix)) {
            Self::Bcrypt(String::from(text))
        } else {
            Self::Plain(String::from(text))
        }
    }

    /// Judges who shows `shown` as this secret.
    pub(crate) fn judge(&self, shown: &str, account: AccountId, user: Option<Rc<User>>) -> Verdict {
        match self {
            Self::Bcrypt(hash) => Verdict::Unclear {
                hash: hash.clone(),
                account,
                user,
            },
            Self::Plain(_) if self.is(shown) => Verdict::Accepted { account, user },
            Self::Plain(_) => Verdict::Refused(Refusal::Credentials),
        }
    }

    /// Says whether `shown` is this secret. A hash never is: it has to be checked elsewhere.
    pub(crate) fn is(&self, shown: &str) -> bool {
        match self {
            Self::Plain(text) => equal(text.as_bytes(), shown.as_bytes()),
            Self::Bcrypt(_) => false,
        }
    }
}

/// Compares without stopping at the first difference, so that the time taken gives nothing away.
fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let differing = a.iter().zip(b).fold(0, |acc, (a, b)| acc | (a ^ b));
    core::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_text_is_the_secret() {
        let secret = Secret::new("s3cret");
        assert!(secret.is("s3cret"));
        for other in ["", "s3cres", "s3cret ", "S3cret"] {
            assert!(!secret.is(other), "{other:?}");
        }
    }

    #[test]
    fn a_hash_is_not_taken_for_the_password_itself() {
        let hash = "$2a$11$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        assert_eq!(hash.len(), 60);
        assert!(!Secret::new(hash).is(hash));
    }
}
