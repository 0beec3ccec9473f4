//! The `memphis` block: a second listener that speaks to Memphis SDKs over the same streams, and the
//! listeners of its REST interfaces.

use alloc::string::String;
use alloc::vec::Vec;

use super::{AccountJetStream, AccountLimits, Listen, User};

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
    /// What tenant 1 may use.
    pub limits: TenantLimits,
    /// The other tenants, each an account of its own.
    pub tenants: Vec<Tenant>,
    /// How long dead letters are kept.
    pub dls_retention_hours: u32,
    /// How long logs are kept.
    pub logs_retention_days: u32,
    /// After how long inactive producers and consumers are forgotten.
    pub gc_producer_consumer_retention_hours: u32,
    /// How often what has left stations is copied to an object store.
    pub tiered_storage_upload_interval_seconds: u32,
    /// What is served over HTTP.
    pub rest: Rest,
    /// Where Slack takes messages.
    pub slack_url: String,
}

/// Memphis over HTTP: management, and the gateway for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Where management is served; none when off.
    pub management: Option<Listen>,
    /// Where messages are produced and consumed; none when off.
    pub gateway: Option<Listen>,
    /// Where pages connect that watch; none when off.
    pub websocket: Option<Listen>,
    /// What access tokens are signed with; drawn at each start if none is set.
    pub jwt_secret: Option<String>,
    /// What refresh tokens are signed with; drawn at each start if none is set.
    pub refresh_jwt_secret: Option<String>,
    /// How long an access token holds.
    pub jwt_expires_in_minutes: u32,
    /// How long a refresh token of the management interface holds.
    pub refresh_jwt_expires_in_minutes: u32,
}

impl Rest {
    /// The port of Memphis' management interface.
    pub const MANAGEMENT_PORT: u16 = 9000;
    /// The port of Memphis' WebSockets.
    pub const WEBSOCKET_PORT: u16 = 7770;
    /// The port of Memphis' REST gateway.
    pub const GATEWAY_PORT: u16 = 4444;
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            management: None,
            gateway: None,
            websocket: None,
            jwt_secret: None,
            refresh_jwt_secret: None,
            jwt_expires_in_minutes: 15,
            refresh_jwt_expires_in_minutes: 2880,
        }
    }
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
    /// What it may use.
    pub limits: TenantLimits,
}

/// What a tenant may use, in the words of accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantLimits {
    /// What its connections may do together.
    pub connections: AccountLimits,
    /// What it may store: a stream is a station's partition. None is everything.
    pub jetstream: Option<AccountJetStream>,
}

impl Memphis {
    /// Returns what the tenant whose account has a name may use; none if there is no such tenant.
    #[must_use]
    pub fn limits_of(&self, account: &str) -> Option<&TenantLimits> {
        if account == Self::GLOBAL {
            return Some(&self.limits);
        }
        let mut tenants = self.tenants.iter();
        let tenant = tenants.find(|tenant| tenant.name == account)?;
        Some(&tenant.limits)
    }

    /// Where Slack takes messages unless it is said to be elsewhere.
    pub const SLACK_URL: &'static str = "https://slack.com/api/chat.postMessage";
    /// The account of tenant 1.
    pub const GLOBAL: &'static str = "$G";
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
            limits: TenantLimits::default(),
            tenants: Vec::new(),
            dls_retention_hours: 3,
            logs_retention_days: 7,
            gc_producer_consumer_retention_hours: 3,
            tiered_storage_upload_interval_seconds: 8,
            rest: Rest::default(),
            slack_url: String::from(Self::SLACK_URL),
        }
    }
}
