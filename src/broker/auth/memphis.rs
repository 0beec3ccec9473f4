//! Memphis logins: users of tenants, and the connection token that all share.
//!
//! Forms: `user` or `user$ACCOUNT_ID` with a password; the bare token, with the user in the
//! connection's name (`<uuid>::user`); `user::TOKEN`, as a token or as a user without password.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config::options::{Memphis, PermissionList, Permissions};
use memphis::book::UserRow;
use memphis::machine::WEB_USER;
use protocol::id::AccountId;
use sha2::{Digest as _, Sha256};

use crate::accounts::Accounts;
use crate::auth::secret::Secret;
use crate::auth::{Credentials, Refusal, User, Verdict};
use crate::stations::Fence;

/// The tenant of clients that name none.
const TENANT_DEFAULT: u32 = 1;
/// The user that is always there.
const ROOT: &str = "root";
/// The user that Memphis' own gateway connects as.
const INTERNAL: &str = "$$memphis";
/// How many refused SDK connections are remembered. The second try follows at once.
const STRAYS_MAX: usize = 1000;

#[derive(Debug)]
pub(crate) struct Tenants {
    by_id: BTreeMap<u32, Tenant>,
    token: Option<Secret>,
    /// SDK connections, by their names, that were refused with an account id. An SDK then tries
    /// without one, and would end up in an account that it did not ask for.
    strays: RefCell<VecDeque<Box<str>>>,
}

#[derive(Debug)]
struct Tenant {
    account: AccountId,
    users: BTreeMap<String, (Secret, Rc<User>)>,
    /// Users that were made through the management interface.
    made: BTreeMap<String, (Secret, Rc<User>)>,
}

impl Tenants {
    pub(crate) fn new(
        memphis: &Memphis,
        accounts: &mut Accounts,
        seed: u64,
        secret: &[u8; 32],
    ) -> Self {
        let mut first = Tenant {
            account: accounts.global,
            users: BTreeMap::new(),
            made: BTreeMap::new(),
        };
        for name in [ROOT, INTERNAL] {
            first.insert(name, &memphis.root_password);
        }
        for user in &memphis.users {
            first.insert_user(user);
        }
        first.insert_watcher(&web_password(secret, TENANT_DEFAULT));
        let mut by_id = BTreeMap::from([(TENANT_DEFAULT, first)]);
        for tenant in &memphis.tenants {
            let mut entry = Tenant {
                account: accounts.intern(&tenant.name, seed),
                users: BTreeMap::new(),
                made: BTreeMap::new(),
            };
            for user in &tenant.users {
                entry.insert_user(user);
            }
            entry.insert_watcher(&web_password(secret, tenant.id));
            by_id.insert(tenant.id, entry);
        }
        Self {
            by_id,
            token: memphis.connection_token.as_deref().map(Secret::new),
            strays: RefCell::default(),
        }
    }

    /// Returns the users of all tenants with their accounts.
    pub(super) fn users(&self) -> impl Iterator<Item = (AccountId, &str)> {
        let tenants = self.by_id.values();
        tenants.flat_map(|tenant| {
            let names = tenant.users.keys();
            names.map(|name| (tenant.account, name.as_str()))
        })
    }

    /// Takes the users of an account that were made through the management interface, in place of those
    /// it had.
    pub(crate) fn set_made<'u>(
        &mut self,
        account: AccountId,
        users: impl Iterator<Item = (&'u str, &'u UserRow)>,
    ) {
        let mut tenants = self.by_id.values_mut();
        if let Some(tenant) = tenants.find(|tenant| tenant.account == account) {
            tenant.made = users
                .map(|(name, row)| {
                    let mut user = User::new(name, account, None, 0);
                    user.fence = Fence::of(&row.permissions);
                    (
                        String::from(name),
                        (Secret::new(&row.secret), Rc::new(user)),
                    )
                })
                .collect();
        }
    }

    pub(crate) fn check(&self, shown: &Credentials<'_>) -> Verdict {
        let token = if shown.token.is_empty() && shown.pass.is_empty() {
            shown.user
        } else {
            shown.token
        };
        if !token.is_empty() {
            return self.check_token(token, shown.name);
        }
        let Some((tenant, name)) = self.split_tenant(shown.user) else {
            self.remember(shown.name);
            return Verdict::Refused(Refusal::Credentials);
        };
        let names_no_tenant = name.len() == shown.user.len();
        if names_no_tenant
            && self
                .strays
                .borrow()
                .iter()
                .any(|stray| **stray == *shown.name)
        {
            return Verdict::Refused(Refusal::Credentials);
        }
        match tenant.user(&name.to_ascii_lowercase()) {
            Some((secret, user)) => secret.judge(shown.pass, tenant.account, Some(Rc::clone(user))),
            None => Verdict::Refused(Refusal::Credentials),
        }
    }

    fn remember(&self, conn_name: &str) {
        if !conn_name.contains("::") {
            return;
        }
        let mut strays = self.strays.borrow_mut();
        if strays.len() >= STRAYS_MAX {
            strays.pop_front();
        }
        strays.push_back(Box::from(conn_name));
    }

    /// Judges a token, which may carry the user in front and is shown in the name otherwise.
    fn check_token(&self, shown: &str, conn_name: &str) -> Verdict {
        let (user, token) = match shown.rsplit_once("::") {
            Some((user, token)) => (Some(user), token),
            None => (None, shown),
        };
        if !self.token.as_ref().is_some_and(|own| own.is(token)) {
            return Verdict::Refused(Refusal::Credentials);
        }
        let user = user.or_else(|| conn_name.split_once("::").map(|(_, user)| user));
        let Some((tenant, name)) = self.split_tenant(user.unwrap_or(ROOT)) else {
            return Verdict::Refused(Refusal::Credentials);
        };
        match tenant.user(&name.to_ascii_lowercase()) {
            Some((_, user)) => tenant.accept(user),
            None => Verdict::Refused(Refusal::Credentials),
        }
    }

    /// Returns the account that a user's name is of, with its number, and the bare name.
    pub(super) fn account_of<'u>(&self, user: &'u str) -> Option<(u32, AccountId, &'u str)> {
        let (id, name) = split_account(user)?;
        Some((id, self.by_id.get(&id)?.account, name))
    }

    /// Judges a password of an account's user root, if it has one.
    pub(super) fn check_root(&self, id: u32, password: &str) -> Option<Verdict> {
        let tenant = self.by_id.get(&id)?;
        let (secret, user) = tenant.users.get(ROOT)?;
        Some(secret.judge(password, tenant.account, Some(Rc::clone(user))))
    }

    fn split_tenant<'u>(&self, user: &'u str) -> Option<(&Tenant, &'u str)> {
        let (id, name) = split_account(user)?;
        Some((self.by_id.get(&id)?, name))
    }
}

/// Returns what pages that watch a tenant log in with. It is drawn at each start, as `secret` is.
pub(crate) fn web_password(secret: &[u8; 32], tenant: u32) -> String {
    let mut digest = Sha256::new();
    digest.update(b"web");
    digest.update(secret);
    digest.update(tenant.to_le_bytes());
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

/// Splits `user$ACCOUNT_ID`. Names may hold a `$` themselves, so the last one counts, and only with a
/// number behind it.
fn split_account(user: &str) -> Option<(u32, &str)> {
    match user.rsplit_once('$') {
        Some((name, id)) if !name.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) => {
            Some((id.parse().ok()?, name))
        }
        Some(_) | None => Some((TENANT_DEFAULT, user)),
    }
}

impl Tenant {
    /// Returns a user; those of the configuration count first.
    fn user(&self, name: &str) -> Option<&(Secret, Rc<User>)> {
        self.users.get(name).or_else(|| self.made.get(name))
    }

    fn insert_user(&mut self, user: &config::options::User) {
        if let Some(password) = &user.password {
            self.insert(&user.name, password);
        }
    }

    fn insert(&mut self, name: &str, password: &str) {
        let user = Rc::new(User::new(name, self.account, None, 0));
        self.users
            .insert(name.to_ascii_lowercase(), (Secret::new(password), user));
    }

    /// Lets pages of the web interface in, to watch and for nothing else.
    fn insert_watcher(&mut self, password: &str) {
        let only = |subjects: &[&str]| {
            let subjects = subjects.iter().map(|subject| String::from(*subject));
            Some(PermissionList {
                allow: Some(subjects.collect()),
                ..PermissionList::default()
            })
        };
        let permissions = Permissions {
            publish: only(&["$memphis_ws_subs.>"]),
            subscribe: only(&["$memphis_ws_pubs.>", "_INBOX.>"]),
            ..Permissions::default()
        };
        let user = Rc::new(User::new(WEB_USER, self.account, Some(&permissions), 0));
        let entry = (Secret::new(password), user);
        self.users.insert(String::from(WEB_USER), entry);
    }

    fn accept(&self, user: &Rc<User>) -> Verdict {
        Verdict::Accepted {
            account: self.account,
            user: Some(Rc::clone(user)),
        }
    }
}

#[cfg(test)]
mod tests {
    use config::Options;
    use config::options;

    use super::*;

    fn tenants() -> Tenants {
        let options = Options::default();
        let mut accounts = Accounts::new(&options, 0);
        let memphis = Memphis {
            connection_token: Some(String::from("tok")),
            users: alloc::vec![options::User {
                name: String::from("App"),
                password: Some(String::from("pw")),
                ..Default::default()
            }],
            tenants: alloc::vec![options::Tenant {
                id: 7,
                name: String::from("seven"),
                users: alloc::vec![options::User {
                    name: String::from("app"),
                    password: Some(String::from("pw7")),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Memphis::default()
        };
        Tenants::new(&memphis, &mut accounts, 0, &[0; 32])
    }

    fn shown<'a>(user: &'a str, pass: &'a str, token: &'a str, name: &'a str) -> Credentials<'a> {
        Credentials {
            user,
            pass,
            token,
            name,
            jwt: "",
            ip: core::net::Ipv4Addr::LOCALHOST.into(),
            now: protocol::time::Wall(0),
            nkey: "",
            sig: "",
            nonce: "",
            cert: None,
            proxied: false,
            legacy_account: false,
        }
    }

    /// Returns who the credentials are, as `user@account number`.
    fn who(user: &str, pass: &str, token: &str, name: &str) -> Option<String> {
        let shown = shown(user, pass, token, name);
        match tenants().check(&shown) {
            Verdict::Accepted { account, user } => Some(alloc::format!(
                "{}@{}",
                user.map(|u| u.name.clone()).unwrap_or_default(),
                account.0
            )),
            Verdict::Refused(_) | Verdict::Unclear { .. } => None,
        }
    }

    #[test]
    fn a_user_logs_in_with_and_without_account_id() {
        assert_eq!(who("root", "memphis", "", "x").as_deref(), Some("root@0"));
        assert_eq!(who("root$1", "memphis", "", "x").as_deref(), Some("root@0"));
        assert_eq!(who("app$1", "pw", "", "u::app").as_deref(), Some("App@0"));
        assert!(who("app$7", "pw7", "", "x").is_some());
        let internal = who("$$memphis$1", "memphis", "", "MEMPHIS HTTP LOGGER");
        assert_eq!(internal.as_deref(), Some("$$memphis@0"));
    }

    #[test]
    fn a_wrong_password_tenant_or_user_is_refused() {
        assert_eq!(who("root", "nope", "", "x"), None);
        assert_eq!(who("root$2", "memphis", "", "x"), None);
        assert_eq!(who("nobody", "memphis", "", "x"), None);
        assert_eq!(who("app$7", "pw", "", "x"), None);
        assert_eq!(who("", "", "", "x"), None);
        assert_eq!(who("root", "", "", "x"), None);
    }

    #[test]
    fn the_token_is_taken_bare_or_behind_the_user() {
        assert_eq!(who("", "", "tok", "id::app").as_deref(), Some("App@0"));
        assert_eq!(who("", "", "app::tok", "x").as_deref(), Some("App@0"));
        assert_eq!(who("app::tok", "", "", "x").as_deref(), Some("App@0"));
        assert_eq!(who("", "", "tok", "NATS CLI").as_deref(), Some("root@0"));
        assert_eq!(who("", "", "nope", "id::app"), None);
        assert_eq!(who("", "", "app::nope", "x"), None);
        assert_eq!(who("", "", "tok", "id::nobody"), None);
    }

    #[test]
    fn an_sdk_that_asked_for_another_account_does_not_get_the_first_one() {
        let tenants = tenants();
        let accepted = |user: &str, name: &str| {
            let shown = shown(user, "memphis", "", name);
            !matches!(tenants.check(&shown), Verdict::Refused(_))
        };
        assert!(!accepted("root$2", "u1::root"));
        assert!(!accepted("root", "u1::root"));
        assert!(accepted("root", "u2::root"));
        assert!(!accepted("root$2", "NATS CLI"));
        assert!(accepted("root", "NATS CLI"));
    }
}
