//! REST through real sockets, against a server with a store of its own.

mod gateway;
mod management;

use core::cell::RefCell;
use core::future::Future;
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use broker::Room;
use config::Options;
use config::options::{Listen, Memphis, Rest, Tenant, User};
use serde_json::Value;
use storage::StoreOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::clock::system_wall;
use crate::disk::FileDisk;
use crate::net::TokioNet;
use crate::serve::{Ends, ServeOptions, Surroundings, serve};

/// Where a server serves, by what it says at its start.
#[derive(Clone)]
pub(super) struct Site {
    addresses: Rc<RefCell<BTreeMap<String, String>>>,
}

/// An HTTP answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Value,
    pub(super) text: String,
}

impl Answered {
    /// Returns the value of a cookie that it sets.
    pub(super) fn cookie(&self) -> String {
        let (_, rest) = self.head.split_once("Set-Cookie: ").expect("a cookie");
        rest.split(';').next().expect("a value").to_owned()
    }
}

/// A broker with a second tenant, and both HTTP interfaces on free ports.
fn config() -> Options {
    let local = || {
        Some(Listen {
            host: "127.0.0.1".to_owned(),
            port: 0,
        })
    };
    let seven = Tenant {
        id: 7,
        name: "seven".to_owned(),
        users: vec![User {
            name: "root".to_owned(),
            password: Some("pw7".to_owned()),
            ..User::default()
        }],
        ..Tenant::default()
    };
    let mut config = Options {
        memphis: Some(Memphis {
            connection_token: Some("memphis".to_owned()),
            tenants: vec![seven],
            rest: Rest {
                management: local(),
                gateway: local(),
                ..Rest::default()
            },
            ..Memphis::default()
        }),
        ..Options::default()
    };
    config.jetstream.enabled = true;
    config
}

/// Serves Memphis over HTTP on free ports while `visit` runs.
pub(super) fn serve_while<V: Future>(visit: impl FnOnce(Site) -> V) -> V::Output {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let disk = FileDisk::open(folder.path()).expect("an empty store");
    let config = config();
    let options = ServeOptions {
        secret: [5; 32],
        config,
        listeners: Vec::new(),
        config_digest: String::new(),
        store: StoreOptions::default(),
        room: Room::UNLIMITED,
        seed: 1,
    };
    let site = Site {
        addresses: Rc::default(),
    };
    let addresses = Rc::clone(&site.addresses);
    let around = Surroundings {
        wall: Box::new(system_wall),
        log: Box::new(move |line| {
            if let Some((what, at)) = line.text.split_once(" on http://") {
                let what = what.rsplit(' ').next().unwrap_or_default();
                addresses
                    .borrow_mut()
                    .insert(what.to_owned(), at.to_owned());
            }
        }),
        reload: None,
        opening: Box::new(|| {}),
    };
    let (tell, told) = oneshot::channel::<()>();
    let (finish, finished) = oneshot::channel::<()>();
    let ends = Ends {
        leave: core::future::pending(),
        stop: async { finished.await.expect("the test ends first") },
    };
    let visited = async {
        told.await.expect("the server starts");
        let seen = visit(site).await;
        finish.send(()).expect("the server waits for it");
        seen
    };
    let ready = |_: &crate::Bound| tell.send(()).expect("the test waits for it");
    let served = serve::<TokioNet, FileDisk>(options, Some(disk), around, ready, ends);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let both = async { tokio::join!(served, visited) };
    let (served, seen) = runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(60), both).await })
        .expect("it ends in time");
    served.expect("it serves");
    seen
}

impl Site {
    /// Sends a request; `head` are whole lines.
    pub(super) async fn ask(&self, what: &str, line: &str, head: &str, body: &str) -> Answered {
        let at = self.addresses.borrow().get(what).cloned();
        let at = at.unwrap_or_else(|| panic!("{what} is served"));
        let mut stream = TcpStream::connect(&at).await.expect("it listens");
        let len = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{head}Content-Length: {len}\r\n\r\n{body}"
        );
        // The server may answer, and close, before it has read everything.
        drop(stream.write_all(request.as_bytes()).await);
        let mut answer = String::new();
        drop(stream.read_to_string(&mut answer).await);
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).expect("a status");
        Answered {
            status: status.parse().expect("a number"),
            head: head.to_owned(),
            body: serde_json::from_str(body).unwrap_or_default(),
            text: body.to_owned(),
        }
    }
}
