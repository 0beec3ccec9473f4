//! What a configuration means once it has been checked: plain values with nats-server's defaults.
//!
//! *Invariant:* a value of [`Options`] that came out of this crate is consistent (limits fit each
//! other, users name accounts that exist); whoever reads it need not check again.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

mod access;
mod jetstream;
mod logging;
mod memphis;
mod network;
mod operator;
mod unserved;
mod websocket;

pub use access::{
    Account, AccountLimits, Auth, AuthCallout, CONNECTION_TYPES, ConnectionType, Export,
    ExportKind, Import, ImportKind, Latency, MapDestination, Mapping, PermissionList, Permissions,
    Proxies, ResponseLimits, ResponseType, Sampling, Trace, User,
};
pub use jetstream::{
    AccountJetStream, BatchLimits, Encryption, JetStream, ServerLimits, StoreCipher, SyncInterval,
    UnservedJetStream,
};
pub use logging::Logging;
pub use memphis::{Memphis, Rest, Tenant, TenantLimits};
pub use network::{
    CertFiles, CipherSuite, ClosedDoor, Curve, HandshakeFirst, Listen, Peers, Tls, TlsVersion,
};
pub use operator::{Deletion, Directory, Operators, Resolver, SignedAccount, WebAccounts};
pub use unserved::{PeerBlock, PeerField, Unserved};
pub use websocket::WebSocket;

/// Everything a configuration file and a command line can say.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where NATS clients connect; none where only Memphis' port is served.
    pub listen: Option<Listen>,
    /// The address that INFO's `connect_urls` shows instead of the bound one.
    pub client_advertise: Option<String>,
    /// The server's name; the server's id when not set.
    pub server_name: Option<String>,
    /// Tags of the form `key:value`, shown in varz and used for placement.
    pub server_tags: Vec<String>,
    /// Free pairs shown in varz, in the order of the file.
    pub server_metadata: Vec<(String, String)>,
    /// Switches for features that are not on by default, as given.
    pub feature_flags: Vec<(String, bool)>,
    /// Listeners that let nobody in yet.
    pub closed_doors: Vec<ClosedDoor>,
    /// What has no effect yet, for a reload to tell of.
    pub unserved: Unserved,
    /// Where monitoring is served in the clear.
    pub http: Option<Listen>,
    /// Where monitoring is served over TLS.
    pub https: Option<Listen>,
    /// The path that monitoring documents are served under; empty is the root.
    pub http_base_path: String,
    /// Certificates of the client listener.
    pub tls: Option<Tls>,
    /// With TLS configured, clients without it are let in as well.
    pub allow_non_tls: bool,
    /// The listener for WebSocket clients; none when off.
    pub websocket: Option<WebSocket>,
    /// The bounds on what one connection may do.
    pub limits: Limits,
    /// How long a quiet connection is left alone before it is asked for a sign of life.
    pub ping_interval: Duration,
    /// How many PINGs may stay unanswered.
    pub ping_max: u32,
    /// How long a write to a client may block.
    pub write_deadline: Duration,
    /// Whether INFO denies support for headers.
    pub no_header_support: bool,
    /// Whether publishers are slowed down for consumers that lag.
    pub no_fast_producer_stall: bool,
    /// Whether the subject match cache is off.
    pub no_sublist_cache: bool,
    /// Who may connect.
    pub auth: Auth,
    /// The accounts beside the global one, in the order of the file.
    pub accounts: Vec<Account>,
    /// Operator mode, where accounts and users are known by what was signed about them.
    pub operators: Option<Operators>,
    /// Subject mappings of the global account.
    pub mappings: Vec<Mapping>,
    /// The user that clients without credentials become.
    pub no_auth_user: Option<String>,
    /// Whether clients' connections may begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// The proxies that clients may come through.
    pub proxies: Option<Proxies>,
    /// The account that system requests and events belong to; `$SYS` when not set.
    pub system_account: Option<String>,
    /// Whether the server runs without a system account.
    pub no_system_account: bool,
    /// Streams and consumers.
    pub jetstream: JetStream,
    /// Which JetStream domain an account's requests without one go to: account, domain.
    pub default_js_domain: Vec<(String, String)>,
    /// What is logged and where to.
    pub logging: Logging,
    /// The file that holds the process id while the server runs.
    pub pid_file: Option<String>,
    /// The directory that gets a file with the ports in use.
    pub ports_file_dir: Option<String>,
    /// How long a leaving server takes to close its clients, the grace period included.
    pub lame_duck_duration: Duration,
    /// How long a leaving server waits before it closes the first client.
    pub lame_duck_grace_period: Duration,
    /// The Memphis listener over the same streams; none when off.
    pub memphis: Option<Memphis>,
}

/// The bounds on what one connection may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest protocol line in bytes.
    pub control_line_max: u32,
    /// The largest message in bytes, headers included.
    pub payload_max: u32,
    /// How many bytes may wait for a client before it counts as slow.
    pub pending_max: u64,
    /// How many clients may be connected at a time; 0 refuses every client.
    pub connections_max: u32,
    /// How many subscriptions a connection may hold; 0 is unlimited.
    pub subscriptions_max: u32,
    /// How many tokens a subscription's subject may have; 0 is unlimited.
    pub subscription_tokens_max: u8,
    /// How many bytes of a traced message are logged; 0 is unlimited.
    pub traced_msg_len_max: u32,
    /// How many closed connections connz remembers.
    pub closed_clients_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            control_line_max: 4096,
            payload_max: 1 << 20,
            pending_max: 64 << 20,
            connections_max: 64 << 10,
            subscriptions_max: 0,
            subscription_tokens_max: 0,
            traced_msg_len_max: 0,
            closed_clients_max: 10_000,
        }
    }
}

impl Options {
    /// Returns an account as its operator's claims say who signed it; none where no operator has.
    #[must_use]
    pub fn signed_account(&self, account: &str) -> Option<&SignedAccount> {
        self.operators.as_ref()?.accounts.get(account)
    }

    /// Returns an account's name for people.
    #[must_use]
    pub fn account_label<'a>(&'a self, account: &'a str) -> &'a str {
        let signed = self.signed_account(account);
        let label = signed.map_or(account, |signed| signed.name.as_str());
        if label.is_empty() { account } else { label }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: Some(Listen::any(4222)),
            client_advertise: None,
            server_name: None,
            server_tags: Vec::new(),
            server_metadata: Vec::new(),
            feature_flags: Vec::new(),
            closed_doors: Vec::new(),
            unserved: Unserved::default(),
            http: None,
            https: None,
            http_base_path: String::new(),
            tls: None,
            allow_non_tls: false,
            websocket: None,
            limits: Limits::default(),
            ping_interval: Duration::from_secs(120),
            ping_max: 2,
            write_deadline: Duration::from_secs(10),
            no_header_support: false,
            no_fast_producer_stall: false,
            no_sublist_cache: false,
            auth: Auth::default(),
            accounts: Vec::new(),
            operators: None,
            mappings: Vec::new(),
            no_auth_user: None,
            proxies: None,
            proxy_protocol: false,
            system_account: None,
            no_system_account: false,
            jetstream: JetStream::default(),
            default_js_domain: Vec::new(),
            logging: Logging::default(),
            pid_file: None,
            ports_file_dir: None,
            lame_duck_duration: Duration::from_secs(120),
            lame_duck_grace_period: Duration::from_secs(10),
            memphis: None,
        }
    }
}
