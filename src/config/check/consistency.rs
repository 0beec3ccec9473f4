//! What must hold between settings, once file and command line are merged.

use alloc::string::String;
use core::time::Duration;

use protocol::text::duration::Nanos;

use super::operator::OperatorError;
use super::websocket::{self, WebSocketError};
use crate::options::{ClosedDoor, Options, Peers, Resolver};

/// Settings that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// One message would not fit what may wait for a client.
    #[error("max_payload ({payload}) cannot be higher than max_pending ({pending})")]
    PayloadAbovePending {
        /// The largest message.
        payload: u32,
        /// What may wait.
        pending: u64,
    },
    /// A leaving server would wait longer than it has.
    #[error(
        "lame duck grace period ({}) should be strictly lower than lame duck duration ({})",
        Nanos::from(*grace),
        Nanos::from(*duration)
    )]
    GracePeriod {
        /// How long it waits first.
        grace: Duration,
        /// How long it has.
        duration: Duration,
    },
    /// `no_auth_user` without any users.
    #[error("no_auth_user: {0:?} present, but users/nkeys are not defined")]
    NoUsers(String),
    /// `no_auth_user` names nobody.
    #[error(
        "no_auth_user: {0:?} not present as user or nkey in authorization block or account configuration"
    )]
    NoAuthUser(String),
    /// `system_account` names no account.
    #[error("error resolving system account: account missing")]
    SystemAccount(String),
    /// A domain of JetStream for an account that there is not.
    #[error("in non operator mode, `default_js_domain` references non existing account {0:?}")]
    DomainOfNobody(String),
    /// MQTT keeps its sessions in streams.
    #[error("mqtt requires JetStream to be enabled if running in standalone mode")]
    MqttWithoutJetStream,
    /// Operator mode that does not fit.
    #[error(transparent)]
    Operators(#[from] OperatorError),
    /// A gateway that nobody can be told of.
    #[error("gateway has no name")]
    GatewayWithoutName,
    /// A gateway that nobody can come by.
    #[error("gateway {0:?} has no port specified (select -1 for random port)")]
    GatewayWithoutPort(String),
    /// Another gateway that nobody knows the name of, by its place in the list.
    #[error("gateway in the list {0} has no name")]
    OtherWithoutName(usize),
    /// Another gateway that nobody knows the way to.
    #[error("gateway {0:?} has no URL")]
    OtherWithoutUrl(String),
    /// A WebSocket listener that does not fit.
    #[error(transparent)]
    WebSocket(#[from] WebSocketError),
}

/// Fills in what defaults to another setting, and checks that all fit together.
pub(crate) fn settle(options: &mut Options) -> Result<(), Inconsistent> {
    monitoring(options);
    // Stations are streams.
    options.jetstream.enabled |= options.memphis.is_some();
    let limits = &options.limits;
    if u64::from(limits.payload_max) > limits.pending_max {
        return Err(Inconsistent::PayloadAbovePending {
            payload: limits.payload_max,
            pending: limits.pending_max,
        });
    }
    if options.lame_duck_grace_period >= options.lame_duck_duration {
        return Err(Inconsistent::GracePeriod {
            grace: options.lame_duck_grace_period,
            duration: options.lame_duck_duration,
        });
    }
    no_auth_user(options, options.no_auth_user.as_ref())?;
    let websocket = options.websocket.as_ref();
    no_auth_user(options, websocket.and_then(|ws| ws.no_auth_user.as_ref()))?;
    websocket::fits(options)?;
    let is_mqtt = |door: &ClosedDoor| door.peers == Peers::Mqtt;
    let alone = !options.closed_doors.iter().any(|d| !is_mqtt(d));
    if options.closed_doors.iter().any(is_mqtt) && alone && !options.jetstream.enabled {
        return Err(Inconsistent::MqttWithoutJetStream);
    }
    let is_account = |name: &str| {
        name == "$G" || name == "$SYS" || options.accounts.iter().any(|a| a.name == name)
    };
    let mut domains = options.default_js_domain.iter();
    if options.operators.is_none()
        && let Some((account, _)) = domains.find(|(account, _)| !is_account(account))
    {
        return Err(Inconsistent::DomainOfNobody(account.clone()));
    }
    // One that is on the web is asked for at the start.
    let operators = options.operators.as_ref();
    let elsewhere = operators.is_some_and(|o| matches!(o.resolver, Resolver::Web(_)));
    if let Some(name) = &options.system_account
        && !elsewhere
        && !is_account(name)
    {
        return Err(Inconsistent::SystemAccount(name.clone()));
    }
    Ok(())
}

fn monitoring(options: &mut Options) {
    let memphis = options.memphis.as_ref().map(|m| &m.listen);
    let clients = options.listen.as_ref().or(memphis);
    let default_host = clients.map_or_else(|| String::from("0.0.0.0"), |l| l.host.clone());
    let listeners = [&mut options.http, &mut options.https];
    for listen in listeners.into_iter().flatten() {
        if listen.host.is_empty() {
            listen.host.clone_from(&default_host);
        }
    }
}

fn no_auth_user(options: &Options, name: Option<&String>) -> Result<(), Inconsistent> {
    let Some(name) = name else {
        return Ok(());
    };
    let accounts = options.accounts.iter().flat_map(|a| &a.users);
    let mut users = options.auth.users.iter().chain(accounts).peekable();
    if users.peek().is_none() {
        return Err(Inconsistent::NoUsers(name.clone()));
    }
    if users.any(|u| u.name == *name || u.nkey.as_ref() == Some(name)) {
        return Ok(());
    }
    Err(Inconsistent::NoAuthUser(name.clone()))
}
