//! The process around a server: what it logs at its start and end, its files, its signals.

mod advertise;
mod configuration;
mod greeting;
mod store;

use core::cell::Cell;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::Context;
use broker::{Identity, Room, Rules};
use config::options::{Listen, Resolver};
use config::{Options, Setup};
use storage::{StoreKey, StoreOptions};
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
use greeting::Start;

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
    let secret = draw().context("drawing the server's keys")?;
    greeting::greet(&setup, &line, &Identity::id_of(secret), log);
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
    let setup = with_system_account(setup)?;
    if let Some(address) = &setup.options.client_advertise {
        advertise::check(address)?;
    }
    files.note_streams(&setup.options);
    let mut options = serve_options(setup, room, secret);
    let config = options.config.clone();
    let ready = |bound: &Bound| {
        greeting::listening(bound, &config, log);
        files.write_ports(bound, config.ports_file_dir.as_deref());
        log.info("Server is ready");
    };
    let disk = match options.config.jetstream.enabled {
        true => {
            let OpenStore { disk, key } = store::open(&options.config)?;
            options.store.key = key;
            Some(disk)
        }
        false => None,
    };
    let start = Start {
        options: options.config.clone(),
        room,
        cipher: options.store.key.as_ref().map(StoreKey::cipher),
        log: log.clone(),
    };
    let around = Surroundings {
        wall: Box::new(system_wall),
        log: Box::new(move |line| lines.line(line)),
        reload: Some(Reload {
            asked,
            source: Box::new(source),
        }),
        opening: Box::new(move || start.tell()),
    };
    let stopping = Cell::new(false);
    let (leave, left) = oneshot::channel();
    let ends = Ends {
        // A sender that is gone without a word means that nobody asked for it.
        leave: async {
            if left.await.is_err() {
                core::future::pending().await
            }
        },
        stop: async {
            stopped(log, leave, ask).await;
            stopping.set(true);
        },
    };
    let served = serve::<TokioNet, _>(options, disk, around, ready, ends).await;
    files.remove();
    served?;
    greeting::farewell(files.has_streams(), stopping.get(), log);
    Ok(())
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

fn serve_options(setup: Setup, room: Room, secret: [u8; 32]) -> ServeOptions {
    ServeOptions {
        listeners: listeners(&setup.options),
        config_digest: setup.config.map(|file| file.digest).unwrap_or_default(),
        config: setup.options,
        store: StoreOptions::default(),
        room,
        seed: seed(),
        secret,
    }
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
