//! Logging in: passwords for tokens, and tokens for others.

use broker::{Manager, Proof, UserKind};
use hyper::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use protocol::text::rfc3339::Rfc3339;
use protocol::time::Wall;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Management;
use crate::driver::Driver;
use crate::rest::minutes_in_ms;
use crate::rest::reply::{self, Reply};

/// The cookie that refresh tokens come in.
const COOKIE_NAME: &str = "memphis-jwt-refresh-token";

/// The tenant whose root runs the server.
const FIRST_TENANT: u32 = 1;

/// What a token says, in Memphis' words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    user_id: u32,
    username: String,
    user_type: String,
    creation_date: String,
    already_logged_in: bool,
    avatar_id: i64,
    tenant_name: String,
    account_id: u32,
    /// What ends the token when the password changes.
    #[serde(default)]
    seal: u64,
}

impl Claims {
    fn of(manager: &Manager) -> Self {
        Self {
            user_id: manager.id,
            username: manager.user.clone(),
            user_type: manager.kind.as_str().to_owned(),
            creation_date: time(manager.created),
            already_logged_in: false,
            avatar_id: manager.avatar_id,
            tenant_name: manager.account.clone(),
            account_id: manager.account_id,
            seal: manager.seal,
        }
    }

    /// Returns whom they name, if they are still there, manage, and have the same password.
    pub(super) fn manager(&self, driver: &Driver) -> Option<Manager> {
        let name = format!("{}${}", self.username, self.account_id);
        let (manager, _) = driver.manager(&name, "")?;
        let is_same = manager.account == self.tenant_name && manager.seal == self.seal;
        is_same.then_some(manager)
    }
}

impl Management {
    pub(super) async fn login(&self, fields: &Map<String, Value>) -> Reply {
        let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
        let (username, password) = (text("username"), text("password"));
        let Some((manager, proof)) = self.driver.manager(username, password) else {
            return reply::unauthorized();
        };
        let is_right = match proof {
            Proof::Fits => true,
            Proof::Wrong => false,
            Proof::Hash(hash) => {
                let Ok(_place) = self.passwords.try_acquire() else {
                    return reply::busy();
                };
                self.driver.check_password(hash, password.to_owned()).await
            }
        };
        match is_right {
            true => self.welcome(&manager),
            false => reply::unauthorized(),
        }
    }

    /// Gives other tokens to whom the cookie names.
    pub(super) fn refresh(&self, headers: &HeaderMap) -> Reply {
        let now = self.driver.wall();
        let claims = cookie(headers).and_then(|token| self.refresh.check::<Claims>(token, now));
        match claims.and_then(|claims| claims.manager(&self.driver)) {
            Some(manager) => self.welcome(&manager),
            None => reply::unauthorized(),
        }
    }

    /// Returns what a login is answered with, as Memphis' GUI wants it.
    fn welcome(&self, manager: &Manager) -> Reply {
        let now = self.driver.wall();
        let claims = Claims::of(manager);
        let minutes = self.rest.jwt_expires_in_minutes;
        let refresh_minutes = self.rest.refresh_jwt_expires_in_minutes;
        let refresh = self.refresh.sign(&claims, refresh_minutes, now);
        let port = |listen: Option<i64>| listen.map_or(Value::Null, Value::from);
        let mut answer = reply::json(
            200,
            &json!({
                "jwt": self.access.sign(&claims, minutes, now),
                "expires_in": minutes_in_ms(minutes),
                "user_id": claims.user_id,
                "username": manager.user,
                "user_type": manager.kind.as_str(),
                "created_at": time(manager.created),
                "already_logged_in": false,
                "avatar_id": manager.avatar_id,
                "last_login": time(now.0),
                "full_name": manager.full_name,
                "send_analytics": false,
                "env": "docker",
                "skip_get_started": true,
                "broker_host": "",
                "rest_gw_host": "",
                "ui_host": "",
                "ws_host": "",
                "ws_port": port(self.rest.websocket.as_ref().map(|at| at.port)),
                "tiered_storage_time_sec": self.tiering_s,
                "http_port": port(self.rest.management.as_ref().map(|at| at.port)),
                "clients_port": self.clients_port,
                "rest_gw_port": port(self.rest.gateway.as_ref().map(|at| at.port)),
                "user_pass_based_auth": self.user_pass_based_auth,
                "connection_token": self.shown_token(manager),
                "account_id": manager.account_id,
                "internal_ws_pass": manager.web_password,
                "dls_retention": self.dls_retention_hours,
                "logs_retention": self.logs_retention_days,
                "max_msg_size_mb": self.payload_max >> 20,
                "light_icon": "",
                "dark_icon": "",
                "brand_colors": "",
            }),
        );
        let seconds = u64::from(refresh_minutes) * 60;
        let cookie = format!(
            "{COOKIE_NAME}={refresh}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict"
        );
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            answer.headers_mut().insert(SET_COOKIE, cookie);
        }
        answer
    }

    /// Root sees the token that clients may connect with. It lets everybody in as anybody of any tenant,
    /// so that others do not, nor do other tenants' root users.
    fn shown_token(&self, manager: &Manager) -> &str {
        let token = self.connection_token.as_deref();
        let is_first = manager.account_id == FIRST_TENANT;
        let token = token.filter(|_| is_first && manager.kind == UserKind::Root);
        token.unwrap_or_default()
    }
}

/// Returns the refresh token among a request's cookies.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).into_iter();
    let mut pairs = lines.flat_map(|line| line.to_str().unwrap_or_default().split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE_NAME).then_some(value)
    })
}

fn time(stamp: u64) -> String {
    Rfc3339(Wall(stamp)).to_string()
}
