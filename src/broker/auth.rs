//! Who may connect: users, tokens, and the Memphis forms of both.
//!
//! *Invariant:* a secret is compared in a time that does not depend on where it differs.

mod delegated;
pub(crate) mod dn;
mod judging;
mod memphis;
mod operator;
mod proxies;
mod secret;
mod shown;
mod user;

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use ::memphis::book::UserRow;
use config::Options;
use config::options::{ConnectionType, WebSocket};
use identity::PublicKey;
use protocol::connect::Connect;
use protocol::id::AccountId;
use protocol::time::Wall;

use crate::accounts::Accounts;
use crate::auth::delegated::{Delegate, without_questions};
use crate::auth::memphis::Tenants;
pub(crate) use crate::auth::memphis::web_password;
use crate::auth::operator::Signers;
pub(crate) use crate::auth::operator::{Standing, seconds};
pub(crate) use crate::auth::proxies::Route;
use crate::auth::proxies::TrustedProxies;
use crate::auth::secret::Secret;
pub(crate) use crate::auth::shown::{Credentials, Refusal, Verdict};
pub(crate) use crate::auth::user::{Expiry, User};
use crate::conn::Conn;
use crate::effects::Rules;

#[derive(Debug)]
struct Entry {
    secret: Secret,
    user: Rc<User>,
    /// The kinds of connection that it may use; empty allows all.
    types: Vec<ConnectionType>,
    /// Whether it has to come through a proxy.
    proxy_required: bool,
}

impl Entry {
    fn allows(&self, kind: ConnectionType) -> bool {
        self.types.is_empty() || self.types.contains(&kind)
    }
}

/// A user that is known by its key.
#[derive(Debug)]
struct KeyEntry {
    user: Rc<User>,
    types: Vec<ConnectionType>,
    proxy_required: bool,
}

/// How clients of one listener get in, beside as users that have a name.
#[derive(Debug, Default)]
struct Door {
    token: Option<Secret>,
    /// The one user of this listener.
    single: Option<(String, Secret)>,
    no_auth_user: Option<String>,
    /// Whether users are known by their certificates.
    by_cert: bool,
}

/// Everyone who may connect.
#[derive(Debug)]
pub(crate) struct Auth {
    users: BTreeMap<String, Entry>,
    nkeys: BTreeMap<PublicKey, KeyEntry>,
    main: Door,
    /// WebSocket clients', where it is another one.
    websocket: Option<Door>,
    /// Whether that has credentials of its own.
    websocket_overrides: bool,
    /// All users are the system account's: everybody else needs no credentials.
    system_only: bool,
    memphis: Option<Tenants>,
    proxies: TrustedProxies,
    /// Whether clients that are no user with a name have to come through a proxy.
    proxy_required: bool,
    /// Operator mode, where nobody else gets in.
    signers: Option<Signers>,
    /// Whether anybody is configured at all, even in a way that nobody can log in.
    configured: bool,
    system: Option<AccountId>,
    global: AccountId,
    /// The service that decides who may connect.
    delegate: Option<Delegate>,
    seed: u64,
}

impl Auth {
    pub(crate) fn new(
        options: &Options,
        accounts: &mut Accounts,
        seed: u64,
        secret: &[u8; 32],
    ) -> Self {
        let mut auth = Self {
            users: BTreeMap::new(),
            nkeys: BTreeMap::new(),
            main: Door {
                token: options.auth.token.as_deref().map(Secret::new),
                single: None,
                no_auth_user: options.no_auth_user.clone(),
                by_cert: options.tls.as_ref().is_some_and(|tls| tls.verify_and_map),
            },
            websocket: options.websocket.as_ref().map(|ws| websocket(ws, options)),
            websocket_overrides: options
                .websocket
                .as_ref()
                .is_some_and(WebSocket::overrides_auth),
            system_only: true,
            memphis: None,
            proxies: TrustedProxies::new(options.proxies.as_ref()),
            proxy_required: options.auth.proxy_required,
            signers: None,
            configured: options.auth.token.is_some(),
            system: accounts.system,
            global: accounts.global,
            delegate: options
                .auth
                .callout
                .as_ref()
                .map(|callout| Delegate::new(callout, accounts, seed)),
            seed,
        };
        auth.configured |= auth.delegate.is_some();
        let defaults = options.auth.default_permissions.as_ref();
        for user in &options.auth.users {
            auth.insert(user, accounts.global, defaults, seed);
        }
        if let Some(name) = &options.auth.user {
            let single = config::options::User {
                name: name.clone(),
                password: options.auth.password.clone(),
                proxy_required: options.auth.proxy_required,
                ..Default::default()
            };
            auth.insert(&single, accounts.global, defaults, seed);
        }
        for account in &options.accounts {
            let id = accounts.intern(&account.name, seed);
            let defaults = account.default_permissions.as_ref();
            for user in &account.users {
                auth.insert(user, id, defaults, seed);
            }
        }
        auth.system_only &= !(auth.users.is_empty() && auth.nkeys.is_empty());
        auth.signers = options
            .operators
            .as_ref()
            .map(|operators| Signers::new(operators, accounts, seed));
        auth.configured |= auth.signers.is_some();
        auth.memphis = options
            .memphis
            .as_ref()
            .map(|memphis| Tenants::new(memphis, accounts, seed, secret));
        auth
    }

    /// Takes the users of an account that were made through the management interface.
    pub(crate) fn set_made<'u>(
        &mut self,
        account: AccountId,
        users: impl Iterator<Item = (&'u str, &'u UserRow)>,
    ) {
        if let Some(tenants) = &mut self.memphis {
            tenants.set_made(account, users);
        }
    }

    /// Splits `user$ACCOUNT_ID`, as Memphis' users write it, into the account and the user.
    pub(crate) fn memphis_account<'u>(&self, name: &'u str) -> Option<(u32, AccountId, &'u str)> {
        self.memphis.as_ref()?.account_of(name)
    }

    /// Judges a password of the user root of a Memphis account, if that has one.
    pub(crate) fn check_root(&self, account_id: u32, password: &str) -> Option<Verdict> {
        self.memphis.as_ref()?.check_root(account_id, password)
    }

    /// Returns the users that Memphis clients may name, in lower case, with their accounts.
    pub(crate) fn memphis_users(&self) -> impl Iterator<Item = (AccountId, &str)> {
        self.memphis.iter().flat_map(Tenants::users)
    }

    /// Says whether a client must log in before anything else.
    pub(crate) fn is_required(&self, rules: Rules, kind: ConnectionType) -> bool {
        match (rules, &self.memphis) {
            (Rules::Memphis, Some(_)) => true,
            (Rules::Nats, _) | (Rules::Memphis, None) => {
                let own = self.websocket_overrides && kind == ConnectionType::WebSocket;
                own || self.configured && self.main.no_auth_user.is_none()
            }
        }
    }

    /// Says whether there is a user of that name.
    pub(crate) fn knows(&self, rules: Rules, name: &str) -> bool {
        match (rules, &self.memphis) {
            // Its users hold for the life of the process.
            (Rules::Memphis, Some(_)) => true,
            (Rules::Nats, _) | (Rules::Memphis, None) => {
                // Whom accounts have signed is asked again each time.
                let signed = self.signers.is_some();
                let key = || PublicKey::parse(name).is_ok_and(|key| self.nkeys.contains_key(&key));
                signed || self.users.contains_key(name) || key()
            }
        }
    }

    /// Returns what has befallen a token that was good once, if it is one of its account's doings.
    pub(crate) fn standing(&self, token: &str, now: Wall) -> Option<Standing> {
        self.signers.as_ref()?.standing(token, now)
    }

    /// Returns the account of a token that is good as far as one can tell without the account, which is not
    /// known or whose time is over.
    pub(crate) fn missing_account(&self, token: &str, now: Wall) -> Option<String> {
        self.signers.as_ref()?.missing_account(token, now)
    }

    /// Returns which way a client came.
    pub(crate) fn route(&self, said: &Connect, conn: &Conn) -> Route {
        self.proxies.route(&said.proxy_sig, &conn.nonce)
    }

    /// Says whether a proxy is trusted.
    pub(crate) fn trusts_proxy(&self, proxy: &str) -> bool {
        self.proxies.trusts(proxy)
    }

    /// Says whether clients need something to sign.
    pub(crate) fn wants_signatures(&self) -> bool {
        !self.nkeys.is_empty() || self.signers.is_some() || !self.proxies.is_empty()
    }

    fn insert(
        &mut self,
        user: &config::options::User,
        account: AccountId,
        defaults: Option<&config::options::Permissions>,
        seed: u64,
    ) {
        self.configured = true;
        self.system_only &= Some(account) == self.system;
        let permissions = user.permissions.as_ref().or(defaults);
        let asks = self.delegate.as_ref().map(|delegate| delegate.account);
        let barred = (asks == Some(account)).then(|| without_questions(permissions));
        let permissions = barred.as_ref().or(permissions);
        if let Some(text) = &user.nkey {
            let Ok(key) = PublicKey::parse(text) else {
                return;
            };
            let entry = KeyEntry {
                user: Rc::new(User::new(text, account, permissions, seed)),
                types: user.allowed_connection_types.clone(),
                proxy_required: user.proxy_required,
            };
            self.nkeys.insert(key, entry);
            return;
        }
        // A name alone is enough for `no_auth_user`, and for who shows it without a password; nobody
        // is a user without one.
        if user.name.is_empty() {
            return;
        }
        let password = user.password.as_deref().unwrap_or_default();
        let entry = Entry {
            secret: Secret::new(password),
            user: Rc::new(User::new(&user.name, account, permissions, seed)),
            types: user.allowed_connection_types.clone(),
            proxy_required: user.proxy_required,
        };
        self.users.insert(user.name.clone(), entry);
    }
}

/// Returns the door of WebSocket clients, which is everybody's unless it has credentials of its own.
fn websocket(ws: &WebSocket, options: &Options) -> Door {
    let by_cert = ws.tls.as_ref().is_some_and(|tls| tls.verify_and_map);
    if !ws.overrides_auth() {
        return Door {
            token: options.auth.token.as_deref().map(Secret::new),
            no_auth_user: options.no_auth_user.clone(),
            by_cert,
            ..Door::default()
        };
    }
    let password = Secret::new(ws.password.as_deref().unwrap_or_default());
    Door {
        token: ws.token.as_deref().map(Secret::new),
        single: ws.user.clone().map(|name| (name, password)),
        no_auth_user: ws.no_auth_user.clone(),
        by_cert,
    }
}
