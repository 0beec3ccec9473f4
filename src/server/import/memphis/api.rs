//! Memphis' management interface: over HTTP where stations come from, by messages where they go to.

use base64::Engine as _;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::client::ClientError;
use crate::import::address::Address;
use crate::import::ask::ANSWER_MAX;
use crate::import::{ImportError, Link};

const UNAUTHORIZED: u16 = 401;

/// Answers calls.
pub(super) trait Api {
    /// Calls a route (`stations/getStation`); reading ones have the method GET.
    async fn call(
        &mut self,
        method: Method,
        route: &str,
        fields: &Value,
    ) -> Result<Value, ImportError>;

    /// Asks for something.
    async fn get(&mut self, route: &str, fields: &Value) -> Result<Value, ImportError> {
        self.call(Method::GET, route, fields).await
    }
}

/// Over HTTP.
pub(super) struct Http<'a> {
    at: &'a Address,
    /// What shows who asks; empty before the login.
    token: String,
}

impl<'a> Http<'a> {
    pub(super) fn new(at: &'a Address) -> Self {
        Self {
            at,
            token: String::new(),
        }
    }

    async fn log_in(&mut self) -> Result<(), ImportError> {
        let login = &self.at.login;
        let who = json!({"username": login.user, "password": login.password});
        let (status, answer) = self.ask(Method::POST, "usermgmt/login", &who).await?;
        let answer = checked("the login", status, answer)?;
        let token = answer.get("jwt").and_then(Value::as_str);
        token.unwrap_or_default().clone_into(&mut self.token);
        Ok(())
    }

    async fn ask(
        &self,
        method: Method,
        route: &str,
        fields: &Value,
    ) -> Result<(u16, Value), ImportError> {
        let asking = self.exchange(method, route, fields);
        let answer = tokio::time::timeout(ANSWER_MAX, asking).await;
        let answer = answer.unwrap_or(Err(ClientError::Late));
        answer.map_err(|error| ImportError::Connection(format!("{:?}", self.at), error))
    }

    /// One request on a connection of its own: there are few of them, far apart.
    async fn exchange(
        &self,
        method: Method,
        route: &str,
        fields: &Value,
    ) -> Result<(u16, Value), ClientError> {
        let broken = |error: hyper::Error| ClientError::Io(std::io::Error::other(error));
        let stream = TokioIo::new(self.at.open().await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
            .await
            .map_err(broken)?;
        let (target, body) = match method {
            Method::GET => (format!("/api/{route}{}", query(fields)), String::new()),
            _ => (format!("/api/{route}"), fields.to_string()),
        };
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, format!("{:?}", self.at))
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Full::new(bytes::Bytes::from(body)))
            .map_err(|error| ClientError::Io(std::io::Error::other(error)))?;
        let asking = async {
            let answer = sender.send_request(request).await.map_err(broken)?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.map_err(broken)?;
            Ok::<_, ClientError>((status, body.to_bytes()))
        };
        let mut connection = std::pin::pin!(connection);
        let mut asking = std::pin::pin!(asking);
        let (status, body) = tokio::select! {
            biased;
            answer = &mut asking => answer?,
            // The answer may be whole when the connection ends.
            _ = &mut connection => asking.await?,
        };
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

impl Api for Http<'_> {
    async fn call(
        &mut self,
        method: Method,
        route: &str,
        fields: &Value,
    ) -> Result<Value, ImportError> {
        let mut answer = (UNAUTHORIZED, Value::Null);
        if !self.token.is_empty() {
            answer = self.ask(method.clone(), route, fields).await?;
        }
        // Tokens hold for minutes, and an import takes longer.
        if answer.0 == UNAUTHORIZED {
            self.log_in().await?;
            answer = self.ask(method, route, fields).await?;
        }
        checked(route, answer.0, answer.1)
    }
}

/// By messages.
pub(super) struct Messages<'a>(pub(super) &'a mut Link);

impl Api for Messages<'_> {
    async fn call(&mut self, _: Method, route: &str, fields: &Value) -> Result<Value, ImportError> {
        let subject = format!("$memphis_api.{}", route.replacen('/', ".", 1));
        let body = fields.to_string();
        let answer = self.0.request(&subject, b"", body.as_bytes(), ANSWER_MAX);
        let answer = answer.await?;
        if answer.status().is_some() {
            return Err(ImportError::Refused {
                what: route.to_owned(),
                said: "Memphis is not enabled".to_owned(),
            });
        }
        let unreadable = |_| ImportError::Unreadable {
            what: route.to_owned(),
        };
        let mut answer: Value = serde_json::from_slice(&answer.payload).map_err(unreadable)?;
        let status = answer.get("status").and_then(Value::as_u64);
        let status = status.and_then(|status| u16::try_from(status).ok());
        let body = answer.get_mut("body").map(Value::take);
        checked(route, status.unwrap_or_default(), body.unwrap_or_default())
    }
}

fn checked(what: &str, status: u16, answer: Value) -> Result<Value, ImportError> {
    if status == 200 {
        return Ok(answer);
    }
    let said = answer.get("message").and_then(Value::as_str);
    let said = said.map_or_else(|| format!("status {status}"), str::to_owned);
    Err(ImportError::Refused {
        what: what.to_owned(),
        said,
    })
}

/// Writes fields as a query.
fn query(fields: &Value) -> String {
    let pairs = fields.as_object().into_iter().flatten();
    let mut text = String::new();
    for (key, value) in pairs {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                    text.push(char::from(byte));
                }
                byte => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    text
}

/// Draws a password that keeps Memphis' rules, and that nobody is told.
pub(super) fn drawn_password() -> String {
    let name = crate::rest::drawn_name();
    let drawn = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(name);
    let drawn: String = drawn.chars().take(12).collect();
    format!("Aa1!{drawn}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_kinds_pass_through_a_query() {
        assert_eq!(query(&json!({})), "");
        assert_eq!(query(&json!({"a": "x y&z", "b": 1})), "?a=x%20y%26z&b=1");
    }

    #[test]
    fn drawn_passwords_differ_and_keep_the_rules() {
        let (one, other) = (drawn_password(), drawn_password());
        assert_ne!(one, other);
        assert!((8..=20).contains(&one.len()), "{one}");
    }
}
