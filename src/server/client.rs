//! A small NATS client over any stream of bytes: the REST gateway is one, inside of the process, and so
//! is what moves streams from another server.
//!
//! *Invariant:* one future uses it at a time. What is published waits until [`Client::flush`] or until
//! somebody waits for a message.

pub mod wire;

use core::time::Duration;
use std::io;

use bytes::{BufMut as _, BytesMut};
use identity::KeyPair;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

pub(crate) use wire::Message;
use wire::{NotTheProtocol, Reader, ServerOp};

/// How long a server may take to let somebody in.
const LOGIN_MAX: Duration = Duration::from_secs(10);
/// The subscription that answers come to.
const INBOX_SID: u64 = 1;
const READ_CHUNK: usize = 64 << 10;

/// Who connects.
#[derive(Clone, Default)]
pub(crate) struct Login {
    /// The name of the connection.
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) password: String,
    /// In place of a user and a password.
    pub(crate) token: String,
    /// A user's claims, signed by an account.
    pub(crate) jwt: String,
    /// The seed of a user's key, which signs what the server sends with its greeting.
    pub(crate) seed: String,
}

/// Why a client cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Protocol(#[from] NotTheProtocol),
    /// The server said why.
    #[error("{0}")]
    Refused(String),
    #[error("the server closed the connection")]
    Closed,
    #[error("the server did not answer in time")]
    Late,
    #[error("the seed of the key: {0}")]
    Seed(#[from] identity::KeyError),
}

/// A connection to a server.
pub(crate) struct Client<S> {
    stream: S,
    reader: Reader,
    output: BytesMut,
    /// What subjects of answers start with.
    inbox: String,
    last_request: u64,
    last_sid: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Logs in; `inbox` is a token that no other client has.
    ///
    /// # Errors
    /// When the server refuses, or is none.
    pub(crate) async fn connect(
        stream: S,
        login: &Login,
        inbox: &str,
    ) -> Result<Self, ClientError> {
        Self::greeted(stream, BytesMut::new(), login, inbox).await
    }

    /// Does the same on a stream whose first bytes have been read.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub(crate) async fn greeted(
        stream: S,
        input: BytesMut,
        login: &Login,
        inbox: &str,
    ) -> Result<Self, ClientError> {
        let mut client = Self {
            stream,
            reader: Reader { input },
            output: BytesMut::new(),
            inbox: format!("_INBOX.{inbox}"),
            last_request: 0,
            last_sid: INBOX_SID,
        };
        match tokio::time::timeout(LOGIN_MAX, client.log_in(login)).await {
            Ok(done) => done.map(|()| client),
            Err(_) => Err(ClientError::Late),
        }
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), ClientError> {
        let info: Value = loop {
            if let ServerOp::Info(info) = self.next_op().await? {
                // What is no JSON has no nonce, and that is all that is asked of it.
                break serde_json::from_slice(&info).unwrap_or_default();
            }
        };
        let mut said = json!({
            "verbose": false, "pedantic": false, "protocol": 1, "lang": "beale",
            "version": config::VERSION, "name": login.name, "headers": true, "no_responders": true,
        });
        if let Some(said) = said.as_object_mut() {
            let mut say = |key: &str, text: &str| {
                if !text.is_empty() {
                    said.insert(key.to_owned(), Value::from(text));
                }
            };
            say("user", &login.user);
            say("pass", &login.password);
            say("auth_token", &login.token);
            say("jwt", &login.jwt);
            if !login.seed.is_empty() {
                let key = KeyPair::from_seed(&login.seed)?;
                let nonce = info.get("nonce").and_then(Value::as_str);
                say("sig", &key.sign_text(nonce.unwrap_or_default().as_bytes()));
                if login.jwt.is_empty() {
                    say("nkey", &key.public().to_string());
                }
            }
        }
        let hello = format!(
            "CONNECT {said}\r\nSUB {}.* {INBOX_SID}\r\nPING\r\n",
            self.inbox
        );
        self.output.put_slice(hello.as_bytes());
        loop {
            match self.next_op().await? {
                ServerOp::Pong => return Ok(()),
                ServerOp::Err(text) => return Err(ClientError::Refused(text)),
                ServerOp::Info(_) | ServerOp::Ok | ServerOp::Ping | ServerOp::Message(_) => {}
            }
        }
    }

    /// Returns a subject that answers of this client come to.
    pub(crate) fn reply_subject(&mut self) -> String {
        self.last_request += 1;
        format!("{}.{}", self.inbox, self.last_request)
    }

    /// Subscribes to messages that show the subject they were sent to.
    pub(crate) fn subscribe(&mut self, subject: &str) -> u64 {
        self.last_sid += 1;
        let line = format!("SUB {subject} {}\r\n", self.last_sid);
        self.output.put_slice(line.as_bytes());
        self.last_sid
    }

    /// Ends a subscription.
    pub(crate) fn unsubscribe(&mut self, sid: u64) {
        let line = format!("UNSUB {sid}\r\n");
        self.output.put_slice(line.as_bytes());
    }

    /// Publishes; headers are a whole block, or empty.
    pub(crate) fn publish(&mut self, subject: &str, reply: &str, headers: &[u8], payload: &[u8]) {
        let total = headers.len() + payload.len();
        let line = match headers {
            [] => format!("PUB {subject} {reply} {total}\r\n"),
            headers => format!("HPUB {subject} {reply} {} {total}\r\n", headers.len()),
        };
        self.output.put_slice(line.as_bytes());
        self.output.put_slice(headers);
        self.output.put_slice(payload);
        self.output.put_slice(b"\r\n");
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(crate) async fn flush(&mut self) -> Result<(), ClientError> {
        let output = self.output.split();
        self.stream.write_all(&output).await?;
        Ok(self.stream.flush().await?)
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// When the connection ends, or nothing comes in time.
    pub(crate) async fn next(&mut self, wait: Duration) -> Result<Message, ClientError> {
        let coming = async {
            loop {
                match self.next_op().await? {
                    ServerOp::Message(message) => return Ok(message),
                    ServerOp::Err(text) => return Err(ClientError::Refused(text)),
                    ServerOp::Info(_) | ServerOp::Ok | ServerOp::Ping | ServerOp::Pong => {}
                }
            }
        };
        let came = tokio::time::timeout(wait, coming).await;
        came.unwrap_or(Err(ClientError::Late))
    }

    /// Asks, and waits for the answer. What else comes meanwhile is of requests given up.
    ///
    /// # Errors
    /// When the connection ends, or no answer comes in time.
    pub(crate) async fn request(
        &mut self,
        subject: &str,
        headers: &[u8],
        payload: &[u8],
        wait: Duration,
    ) -> Result<Message, ClientError> {
        let reply = self.reply_subject();
        self.publish(subject, &reply, headers, payload);
        loop {
            let message = self.next(wait).await?;
            if message.subject == reply {
                return Ok(message);
            }
        }
    }

    async fn next_op(&mut self) -> Result<ServerOp, ClientError> {
        loop {
            match self.reader.next_op()? {
                Some(ServerOp::Ping) => {
                    self.output.put_slice(b"PONG\r\n");
                    return Ok(ServerOp::Ping);
                }
                Some(op) => return Ok(op),
                None => {}
            }
            if !self.output.is_empty() {
                self.flush().await?;
            }
            self.reader.input.reserve(READ_CHUNK);
            if self.stream.read_buf(&mut self.reader.input).await? == 0 {
                return Err(ClientError::Closed);
            }
        }
    }
}
