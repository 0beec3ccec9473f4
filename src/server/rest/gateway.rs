//! The REST gateway on Memphis' port 4444: messages produced and consumed with plain HTTP.
//!
//! *Invariant:* a token names a session and holds no password. What a session does, a connection of its
//! user's does, so that permissions, schemas and limits hold here as for any client.

mod consume;
mod produce;
mod session;

use core::net::SocketAddr;
use core::time::Duration;
use std::rc::Rc;

use bytes::Bytes;
use config::options::{Memphis, Rest};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use serde_json::{Map, Value, json};

use super::query;
use super::reply::{self, Refused, Reply};
use super::tokens::{Purpose, Signer};
use crate::driver::Driver;
use crate::web::{BodyError, Site, read_body};
use session::{Session, Sessions, Ticket};

/// How long a refresh token holds if nobody says otherwise, as in Memphis' gateway.
const REFRESH_MINUTES: u32 = 300;
/// Most minutes that may be asked for: a year.
const MINUTES_MAX: i64 = 366 * 24 * 60;
/// How many messages of the largest size a batch may amount to.
const BATCH_FACTOR: usize = 4;
/// Most bytes of a request that is no message.
const ASKED_BYTES_MAX: usize = 64 << 10;
/// How long the broker may take to answer a request or to store a message.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// What answers the gateway's requests.
pub(crate) struct Gateway {
    access: Signer,
    refresh: Signer,
    sessions: Rc<Sessions>,
    minutes: u32,
    payload_max: usize,
    is_open_to_pages: bool,
}

impl Site for Gateway {
    const CONNECTIONS_MAX: usize = 1024;

    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let dispatched = self.dispatch(&parts, body, peer).await;
        let mut answered = dispatched.unwrap_or_else(|refused| refused.reply());
        reply::allow_origin(&parts.headers, self.is_open_to_pages, &mut answered);
        answered
    }
}

impl Gateway {
    pub(super) fn new(driver: &Rc<Driver>, memphis: &Memphis, payload_max: u32) -> Self {
        let Rest {
            jwt_secret,
            refresh_jwt_secret,
            jwt_expires_in_minutes,
            ..
        } = &memphis.rest;
        Self {
            access: Signer::new(Purpose::Access, jwt_secret.as_deref()),
            refresh: Signer::new(Purpose::Refresh, refresh_jwt_secret.as_deref()),
            sessions: Rc::new(Sessions::new(driver)),
            minutes: *jwt_expires_in_minutes,
            payload_max: usize::try_from(payload_max).unwrap_or(usize::MAX),
            is_open_to_pages: memphis.root_password != Memphis::DEFAULT_PASSWORD,
        }
    }

    /// Returns what ends sessions whose time is over, for ever.
    pub(super) fn sweeping(&self) -> impl Future<Output = ()> + use<> {
        let sessions = Rc::clone(&self.sessions);
        async move { sessions.sweep_for_ever().await }
    }

    async fn dispatch(
        &self,
        parts: &Parts,
        body: Incoming,
        peer: SocketAddr,
    ) -> Result<Reply, Refused> {
        if parts.method == Method::OPTIONS {
            return Ok(reply::preflight());
        }
        let path = parts.uri.path().trim_matches('/');
        let path: Vec<&str> = path.split('/').collect();
        match (&parts.method, path.as_slice()) {
            (&Method::GET, ["monitoring", "status"]) => {
                Ok(reply::json(200, &json!({"status": "ok"})))
            }
            (&Method::POST, ["auth", "authenticate"]) => {
                let mut asked = object(body).await?;
                let query = query::parse(parts.uri.query().unwrap_or_default());
                if let Some(account) = query.get("accountId") {
                    asked.entry("account_id").or_insert(account.clone());
                }
                self.authenticate(&asked, peer).await
            }
            (&Method::POST, ["auth", "refreshToken"]) => self.renew(&object(body).await?),
            (&Method::POST, ["stations", station, "produce", how @ ("single" | "batch")]) => {
                let session = self.session(parts)?;
                let station = query::decode(station);
                match *how {
                    "single" => self.produce_single(&session, &station, parts, body).await,
                    _ => self.produce_batch(&session, &station, parts, body).await,
                }
            }
            (&Method::POST, ["stations", station, "consume", "batch"]) => {
                let session = self.session(parts)?;
                let asked = object(body).await;
                let asked = asked.map_err(|_| message_of_consumer("Invalid request body"))?;
                let station = query::decode(station);
                consume::batch(&session, &station, &asked).await
            }
            _ => Err(Refused::message(404, "Not found")),
        }
    }

    /// Opens a session for who shows a user and a password or token.
    async fn authenticate(
        &self,
        asked: &Map<String, Value>,
        peer: SocketAddr,
    ) -> Result<Reply, Refused> {
        let minutes = minutes_of(asked, "token_expiry_in_minutes", self.minutes);
        let refresh = minutes_of(asked, "refresh_token_expiry_in_minutes", REFRESH_MINUTES);
        let text = |key: &str| asked.get(key).and_then(Value::as_str).unwrap_or_default();
        let username = match asked.get("account_id") {
            Some(Value::Number(id)) => format!("{}${id}", text("username")),
            Some(Value::String(id)) if !id.is_empty() => format!("{}${id}", text("username")),
            Some(_) | None => text("username").to_owned(),
        };
        let (password, token) = (text("password"), text("connection_token"));
        // Both or neither is no way to log in, as for SDKs.
        if username.is_empty() || password.is_empty() == token.is_empty() {
            return Err(Refused::unauthorized());
        }
        let until = minutes.max(refresh);
        let opened = self.sessions.open(&username, password, token, until, peer);
        let ticket = opened.await.map_err(|error| error.refused())?;
        Ok(self.tokens(&ticket, minutes, refresh))
    }

    /// Gives other tokens for a refresh token whose session is still there.
    fn renew(&self, asked: &Map<String, Value>) -> Result<Reply, Refused> {
        let minutes = minutes_of(asked, "token_expiry_in_minutes", self.minutes);
        let refresh = minutes_of(asked, "refresh_token_expiry_in_minutes", REFRESH_MINUTES);
        let token = asked.get("jwt_refresh_token").and_then(Value::as_str);
        let ticket =
            token.and_then(|token| self.refresh.check::<Ticket>(token, self.sessions.now()));
        let ticket = ticket.filter(|ticket| self.sessions.prolong(ticket, minutes.max(refresh)));
        let ticket = ticket.ok_or_else(Refused::unauthorized)?;
        Ok(self.tokens(&ticket, minutes, refresh))
    }

    /// Returns tokens for a session, and until when they hold, in milliseconds since 1970.
    fn tokens(&self, ticket: &Ticket, minutes: u32, refresh: u32) -> Reply {
        let now = self.sessions.now();
        let until = |minutes: u32| now.0 / 1_000_000 + super::minutes_in_ms(minutes);
        reply::json(
            200,
            &json!({
                "jwt": self.access.sign(ticket, minutes, now),
                "expires_in": until(minutes),
                "jwt_refresh_token": self.refresh.sign(ticket, refresh, now),
                "refresh_token_expires_in": until(refresh),
            }),
        )
    }

    /// Returns the session of who asks: the token is a header, or part of the address.
    fn session(&self, parts: &Parts) -> Result<Rc<Session>, Refused> {
        let header = parts.headers.get(AUTHORIZATION);
        let header = header.and_then(|value| value.to_str().ok());
        let query = query::parse(parts.uri.query().unwrap_or_default());
        let token = match header.and_then(|value| value.split_once(' ')) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim()),
            Some(_) | None => query.get("authorization").and_then(Value::as_str),
        };
        let ticket =
            token.and_then(|token| self.access.check::<Ticket>(token, self.sessions.now()));
        let session = ticket.and_then(|ticket| self.sessions.find(&ticket));
        session.ok_or_else(Refused::unauthorized)
    }
}

/// Reads a request that is a JSON object.
async fn object(body: Incoming) -> Result<Map<String, Value>, Refused> {
    let body = read_body(body, ASKED_BYTES_MAX).await;
    match body.map(|body| serde_json::from_slice(&body)) {
        Ok(Ok(Value::Object(asked))) => Ok(asked),
        Ok(Ok(_) | Err(_)) | Err(BodyError::TooLarge | BodyError::Incomplete) => {
            Err(Refused::message(400, "Invalid request body"))
        }
    }
}

/// Returns how long a token is to hold.
fn minutes_of(asked: &Map<String, Value>, key: &str, default: u32) -> u32 {
    let minutes = asked.get(key).and_then(Value::as_i64);
    let minutes = minutes.filter(|minutes| *minutes > 0);
    let minutes = minutes.map(|minutes| minutes.min(MINUTES_MAX));
    minutes
        .and_then(|minutes| u32::try_from(minutes).ok())
        .unwrap_or(default)
}

/// Says how producing went wrong.
fn failed(status: u16, text: &str) -> Refused {
    Refused::new(status, json!({"success": false, "error": text}))
}

/// Says how consuming went wrong.
fn message_of_consumer(text: &str) -> Refused {
    failed(400, text)
}

/// Returns the type of a body, without what follows it.
fn content_type(parts: &Parts) -> String {
    let value = parts.headers.get(CONTENT_TYPE);
    let value = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}
