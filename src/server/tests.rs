//! Over real TCP, on free ports of the loopback interface.

use core::cell::Cell;
use core::net::SocketAddr;
use core::time::Duration;
use std::path::Path;
use std::rc::Rc;

use broker::{Room, Rules};
use config::Options;
use config::options::Listen;
use protocol::time::Wall;
use storage::StoreOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::disk::FileDisk;
use crate::net::TokioNet;
use crate::ports_file::Bound;
use crate::reload::Reload;
use crate::serve::{Ends, ServeOptions, Surroundings, serve};

mod origin;
mod reload;
mod tls;
mod websocket;

const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";

#[test]
fn messages_travel_between_two_sockets() {
    with_server(|address| async move {
        let mut sub = client(address).await;
        sub.write_all(b"SUB foo 1\r\nPING\r\n").await.unwrap();
        read_until(&mut sub, b"PONG\r\n").await;
        let mut publisher = client(address).await;
        let payload = vec![b'x'; 300_000];
        publisher.write_all(b"PUB foo 300000\r\n").await.unwrap();
        publisher.write_all(&payload).await.unwrap();
        publisher.write_all(b"\r\n").await.unwrap();
        let heard = read_until(&mut sub, b"x\r\n").await;
        assert!(heard.starts_with(b"MSG foo 1 300000\r\n"));
        assert_eq!(heard.len(), b"MSG foo 1 300000\r\n".len() + 300_002);
    });
}

#[test]
fn a_client_reads_its_error_before_the_connection_ends() {
    with_server(|address| async move {
        let mut client = client(address).await;
        // Far more than the socket's buffers hold: the error must not drown in unread input.
        let mut flood = b"NOPE\r\n".to_vec();
        flood.resize(1 << 20, b'x');
        client.write_all(&flood).await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"-ERR 'Unknown Protocol Operation'\r\n");
    });
}

#[test]
fn a_hashed_password_lets_in_who_knows_it() {
    let mut config = Options::default();
    config.auth.users = vec![config::options::User {
        name: "h".to_owned(),
        password: Some(bcrypt::hash("right", 4).unwrap()),
        ..Default::default()
    }];
    run_server(config, None, |address| async move {
        for (password, end) in [("right", "PONG\r\n"), ("wrong", "Violation'\r\n")] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // The PING is read together with the login, and waits for it.
            let line = format!(
                "CONNECT {{\"verbose\":false,\"user\":\"h\",\"pass\":\"{password}\"}}\r\nPING\r\n"
            );
            stream.write_all(line.as_bytes()).await.unwrap();
            read_until(&mut stream, end.as_bytes()).await;
        }
    });
}

#[test]
fn stopping_ends_the_connections() {
    let kept = Rc::new(Cell::new(None));
    let keep = Rc::clone(&kept);
    with_server(|address| async move {
        keep.set(Some(client(address).await));
    });
    assert!(
        kept.take().is_some(),
        "serving ended with a client connected"
    );
}

#[test]
fn who_comes_while_others_leave_is_refused() {
    run_leaving(Options::default(), None, None, |bound, leave| async move {
        let address = bound.clients[0];
        let _stays = client(address).await;
        leave.send(()).expect("the server waits for it");
        // Until the server has heard it, somebody may still come in.
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    with_store(dir.path(), |address| async move {
        let mut client = client(address).await;
        let create = "{\"name\":\"S\",\"subjects\":[\"s\"]}";
        let line = format!(
            "SUB in 1\r\nPUB $JS.API.STREAM.CREATE.S in {}\r\n{create}\r\n",
            create.len()
        );
        client.write_all(line.as_bytes()).await.unwrap();
        read_until(&mut client, b"}\r\n").await;
        client.write_all(b"PUB s in 2\r\nhi\r\n").await.unwrap();
        let ack = read_until(&mut client, b"}\r\n").await;
        assert!(
            ack.ends_with(b"{\"stream\":\"S\",\"seq\":1}\r\n"),
            "{ack:?}"
        );
    });
    with_store(dir.path(), |address| async move {
        let mut client = client(address).await;
        let ask = b"SUB in 1\r\nPUB $JS.API.DIRECT.GET.S in 0\r\n\r\nPUB s in 2\r\nyo\r\n";
        client.write_all(ask).await.unwrap();
        let ack = read_until(&mut client, b"}\r\n").await;
        assert!(
            ack.ends_with(b"{\"stream\":\"S\",\"seq\":2}\r\n"),
            "{ack:?}"
        );
    });
}

/// Serves with streams in `dir` while `test` runs, then stops.
fn with_store<F: Future<Output = ()>>(dir: &Path, test: impl FnOnce(SocketAddr) -> F) {
    let mut config = Options::default();
    config.jetstream.enabled = true;
    run_server(config, Some(FileDisk::open(dir).unwrap()), test);
}

/// Serves while `test` runs with the address, then stops.
fn with_server<F: Future<Output = ()>>(test: impl FnOnce(SocketAddr) -> F) {
    run_server(Options::default(), None, test);
}

fn run_server<F: Future<Output = ()>>(
    config: Options,
    disk: Option<FileDisk>,
    test: impl FnOnce(SocketAddr) -> F,
) {
    run_bound(config, disk, |bound| test(bound.clients[0]));
}

fn run_bound<F: Future<Output = ()>>(
    config: Options,
    disk: Option<FileDisk>,
    test: impl FnOnce(Bound) -> F,
) {
    run_reloading(config, disk, None, test);
}

fn run_reloading<F: Future<Output = ()>>(
    config: Options,
    disk: Option<FileDisk>,
    reload: Option<Reload>,
    test: impl FnOnce(Bound) -> F,
) {
    run_leaving(config, disk, reload, |bound, _never| test(bound));
}

/// Serves while `test` runs, which may tell the server to become a lame duck.
fn run_leaving<F: Future<Output = ()>>(
    config: Options,
    disk: Option<FileDisk>,
    reload: Option<Reload>,
    test: impl FnOnce(Bound, oneshot::Sender<()>) -> F,
) {
    let listen = Listen {
        host: "127.0.0.1".to_owned(),
        port: 0,
    };
    let options = ServeOptions {
        secret: [5; 32],
        config_digest: String::new(),
        config,
        listeners: vec![(listen, Rules::Nats)],
        store: StoreOptions::default(),
        room: Room::UNLIMITED,
        seed: 1,
    };
    let around = Surroundings {
        wall: Box::new(|| Wall(1)),
        log: Box::new(|_| {}),
        reload,
        opening: Box::new(|| {}),
    };
    let (tell, told) = oneshot::channel();
    let (finish, finished) = oneshot::channel::<()>();
    let (leave, left) = oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let ready = |bound: &Bound| {
            tell.send(bound.clone()).expect("the test waits for it");
        };
        let ends = Ends {
            leave: async {
                if left.await.is_err() {
                    core::future::pending().await
                }
            },
            stop: async { finished.await.expect("the test ends first") },
        };
        let served = serve::<TokioNet, FileDisk>(options, disk, around, ready, ends);
        let tested = async {
            test(told.await.unwrap(), leave).await;
            finish.send(()).expect("the server waits for it");
        };
        let both = async { tokio::join!(served, tested) };
        let (served, ()) = tokio::time::timeout(Duration::from_secs(20), both)
            .await
            .expect("it ends in time");
        served.unwrap();
    });
}

/// Connects, and reads the greeting.
async fn client(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let greeting = read_until(&mut stream, b" \r\n").await;
    assert!(greeting.starts_with(b"INFO {"));
    stream.write_all(CONNECT).await.unwrap();
    stream
}

async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &[u8]) -> Vec<u8> {
    let mut heard = Vec::new();
    while !heard.ends_with(end) {
        assert_ne!(stream.read_buf(&mut heard).await.unwrap(), 0, "ended early");
    }
    heard
}

#[test]
fn who_comes_by_a_listener_that_lets_nobody_in_is_told_so() {
    let reserved = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = reserved.local_addr().expect("bound").port();
    drop(reserved);
    let config = Options {
        closed_doors: vec![config::options::ClosedDoor {
            peers: config::options::Peers::LeafNodes,
            listen: Listen {
                host: "127.0.0.1".to_owned(),
                port: port.into(),
            },
        }],
        ..Options::default()
    };
    run_server(config, None, |_| async move {
        for _ in 0..2 {
            let mut leaf = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let mut heard = Vec::new();
            leaf.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"-ERR 'Leaf nodes are not supported'\r\n");
        }
    });
}
