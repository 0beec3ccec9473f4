//! Monitoring through a real socket.

use core::cell::RefCell;
use core::time::Duration;

use broker::Room;
use config::Options;
use config::options::Listen;
use protocol::time::Wall;
use storage::StoreOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::disk::FileDisk;
use crate::net::TokioNet;
use crate::serve::{Ends, ServeOptions, Surroundings, serve};

#[test]
fn documents_are_served_with_their_types() {
    let ask = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = exchange(ask);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("Content-Type: application/json\r\n"));
    assert!(answer.contains("Access-Control-Allow-Origin: *\r\n"));
    assert!(answer.ends_with("\r\n\r\n{\"status\":\"ok\"}"));
}

#[test]
fn one_connection_asks_several_times_and_each_is_counted() {
    let ask = "GET /varz HTTP/1.1\r\nHost: x\r\n\r\n\
               GET /varz?x=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = exchange(ask);
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2);
    assert!(answer.contains("\"/varz\": 2\n"));
}

#[test]
fn unknown_paths_and_bad_parameters_are_refused() {
    let answer = exchange("GET /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"));
    let ask = "GET /connz?limit=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(exchange(ask).starts_with("HTTP/1.1 400 Bad Request\r\n"));
}

#[test]
fn what_is_no_http_ends_its_own_connection_only() {
    let answer = exchange("CONNECT {}\r\nPING\r\n\r\n");
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{answer}"
    );
}

#[test]
fn a_request_that_never_ends_is_cut_off_in_time_and_an_endless_one_at_once() {
    // Nothing follows: only the server can end it, within the helper's patience.
    assert_eq!(exchange("GET /varz HTTP/1.1\r\nHost: x\r\n"), "");
    let endless = format!("GET /varz HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let answer = exchange(&endless);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
}

/// Starts a server, sends `request` to its monitoring port, and returns all that comes back.
fn exchange(request: &str) -> String {
    let local = |port| {
        Some(Listen {
            host: "127.0.0.1".to_owned(),
            port,
        })
    };
    let options = ServeOptions {
        secret: [5; 32],
        config: Options {
            http: local(0),
            ..Options::default()
        },
        listeners: Vec::new(),
        config_digest: String::new(),
        store: StoreOptions::default(),
        room: Room::UNLIMITED,
        seed: 1,
    };
    let (tell, told) = oneshot::channel::<String>();
    let tell = RefCell::new(Some(tell));
    let around = Surroundings {
        wall: Box::new(|| Wall(1)),
        log: Box::new(move |line| {
            let bound = line.text.strip_prefix("Starting http monitor on ");
            let first = bound.and_then(|at| Some((at, tell.borrow_mut().take()?)));
            if let Some((at, tell)) = first {
                tell.send(at.to_owned()).expect("the test waits for it");
            }
        }),
        reload: None,
        opening: Box::new(|| {}),
    };
    let (finish, finished) = oneshot::channel::<()>();
    let ends = Ends {
        leave: core::future::pending(),
        stop: async { finished.await.expect("the test ends first") },
    };
    let client = async {
        let address = told.await.expect("monitoring starts");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        finish.send(()).expect("the server waits for it");
        answer
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let served = serve::<TokioNet, FileDisk>(options, None, around, |_| {}, ends);
    let both = async { tokio::join!(served, client) };
    let (served, answer) = runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(20), both).await })
        .expect("it ends in time");
    served.unwrap();
    answer
}
