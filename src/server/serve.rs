//! Running a broker on a network: listeners, connections, the timer, and the end of all of them.

use core::future::Future;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::rc::Rc;

use broker::{Level, LogLine, Room, Rules, Shard, ShardOptions, WorkDone};
use config::Options;
use config::options::{ClosedDoor, Listen, Peers, WebSocket};
use protocol::text::duration::Nanos;
use protocol::time::{Instant, Now, Wall};
use schemas::Languages;
use storage::StoreOptions;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};

use crate::clock::Clock;
use crate::closed_door::turn_away;
use crate::disk::{Disk, DiskQueue};
use crate::door::{Door, Entrance};
use crate::driver::{Driver, Outside, Wished};
use crate::http::Monitoring;
use crate::net::Net;
use crate::ports_file::Bound;
use crate::process_stats::Monitored;
use crate::refused::{Whose, bind, both_sites, site_without_tls};
use crate::reload::{ConfigSource, Reload};
use crate::rest::RestDoors;
use crate::tls::TlsDoor;
use crate::web::serve_site;
use crate::websocket::WebSocketDoor;
use crate::work;

/// How long connections may take to read their last bytes when the server stops.
const STOP_MAX: Duration = Duration::from_secs(3);

/// What to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The configuration.
    pub config: Options,
    /// Where to listen, and by which rules.
    pub listeners: Vec<(Listen, Rules)>,
    /// The digest of the configuration file, which monitoring shows; empty without one.
    pub config_digest: String,
    /// The limits of the store under JetStream.
    pub store: StoreOptions,
    /// What streams may take of the machine.
    pub room: Room,
    /// What all randomness comes from.
    pub seed: u64,
    /// What the server's keys are made from.
    pub secret: [u8; 32],
}

/// The outside of a server: what it tells, and the clock it asks for the time of day.
pub struct Surroundings {
    /// Tells the time of day.
    pub wall: Box<dyn Fn() -> Wall>,
    /// Takes the shard's log lines.
    pub log: Box<dyn Fn(&LogLine)>,
    /// How the configuration is read again; none where it never is.
    pub reload: Option<Reload>,
    /// Called when monitoring answers, before streams are read.
    pub opening: Box<dyn FnOnce()>,
}

impl core::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

/// What ends a server.
#[derive(Clone, Copy, Debug)]
pub struct Ends<L, S> {
    /// Done when nobody is to come in any more, and clients are to leave one after the other.
    pub leave: L,
    /// Done when everybody is to leave at once.
    pub stop: S,
}

/// Serves until `stop` is done, or the last client after `leave` has left; `ready` is told where
/// the listeners are bound. The disk is needed where JetStream is on.
///
/// Listeners are bound first, so that a port in use is noticed at once; connections are accepted when
/// the store has been recovered, so that no client ever meets streams that are not back yet.
///
/// # Errors
/// When an address cannot be bound.
///
/// # Panics
/// When a connection's task panics: a server that has lost its head must not go on.
pub async fn serve<N: Net, D: Disk>(
    options: ServeOptions,
    disk: Option<D>,
    around: Surroundings,
    ready: impl FnOnce(&Bound),
    ends: Ends<impl Future<Output = ()>, impl Future<Output = ()>>,
) -> io::Result<()> {
    let clock = Clock::new(around.wall);
    let (seed, digest) = (options.seed, options.config_digest.clone());
    let wanted = options.listeners.clone();
    let shard_options = shard_options(options, clock.now());
    let config = &shard_options.config;
    let (websocket, payload_max) = (config.websocket.clone(), config.limits.payload_max);
    let loaded = clock.now().wall;
    let mut monitored = Monitored::new(&config.http_base_path, digest, loaded);
    let tls = Rc::new(TlsDoor::open(config)?);
    let websocket_tls = TlsDoor::open_websocket(config)?.map(Rc::new);
    monitored.tls_cert_not_after = tls.not_after();
    let monitoring = bind_monitoring::<N>(config, &mut monitored, &around.log).await?;
    (around.opening)();
    let monitoring_tls = monitoring.as_ref().and_then(|(_, tls)| tls.clone());
    let mut bound = Bound {
        monitoring: monitored.bound,
        monitoring_tls: monitored.bound_tls,
        ..Bound::default()
    };
    let doors = config.closed_doors.clone();
    let rest = RestDoors::<N>::bind(config).await?;
    let asked_for = config.clone();
    let shard = Shard::new(shard_options, seed);
    let (queue, answers) = split(disk);
    let (worker, worked) = work::worker();
    let (asked, source) = reloads(around.reload);
    // Those of clients come first.
    let others = [&websocket_tls, &monitoring_tls, &rest.tls];
    let certificates = core::iter::once(&tls).chain(others.into_iter().flatten());
    let certificates = certificates.cloned().collect();
    let outside = Outside {
        clock,
        log: around.log,
        monitored,
        disk: queue,
        worker,
        config: source,
        doors: certificates,
    };
    let (driver, wished) = Driver::new(shard, outside);
    let driver = Rc::new(driver);
    let listeners = bind_clients::<N>(wanted, &mut bound).await?;
    let websocket = bind_websocket::<N>(
        websocket.as_ref(),
        websocket_tls,
        payload_max,
        &driver,
        &mut bound,
    )
    .await?;
    let pages = rest.bind_pages(&asked_for, &driver).await?;
    let closed = bind_closed::<N>(doors, &mut bound).await?;
    let parts = Parts::<N, D> {
        driver,
        answers,
        worked,
        asked,
        wished,
        listeners,
        websockets: websocket.into_iter().chain(pages).collect(),
        closed,
        monitoring,
        bound,
        tls,
        rest,
        config: asked_for,
    };
    LocalSet::new().run_until(parts.run(ready, ends)).await;
    Ok(())
}

/// Returns where disk operations go and where the answers come from, if there is a disk.
fn split<D: Disk>(disk: Option<D>) -> (Option<Box<dyn DiskQueue>>, Option<D::Answers>) {
    match disk.map(Disk::split) {
        Some((queue, answers)) => (Some(Box::new(queue)), Some(answers)),
        None => (None, None),
    }
}

/// Returns who asks for reloads, and where another configuration comes from.
fn reloads(reload: Option<Reload>) -> (UnboundedReceiver<()>, Option<Box<dyn ConfigSource>>) {
    match reload {
        Some(Reload { asked, source }) => (asked, Some(source)),
        // Closed: nobody ever asks.
        None => (tokio::sync::mpsc::unbounded_channel().1, None),
    }
}

/// Binds the listeners of clients.
async fn bind_clients<N: Net>(
    wanted: Vec<(Listen, Rules)>,
    bound: &mut Bound,
) -> io::Result<Vec<(N::Listener, Rules)>> {
    let mut listeners = Vec::new();
    for (listen, rules) in wanted {
        let listener = bind::<N>(Whose::Clients, &listen).await?;
        let address = N::local_addr(&listener)?;
        bound.clients.push(as_configured(&listen, address));
        listeners.push((listener, rules));
    }
    Ok(listeners)
}

/// Binds the listener for WebSockets, if there is to be one.
async fn bind_websocket<N: Net>(
    options: Option<&WebSocket>,
    tls: Option<Rc<TlsDoor>>,
    payload_max: u32,
    driver: &Rc<Driver>,
    bound: &mut Bound,
) -> io::Result<Option<Door<N>>> {
    let Some(options) = options else {
        return Ok(None);
    };
    let listen = &options.listen;
    let listener = bind::<N>(Whose::WebSockets, listen).await?;
    let local = as_configured(listen, N::local_addr(&listener)?);
    let slot = match tls {
        Some(_) => &mut bound.websocket_tls,
        None => &mut bound.websocket,
    };
    *slot = Some(local);
    driver.note_websocket(local);
    let entrance = Entrance {
        driver: Rc::clone(driver),
        local,
        rules: Rules::Nats,
        takes_origin: false,
        tls,
        websocket: Some(Rc::new(WebSocketDoor::new(options, payload_max))),
    };
    Ok(Some(Door::new(listener, entrance)))
}

/// Binds the listener of monitoring, with its certificates if it is to be encrypted.
async fn bind_monitoring<N: Net>(
    config: &Options,
    monitored: &mut Monitored,
    log: &dyn Fn(&LogLine),
) -> io::Result<Option<(N::Listener, Option<Rc<TlsDoor>>)>> {
    let listen = match (&config.http, &config.https) {
        (None, None) => return Ok(None),
        (Some(http), Some(https)) => return Err(both_sites(http, https)),
        (None, Some(_)) if config.tls.is_none() => return Err(site_without_tls()),
        (Some(listen), None) | (None, Some(listen)) => listen,
    };
    let tls = match (&config.http, &config.tls) {
        (None, Some(tls)) => Some(Rc::new(TlsDoor::open_to_all(tls)?)),
        (Some(_), _) | (None, None) => None,
    };
    let listener = bind::<N>(Whose::Monitoring, listen).await?;
    let bound = N::local_addr(&listener)?;
    let (slot, protocol) = match tls {
        Some(_) => (&mut monitored.bound_tls, "https"),
        None => (&mut monitored.bound, "http"),
    };
    *slot = Some(bound);
    let (host, port) = (&listen.host, bound.port());
    let text = format!("Starting {protocol} monitor on {host}:{port}");
    log(&LogLine::new(Level::Info, text));
    Ok(Some((listener, tls)))
}

/// Binds the listeners that let nobody in yet.
async fn bind_closed<N: Net>(
    doors: Vec<ClosedDoor>,
    bound: &mut Bound,
) -> io::Result<Vec<(N::Listener, Peers)>> {
    let mut closed = Vec::new();
    for ClosedDoor { peers, listen } in doors {
        let listener = bind::<N>(Whose::Peers(peers), &listen).await?;
        let address = as_configured(&listen, N::local_addr(&listener)?);
        bound.closed.push((peers, address));
        closed.push((listener, peers));
    }
    Ok(closed)
}

/// Returns where a listener is bound, in the terms of who configured it: both families' "every
/// interface" may stand for one's.
fn as_configured(listen: &Listen, bound: SocketAddr) -> SocketAddr {
    match listen.host.parse() {
        Ok(host) if bound.ip().is_unspecified() => SocketAddr::new(host, bound.port()),
        Ok(_) | Err(_) => bound,
    }
}

/// What a server consists of once it has its sockets.
struct Parts<N: Net, D: Disk> {
    driver: Rc<Driver>,
    answers: Option<D::Answers>,
    worked: UnboundedReceiver<WorkDone>,
    /// Gets one for each reload that is asked for.
    asked: UnboundedReceiver<()>,
    wished: Wished,
    listeners: Vec<(N::Listener, Rules)>,
    websockets: Vec<Door<N>>,
    /// Listeners that let nobody in yet.
    closed: Vec<(N::Listener, Peers)>,
    monitoring: Option<(N::Listener, Option<Rc<TlsDoor>>)>,
    bound: Bound,
    /// The client listeners' certificates.
    tls: Rc<TlsDoor>,
    rest: RestDoors<N>,
    /// As it was at the start.
    config: Options,
}

impl<N: Net, D: Disk> Parts<N, D> {
    async fn run(
        self,
        ready: impl FnOnce(&Bound),
        ends: Ends<impl Future<Output = ()>, impl Future<Output = ()>>,
    ) {
        let driver = self.driver;
        let mut fixtures = clockwork(&driver);
        // Monitoring answers while the store is being recovered: that is when it is asked.
        if let Some((listener, tls)) = self.monitoring {
            let site = Rc::new(Monitoring(Rc::clone(&driver)));
            fixtures.spawn_local(serve_site::<N, _>(site, listener, tls));
        }
        let began = driver.now();
        driver.start();
        let Wished { reloads, disks } = self.wished;
        let (disk, answers) = (Rc::clone(&driver), self.answers);
        fixtures.spawn_local(async move { disk.drive_disk(answers, disks).await });
        fixtures.spawn_local(drive_work(Rc::clone(&driver), self.worked));
        for (listener, peers) in self.closed {
            fixtures.spawn_local(turn_away::<N>(Rc::clone(&driver), listener, peers));
        }
        let Ends { leave, stop } = ends;
        tokio::pin!(leave, stop);
        tokio::select! {
            biased;
            () = &mut stop => return,
            ended = fixtures.join_next() => panic!("a fixture ended: {ended:?}"),
            () = driver.wait_ready() => {}
        }
        tell_streams_ready(&driver, &self.config, began);
        // Dropping a door's half of its channel closes it.
        let mut open = Vec::new();
        let mut doors = JoinSet::new();
        let (bound, tls, config) = (&self.bound, &self.tls, &self.config);
        let shut = shut::<N>(&driver, self.listeners, bound, tls, config);
        for door in shut.into_iter().chain(self.websockets) {
            let (keep, closing) = oneshot::channel();
            open.push(keep);
            doors.spawn_local(door.run(closing));
        }
        self.rest.open(&driver, &self.config, &mut fixtures);
        let (reloading, asked) = (Rc::clone(&driver), self.asked);
        fixtures.spawn_local(async move { reloading.drive_reloads(asked, reloads).await });
        ready(&self.bound);
        let mut leaving = false;
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                ended = fixtures.join_next() => panic!("a fixture ended: {ended:?}"),
                () = &mut leave, if !leaving => {
                    leaving = true;
                    open.clear();
                    driver.begin_lame_duck();
                }
                ended = doors.join_next(), if leaving || !doors.is_empty() => match ended {
                    Some(Ok(())) if leaving => {}
                    None => break,
                    Some(_) => panic!("a door ended: {ended:?}"),
                },
            }
        }
        // First nobody comes in any more, then those who are there leave.
        open.clear();
        driver.shut_down();
        let all_gone = async {
            while let Some(ended) = doors.join_next().await {
                ended.expect("doors close without a panic");
            }
            driver.wait_written().await;
        };
        drop(tokio::time::timeout(STOP_MAX, all_gone).await);
    }
}

/// Says how long it took until streams were there.
fn tell_streams_ready(driver: &Driver, config: &Options, began: Instant) {
    if config.jetstream.enabled {
        let took = Nanos::from(driver.now().since(began));
        driver.log(Level::Info, format!("Took {took} to start JetStream"));
    }
}

/// Returns the clients' doors, which nobody has come in by yet.
fn shut<N: Net>(
    driver: &Rc<Driver>,
    listeners: Vec<(N::Listener, Rules)>,
    bound: &Bound,
    tls: &Rc<TlsDoor>,
    config: &Options,
) -> Vec<Door<N>> {
    let listeners = listeners.into_iter().zip(bound.clients.iter().copied());
    let doors = listeners.map(|((listener, rules), local)| {
        let entrance = Entrance {
            driver: Rc::clone(driver),
            local,
            rules,
            takes_origin: config.proxy_protocol && rules == Rules::Nats,
            tls: Some(Rc::clone(tls)),
            websocket: None,
        };
        Door::new(listener, entrance)
    });
    doors.collect()
}

/// Starts what drives the shard from within.
fn clockwork(driver: &Rc<Driver>) -> JoinSet<()> {
    let mut fixtures = JoinSet::new();
    let timer = Rc::clone(driver);
    fixtures.spawn_local(async move { timer.drive_timer().await });
    let settling = Rc::clone(driver);
    fixtures.spawn_local(async move { settling.drive_settling().await });
    fixtures
}

fn shard_options(options: ServeOptions, start: Now) -> ShardOptions {
    ShardOptions {
        room: options.room,
        config: options.config,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        start,
        store: options.store,
        secret: options.secret,
        schemas: Rc::new(Languages),
    }
}

/// Hands over what came of work outside, for ever.
async fn drive_work(driver: Rc<Driver>, mut worked: UnboundedReceiver<WorkDone>) {
    while let Some(done) = worked.recv().await {
        driver.work_done(done);
    }
}
