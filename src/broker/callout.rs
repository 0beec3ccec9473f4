//! Users about whom a service of an account decides: the server asks it for each login, and lets in whom it
//! vouches for.
//!
//! *Invariant:* an answer counts only for the login that it was asked for (each question has a user key of its
//! own), only if it is for this server, and only from whom the configuration or the account names. Whoever
//! gets no answer in time is turned away.

mod answer;
mod question;

use answer::Objection;

pub(crate) use question::raw_user;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config::options::ConnectionType;
use identity::xkey::NONCE_LEN;
use identity::{KeyKind, KeyPair, PublicKey};
use protocol::connect::Connect;
use protocol::id::{AccountId, ConnId};
use protocol::message::Message;
use sha2::{Digest as _, Sha256};

use crate::auth::{Refusal, User};
use crate::conn::{Conn, Login, State};
use crate::effects::{Level, LogLine};
use crate::publish::Inline;
use crate::router::Target;
use crate::shard::Shard;

/// Where the service is asked.
pub(crate) const SUBJECT: &str = "$SYS.REQ.USER.AUTH";
/// What the service needs to know to encrypt its answer.
const XKEY_HEADER: &str = "Nats-Server-Xkey";
/// What a token begins with: a brace in base 64.
const TOKEN_START: &[u8] = b"eyJ";

/// Who decides about a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decider {
    /// The account of the service.
    pub(crate) account: AccountId,
    /// Who signs what it vouches for.
    pub(crate) issuer: String,
    /// The key that its questions are encrypted for.
    pub(crate) xkey: Option<PublicKey>,
    /// Whether accounts are signed here.
    pub(crate) is_operator: bool,
}

/// A question that has not been answered.
#[derive(Debug)]
struct Open {
    decider: Decider,
    conn: ConnId,
    /// Whom the answer must be about.
    user: String,
}

/// Questions that have not been answered, by the last token of the subject of their answers.
#[derive(Debug, Default)]
pub(crate) struct Callouts {
    open: BTreeMap<String, Open>,
    /// How many digests were drawn.
    asked: u64,
}

impl Shard {
    /// Ends a login: `found` is who the client is as far as this server knows.
    pub(crate) fn decide(
        &mut self,
        id: ConnId,
        found: Option<(AccountId, Option<Rc<User>>)>,
        said: Connect,
    ) {
        let Some(conn) = self.router.conns.get(id) else {
            return;
        };
        let account = found.as_ref().map(|(account, _)| *account);
        match (self.auth.decider(conn.rules, &said, account), found) {
            (Some(decider), _) => self.ask_about(id, said, decider),
            (None, Some((account, user))) => self.admit(id, account, user, &said),
            (None, None) => self.turn_away(id, &said, Refusal::Credentials),
        }
    }

    fn ask_about(&mut self, id: ConnId, said: Connect, decider: Decider) {
        let user = KeyPair::from_entropy(KeyKind::User, self.fresh_digest());
        let user = user.public().to_string();
        let Some(question) = self.question(id, &said, &decider, &user) else {
            return self.turn_away(id, &said, Refusal::Credentials);
        };
        let token = URL_SAFE_NO_PAD.encode(self.fresh_digest());
        let now = self.router.now.mono;
        let kind = self.router.conns.get(id).map(Conn::kind);
        let timeout = self.auth_timeout(kind.unwrap_or(ConnectionType::Standard));
        if let Some(conn) = self.router.conns.get_mut(id) {
            conn.state = State::Login {
                deadline: now + timeout,
            };
            // One allocation per login that is asked about.
            conn.login = Some(Box::new(Login {
                said,
                account: decider.account,
                user: None,
                again: false,
            }));
            self.router.fx.gate.push((id, true));
        }
        self.bind_answers(decider.account);
        let reply = format!("{}{token}", self.answers_prefix());
        let account = decider.account;
        let sealed = self.sealed(&decider, question.as_bytes());
        let (headers, payload) = match &sealed {
            Some(sealed) => (
                format!("NATS/1.0\r\n{XKEY_HEADER}: {}\r\n\r\n", self.identity.xkey),
                sealed.as_slice(),
            ),
            None => (String::new(), question.as_bytes()),
        };
        self.router.callouts.open.insert(
            token,
            Open {
                decider,
                conn: id,
                user,
            },
        );
        let msg = Message {
            subject: SUBJECT.as_bytes(),
            reply: reply.as_bytes(),
            headers: headers.as_bytes(),
            payload,
        };
        let mut inline = Inline::of_server(self.streams.as_mut());
        let router = &mut self.router;
        router.unfollowed(|router| {
            router.enter(account, SUBJECT.as_bytes(), &msg, None, &mut inline);
        });
    }

    /// Returns a digest that nobody else can know, and that does not come twice.
    fn fresh_digest(&mut self) -> [u8; 32] {
        self.router.callouts.asked += 1;
        let mut digest = Sha256::new();
        digest.update(self.identity.secret());
        digest.update(self.router.callouts.asked.to_le_bytes());
        digest.finalize().into()
    }

    /// Encrypts a question for a service that wants that.
    fn sealed(&mut self, decider: &Decider, question: &[u8]) -> Option<Vec<u8>> {
        let to = decider.xkey.as_ref()?;
        let mut nonce = [0; NONCE_LEN];
        for (byte, random) in nonce.iter_mut().zip(self.fresh_digest()) {
            *byte = random;
        }
        self.identity.curve().seal(to, nonce, question)
    }

    fn answers_prefix(&self) -> String {
        let id = &self.identity.id;
        format!("$SYS._INBOX.{}.", id.get(..8).unwrap_or(id))
    }

    /// Sees to it that answers in an account come back here.
    fn bind_answers(&mut self, account: AccountId) {
        let subject = format!("{}*", self.answers_prefix());
        if let Some(account) = self.router.accounts.get_mut(account)
            && !account
                .subs
                .has_interest_of(subject.replace('*', "x").as_bytes(), |target| {
                    target == Target::System
                })
        {
            let bound = account
                .subs
                .insert(subject.as_bytes(), None, Target::System);
            debug_assert!(bound.is_ok(), "the subject is well formed");
        }
    }

    /// Takes the answer to a question.
    pub(crate) fn on_callout_answer(&mut self, token: &str, payload: &[u8]) {
        let Some(open) = self.router.callouts.open.remove(token) else {
            return;
        };
        let id = open.conn;
        let outcome = self.vouched(&open, payload);
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        let Some(login) = conn.login.take() else {
            return;
        };
        self.router.fx.gate.push((id, false));
        match outcome {
            Ok((user, name)) => {
                let mut said = login.said;
                if !name.is_empty() {
                    said.user = name;
                    said.nkey = String::new();
                    said.auth_token = String::new();
                }
                let account = user.account;
                self.admit(id, account, Some(Rc::new(user)), &said);
            }
            Err(Objection { why, refusal }) => {
                let mut text = why;
                if let Some(first) = text.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                let level = Level::Warn;
                self.router.fx.log.push(LogLine::new(level, text));
                self.turn_away(id, &login.said, refusal);
            }
        }
        self.arm(id);
    }

    /// Turns a client away about whom nobody has answered in time; false if none was asked.
    pub(crate) fn on_callout_overdue(&mut self, id: ConnId) -> bool {
        let open = &mut self.router.callouts.open;
        let before = open.len();
        open.retain(|_, open| open.conn != id);
        if open.len() == before {
            return false;
        }
        let login = self
            .router
            .conns
            .get_mut(id)
            .and_then(|conn| conn.login.take());
        self.router.fx.gate.push((id, false));
        let said = login.map(|login| login.said).unwrap_or_default();
        self.turn_away(id, &said, Refusal::Credentials);
        true
    }
}
