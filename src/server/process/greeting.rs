//! What the log says of a server that starts.

use broker::Room;
use config::options::{HandshakeFirst, Memphis, Peers, Tls};
use config::{Options, Setup};
use storage::Cipher;

use super::store;
use crate::launch::CommandLine;
use crate::log::Logger;
use crate::ports_file::Bound;

/// Says what is about to run, and what the operator should know about it.
pub(super) fn greet(setup: &Setup, line: &CommandLine, id: &str, log: &Logger) {
    let options = &setup.options;
    if line.program == config::NATS_SERVER {
        log.info("Starting nats-server");
        log.info(format!("  Version:  {}", config::NATS_VERSION));
    } else {
        log.info("Starting beale");
        log.info(format!("  Version:  {}", config::VERSION));
    }
    let name = options.server_name.as_deref().unwrap_or(id);
    log.info(format!("  Name:     {name}"));
    log.info(format!("  ID:       {id}"));
    if has_plain_passwords(options) {
        log.warn("Plaintext passwords detected, use nkeys or bcrypt");
    }
    if let Some(file) = &setup.config {
        log.info(format!(
            "Using configuration file: {} ({})",
            file.path, file.digest
        ));
    }
    for unsupported in &setup.unsupported {
        log.warn(format!("Not supported yet, and ignored: {unsupported}"));
    }
    let system = options.system_account.is_some() || options.no_system_account;
    let named = options
        .accounts
        .iter()
        .any(|account| account.name == "$SYS");
    if !system && !named && options.operators.is_none() {
        log.debug("Created system account: \"$SYS\"");
    }
    let Some(memphis) = &options.memphis else {
        return;
    };
    if memphis.root_password == Memphis::DEFAULT_PASSWORD {
        log.warn(
            "The password of user root is the default one, so that only this machine can \
             connect: set ROOT_PASSWORD (and CONNECTION_TOKEN) to listen on all interfaces",
        );
    }
}

/// Says whether a password stands in the configuration as it is.
fn has_plain_passwords(options: &Options) -> bool {
    let of_accounts = options.accounts.iter().flat_map(|account| &account.users);
    let of_users = options.auth.users.iter().chain(of_accounts);
    let by_certificate = options.tls.as_ref().is_some_and(|tls| tls.verify_and_map);
    let passwords = of_users
        .filter(|user| user.nkey.is_none() && !(by_certificate && user.password.is_none()))
        .map(|user| user.password.as_deref().unwrap_or_default());
    let all = passwords.chain(options.auth.password.as_deref());
    all.into_iter().any(|password| !password.starts_with("$2"))
}

/// What is told once monitoring answers: where streams are, if there are any.
pub(super) struct Start {
    pub(super) options: Options,
    pub(super) room: Room,
    pub(super) cipher: Option<Cipher>,
    pub(super) log: Logger,
}

impl Start {
    pub(super) fn tell(self) {
        if self.options.jetstream.enabled {
            store::tell(&self.options, self.room, self.cipher, &self.log);
        }
    }
}

/// Says where clients and others come in.
pub(super) fn listening(bound: &Bound, config: &Options, log: &Logger) {
    websocket_lines(bound, log);
    for address in &bound.clients {
        log.info(format!("Listening for client connections on {address}"));
        if config.proxy_protocol && bound.clients.first() == Some(address) {
            log.info("PROXY protocol enabled for client connections");
        }
        tls_lines(config.tls.as_ref(), config.allow_non_tls, log);
    }
    for (peers, address) in &bound.closed {
        log.info(format!("Listening for {} on {address}", visitors(*peers)));
    }
}

/// Says where web pages come in.
fn websocket_lines(bound: &Bound, log: &Logger) {
    if let Some(address) = bound.websocket_tls {
        log.info(format!(
            "Listening for websocket clients on wss://{address}"
        ));
    }
    if let Some(address) = bound.websocket {
        log.info(format!("Listening for websocket clients on ws://{address}"));
        log.warn("Websocket not configured with TLS. DO NOT USE IN PRODUCTION!");
    }
}

/// Says what clients have to know about a listener with certificates.
fn tls_lines(tls: Option<&Tls>, allow_non_tls: bool, log: &Logger) {
    let Some(tls) = tls else { return };
    match (tls.handshake_first, allow_non_tls) {
        (HandshakeFirst::No | HandshakeFirst::Within(_), true) => {
            log.info("TLS available for client connections");
        }
        (HandshakeFirst::No | HandshakeFirst::Within(_), false) => {
            log.info("TLS required for client connections");
        }
        (HandshakeFirst::Always, _) => {
            log.info("TLS required for client connections");
            log.warn(
                "Clients that are not using \"TLS Handshake First\" option will fail to connect",
            );
        }
    }
}

/// Returns what nats-server calls who comes in by a listener.
fn visitors(peers: Peers) -> &'static str {
    match peers {
        Peers::Cluster => "route connections",
        Peers::Gateway => "gateways connections",
        Peers::LeafNodes => "leafnode connections",
        Peers::Mqtt => "MQTT clients",
    }
}

/// Says that all has ended; of a lame duck that its last client has gone, too.
pub(super) fn farewell(had_streams: bool, was_asked: bool, log: &Logger) {
    if had_streams {
        log.info("Initiating JetStream Shutdown...");
        log.info("JetStream Shutdown");
    }
    if !was_asked {
        log.info("Initiating Shutdown...");
    }
    log.info("Server Exiting..");
}
