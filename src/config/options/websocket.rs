//! The listener for WebSocket clients.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Listen, Tls};

/// The `websocket` block.
#[derive(Clone, Debug, PartialEq)]
pub struct WebSocket {
    /// Where to listen.
    pub listen: Listen,
    /// The address that clients are told about.
    pub advertise: Option<String>,
    /// Certificates.
    pub tls: Option<Tls>,
    /// Whether there may be none.
    pub no_tls: bool,
    /// Whether pages from elsewhere are turned away.
    pub same_origin: bool,
    /// Where pages may come from; empty is everywhere.
    pub allowed_origins: Vec<String>,
    /// How long a request may take; not limited by the configuration when not set.
    pub handshake_timeout: Option<Duration>,
    /// Whether messages may be compressed.
    pub compression: bool,
    /// The one user's name, where these clients have other credentials than the rest.
    pub user: Option<String>,
    /// The one user's password.
    pub password: Option<String>,
    /// The token.
    pub token: Option<String>,
    /// How long a client may take to authenticate; as everywhere when not set.
    pub auth_timeout: Option<Duration>,
    /// The cookie that holds a JWT; empty is none.
    pub jwt_cookie: String,
    /// The cookie that holds a user's name; empty is none.
    pub user_cookie: String,
    /// The cookie that holds a password; empty is none.
    pub pass_cookie: String,
    /// The cookie that holds a token; empty is none.
    pub token_cookie: String,
    /// The user that clients without credentials become.
    pub no_auth_user: Option<String>,
    /// Headers of the answer: name, value.
    pub headers: Vec<(String, String)>,
    /// How long a quiet connection is left alone; as everywhere when not set.
    pub ping_interval: Option<Duration>,
}

impl WebSocket {
    /// Says whether these clients have other credentials than the rest.
    #[must_use]
    pub fn overrides_auth(&self) -> bool {
        self.user.is_some() || self.token.is_some() || self.no_auth_user.is_some()
    }
}

impl Default for WebSocket {
    fn default() -> Self {
        Self {
            listen: Listen::any(0),
            advertise: None,
            tls: None,
            no_tls: false,
            same_origin: false,
            allowed_origins: Vec::new(),
            handshake_timeout: None,
            compression: false,
            user: None,
            password: None,
            token: None,
            auth_timeout: None,
            jwt_cookie: String::new(),
            user_cookie: String::new(),
            pass_cookie: String::new(),
            token_cookie: String::new(),
            no_auth_user: None,
            headers: Vec::new(),
            ping_interval: None,
        }
    }
}
