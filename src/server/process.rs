//! The process around a server: what it logs at its start and end, its files, its signals.

mod advertise;
mod configuration;
mod store;

use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::Context;
use broker::{Room, Rules};
use config::options::{HandshakeFirst, Listen, Memphis, Peers, Resolver, Tls};
use config::{Options, Setup};
use storage::StoreOptions;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::clock::system_wall;
use crate::entropy::draw;
use crate::launch::CommandLine;
use crate::log::Logger;
use crate::machine;
use crate::net::TokioNet;
use crate::ports_file::Bound;
use crate::reload::{OpenStore, Reload};
use crate::serve::{Ends, ServeOptions, Surroundings, serve};
use crate::web_client;
use configuration::{Files, Source};

/// Serves until a signal ends it, and says how it went.
#[must_use]
pub fn run(setup: Setup, line: CommandLine) -> ExitCode {
    let log = match Logger::open(&setup.options.logging, &line.program) {
        Ok(log) => log,
        Err(error) => {
            Logger::complain(error);
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build();
    let served = runtime
        .context("starting the event loop")
        .and_then(|runtime| runtime.block_on(drive(setup, line, &log)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.fatal(format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn drive(setup: Setup, line: CommandLine, log: &Logger) -> anyhow::Result<()> {
    greet(&setup, &line, log);
    let files = Rc::new(Files::new(&line.program, log));
    files.write_pid(setup.options.pid_file.as_deref())?;
    let lines = log.clone();
    let room = machine::room(Path::new(&store::directory(&setup.options)));
    let (ask, asked) = unbounded_channel();
    let source = Source {
        line,
        log: log.clone(),
        files: Rc::clone(&files),
        notes: Vec::new(),
        digest: String::new(),
        room,
    };
    let around = Surroundings {
        wall: Box::new(system_wall),
        log: Box::new(move |line| lines.line(line)),
        reload: Some(Reload {
            asked,
            source: Box::new(source),
        }),
    };
    let mut options = serve_options(with_system_account(setup)?, room)?;
    let config = options.config.clone();
    let ready = |bound: &Bound| {
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
        files.write_ports(bound, config.ports_file_dir.as_deref());
        log.info("Server is ready");
    };
    let disk = match options.config.jetstream.enabled {
        true => {
            let OpenStore { disk, key } = store::open(&options.config)?;
            store::tell(&options.config, room, key.as_ref(), log);
            options.store.key = key;
            Some(disk)
        }
        false => None,
    };
    let (leave, left) = oneshot::channel();
    let ends = Ends {
        // A sender that is gone without a word means that nobody asked for it.
        leave: async {
            if left.await.is_err() {
                core::future::pending().await
            }
        },
        stop: stopped(log, leave, ask),
    };
    let served = serve::<TokioNet, _>(options, disk, around, ready, ends).await;
    files.remove();
    served?;
    log.info("Server Exiting..");
    Ok(())
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

/// Says what is about to run, and what the operator should know about it.
fn greet(setup: &Setup, line: &CommandLine, log: &Logger) {
    let options = &setup.options;
    if line.program == config::NATS_SERVER {
        log.info("Starting nats-server");
        log.info(format!("  Version:  {}", config::NATS_VERSION));
    } else {
        log.info("Starting beale");
        log.info(format!("  Version:  {}", config::VERSION));
    }
    if let Some(name) = &options.server_name {
        log.info(format!("  Name:     {name}"));
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

/// Returns where to listen, and by which rules.
fn listeners(options: &Options) -> Vec<(Listen, Rules)> {
    let nats = options.listen.iter().map(|at| (at.clone(), Rules::Nats));
    let memphis = options.memphis.iter();
    nats.chain(memphis.map(|memphis| (memphis.listen.clone(), Rules::Memphis)))
        .collect()
}

/// Waits for a signal that means "stop"; until then, opens the log again when asked to, and passes
/// requests for a reload or for lame duck mode on.
async fn stopped(log: &Logger, leave: oneshot::Sender<()>, reload: UnboundedSender<()>) {
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut reopen), Ok(mut hangup), Ok(mut ldm)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::user_defined1()),
        signal(SignalKind::hangup()),
        signal(SignalKind::user_defined2()),
    ) else {
        log.error("signals cannot be received; only a kill will stop this server");
        return core::future::pending().await;
    };
    let mut leave = Some(leave);
    let trapped = |name: &str| log.info(format!("Trapped \"{name}\" signal"));
    loop {
        tokio::select! {
            biased;
            _ = interrupt.recv() => {
                trapped("interrupt");
                break;
            }
            // Orchestrators ask for lame duck mode, then terminate at once, and wait: so does this.
            _ = terminate.recv() => {
                trapped("terminated");
                if leave.is_some() {
                    break;
                }
            }
            _ = ldm.recv() => {
                trapped("user defined signal 2");
                if let Some(leave) = leave.take() {
                    log.info("Entering lame duck mode, stop accepting new clients");
                    // Nobody listens any more when serving has ended already.
                    let _ = leave.send(());
                }
            }
            _ = reopen.recv() => {
                trapped("user defined signal 1");
                log.reopen();
            }
            _ = hangup.recv() => {
                trapped("hangup");
                // The same.
                let _ = reload.send(());
            }
        }
    }
    log.info("Initiating Shutdown...");
}

fn serve_options(setup: Setup, room: Room) -> anyhow::Result<ServeOptions> {
    if let Some(address) = &setup.options.client_advertise {
        advertise::check(address)?;
    }
    Ok(ServeOptions {
        listeners: listeners(&setup.options),
        config_digest: setup.config.map(|file| file.digest).unwrap_or_default(),
        config: setup.options,
        store: StoreOptions::default(),
        room,
        seed: seed(),
        secret: draw().context("drawing the server's keys")?,
    })
}

/// Fetches the system account where accounts are on the web, so that it is found out early when
/// nobody has them.
fn with_system_account(mut setup: Setup) -> anyhow::Result<Setup> {
    let operators = setup.options.operators.as_ref();
    let Some(Resolver::Web(server)) = operators.map(|operators| &operators.resolver) else {
        return Ok(setup);
    };
    web_client::fetch(server, "").map_err(anyhow::Error::msg)?;
    if let Some(key) = &setup.options.system_account {
        let fetched = web_client::fetch(server, key).map_err(anyhow::Error::msg);
        let taken = fetched.and_then(|token| {
            let now = i64::try_from(system_wall().0 / 1_000_000_000)?;
            Ok(config::replaced(&setup.options, token.trim(), now)?)
        });
        let (named, options) = taken.context("error resolving system account")?;
        anyhow::ensure!(
            named == *key,
            "error resolving system account: it is another one"
        );
        setup.options = *options;
    }
    Ok(setup)
}

/// Draws the seed of all randomness from the system.
fn seed() -> u64 {
    use core::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}
