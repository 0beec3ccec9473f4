//! What a service says to a question about a login, and the user that comes of it.

use alloc::format;
use alloc::string::{String, ToString};

use identity::claims::{self, AuthorizationResponse, Standard};
use identity::{Body, decode};

use super::{Open, TOKEN_START};
use crate::auth::{Refusal, User};
use crate::shard::Shard;

/// Why nobody gets in.
#[derive(Debug)]
pub(super) struct Objection {
    /// What the log says.
    pub(super) why: String,
    pub(super) refusal: Refusal,
}

impl From<String> for Objection {
    fn from(why: String) -> Self {
        let refusal = Refusal::Credentials;
        Self { why, refusal }
    }
}

impl Shard {
    /// Returns the user that an answer vouches for, and the name that it gives it.
    ///
    /// # Errors
    /// Why nobody gets in.
    pub(super) fn vouched(&self, open: &Open, payload: &[u8]) -> Result<(User, String), Objection> {
        let (standard, claims) = self.vouched_claims(open, payload)?;
        let conn = self.router.conns.get(open.conn);
        if claims.limits.proxy_required && conn.is_none_or(|conn| conn.proxy.is_none()) {
            return Err(Objection {
                why: "proxy connection required".to_string(),
                refusal: Refusal::ProxyRequired,
            });
        }
        Ok(self.vouched_user(open, standard, &claims)?)
    }

    /// Returns the user that claims are about, and the name that they give it.
    fn vouched_user(
        &self,
        open: &Open,
        standard: Standard,
        claims: &claims::User,
    ) -> Result<(User, String), String> {
        let account = self.router.accounts.name(open.decider.account);
        if standard.sub != open.user {
            let (expected, got) = (&open.user, &standard.sub);
            return Err(format!(
                "Expected authorized user of {expected:?} but got {got:?} on account {account:?}"
            ));
        }
        let Some(conn) = self.router.conns.get(open.conn) else {
            return Err("the client has gone".to_string());
        };
        let kind = conn.kind();
        let now = self.router.now.wall;
        let user = match open.decider.is_operator {
            true => self
                .auth
                .vouched_by_account(&open.decider, &standard, claims, (kind, now)),
            false => {
                if !claims.issuer_account.is_empty() {
                    return Err(format!(
                        "error non operator mode account {account:?}: attempted to use issuer_account"
                    ));
                }
                if standard.iss != open.decider.issuer {
                    let (expected, got) = (&open.decider.issuer, &standard.iss);
                    return Err(format!(
                        "wrong issuer for auth callout response on account {account:?}, expected {expected:?} got {got:?}"
                    ));
                }
                let Some(placed) = self.router.accounts.find(&standard.aud) else {
                    let wanted = &standard.aud;
                    return Err(format!(
                        "no valid account {wanted:?} for auth callout response on account {account:?}: account missing"
                    ));
                };
                self.auth
                    .vouched_by_service(placed, &standard, claims, (kind, now))
            }
        }?;
        Ok((user, standard.name))
    }

    /// Returns the claims of the user that an answer holds.
    fn vouched_claims(
        &self,
        open: &Open,
        payload: &[u8],
    ) -> Result<(Standard, claims::User), String> {
        let account = self.router.accounts.name(open.decider.account);
        if payload.is_empty() {
            return Err(format!(
                "auth callout violation: \"no reason supplied\" on account {account:?}"
            ));
        }
        let opened = match &open.decider.xkey {
            Some(from) if !payload.starts_with(TOKEN_START) => {
                let opened = self.identity.curve().open(from, payload);
                Some(opened.ok_or_else(|| {
                    format!("error decrypting auth callout response on account {account:?}")
                })?)
            }
            Some(_) | None => None,
        };
        let text = String::from_utf8_lossy(opened.as_deref().unwrap_or(payload));
        let response = decode(&text).map_err(|error| error.to_string())?;
        let said = match &response.body {
            Body::Other(kind, inside) if kind == AuthorizationResponse::TYPE => {
                AuthorizationResponse::read(inside)
            }
            Body::Operator(_)
            | Body::Account(_)
            | Body::User(_)
            | Body::Activation(_)
            | Body::Other(..) => None,
        };
        let Some(said) = said else {
            return Err("not an authorization request claim".to_string());
        };
        if response.standard.sub != open.user {
            return Err(
                "auth callout violation: auth callout response is not for expected user"
                    .to_string(),
            );
        }
        if response.standard.aud != self.identity.id {
            return Err(
                "auth callout violation: auth callout response is not for server".to_string(),
            );
        }
        if !said.error.is_empty() {
            return Err(format!(
                "auth callout service returned an error: {}",
                said.error
            ));
        }
        if open.decider.is_operator && opened.is_none() {
            let signer = match said.issuer_account.as_str() {
                "" => &response.standard.iss,
                account => account,
            };
            if !self.auth.is_signer(account, signer) {
                return Err("auth callout signing key is unknown".to_string());
            }
        }
        let user = decode(&said.jwt).map_err(|error| error.to_string())?;
        match user.body {
            Body::User(claims) => Ok((user.standard, *claims)),
            Body::Operator(_) | Body::Account(_) | Body::Activation(_) | Body::Other(..) => {
                Err("not user claim".to_string())
            }
        }
    }
}
