//! The `memphis` block: a second listener that speaks to Memphis SDKs over the same streams.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Listen, User};

/// The `memphis` block.
#[derive(Clone, Debug, PartialEq)]
pub struct Memphis {
    /// Where Memphis clients connect.
    pub listen: Listen,
    /// The password of the user `root`.
    pub root_password: String,
    /// The token that clients may connect with instead of a password.
    pub connection_token: Option<String>,
    /// Whether clients log in with user and password; the connection token counts otherwise.
    pub user_pass_based_auth: bool,
    /// Application users of tenant 1, beside root.
    pub users: Vec<User>,
    /// The other tenants, each an account of its own.
    pub tenants: Vec<Tenant>,
    /// How long dead letters are kept.
    pub dls_retention_hours: u32,
    /// How long logs are kept.
    pub logs_retention_days: u32,
    /// After how long inactive producers and consumers are forgotten.
    pub gc_producer_consumer_retention_hours: u32,
}

/// A Memphis tenant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tenant {
    /// The number that SDKs call the account id; 1 is the global tenant.
    pub id: u32,
    /// The account that holds its stations.
    pub name: String,
    /// Its application users.
    pub users: Vec<User>,
}

impl Memphis {
    /// The password that stands until another is set; with it the listener stays on the loopback
    /// interface.
    pub const DEFAULT_PASSWORD: &'static str = "memphis";
    /// The connection token that stands until another or a password is set.
    pub const DEFAULT_TOKEN: &'static str = "memphis";
    /// The interface that only programs on the same machine reach.
    pub const LOOPBACK: &'static str = "127.0.0.1";
    /// The port that Memphis SDKs dial when not told otherwise.
    pub const DEFAULT_PORT: u16 = 6666;
}

impl Default for Memphis {
    fn default() -> Self {
        Self {
            listen: Listen::any(Self::DEFAULT_PORT),
            root_password: String::from(Self::DEFAULT_PASSWORD),
            connection_token: None,
            user_pass_based_auth: true,
            users: Vec::new(),
            tenants: Vec::new(),
            dls_retention_hours: 3,
            logs_retention_days: 7,
            gc_producer_consumer_retention_hours: 3,
        }
    }
}
