//! Certificates that come, change and go while the server runs.

use std::path::Path;

use config::Options;
use config::options::{HandshakeFirst, Listen, WebSocket};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::tls::Papers;
use super::{client, read_until, run_reloading};
use crate::disk::FileDisk;
use crate::reload::{ConfigSource, Fresh, OpenStore, Reload, StoreChange};

/// Configurations, one for each reload.
struct Prepared {
    next: Vec<Options>,
    adopted: UnboundedSender<()>,
}

impl ConfigSource for Prepared {
    fn read(&mut self, _: &Options) -> Result<Fresh, String> {
        Ok(Fresh {
            options: self.next.remove(0),
            digest: String::new(),
        })
    }

    fn open_store(&mut self, options: &Options) -> Result<OpenStore, String> {
        let dir = options.jetstream.store_dir.clone().expect("it is given");
        let disk = FileDisk::open(Path::new(&dir)).map_err(|error| error.to_string())?;
        Ok(OpenStore { disk, key: None })
    }

    fn adopting(&mut self, _: &Options, _: StoreChange<'_>) {}

    fn store_closed(&mut self) {}

    fn adopted(&mut self, _: &Options) {
        self.adopted.send(()).expect("the test waits for it");
    }
}

/// Who asks for reloads and waits for them.
struct Asking {
    ask: UnboundedSender<()>,
    adopted: UnboundedReceiver<()>,
}

impl Asking {
    fn of(next: Vec<Options>) -> (Self, Reload) {
        let (ask, asked) = unbounded_channel();
        let (tell, adopted) = unbounded_channel();
        let source = Box::new(Prepared {
            next,
            adopted: tell,
        });
        (Self { ask, adopted }, Reload { asked, source })
    }

    async fn reload(&mut self) {
        self.ask.send(()).expect("the server listens");
        self.adopted.recv().await.expect("it is adopted");
    }
}

fn with(tls: Option<config::options::Tls>) -> Options {
    Options {
        tls,
        ..Options::default()
    }
}

#[test]
fn tls_is_turned_on_and_off_for_who_comes_from_then_on() {
    let papers = Papers::new();
    let (mut asking, reload) = Asking::of(vec![with(Some(papers.tls())), with(None)]);
    run_reloading(with(None), None, Some(reload), |bound| async move {
        let address = bound.clients[0];
        let mut early = client(address).await;
        asking.reload().await;
        papers.logs_in(address, None).await.expect("over TLS");
        early.write_all(b"PING\r\n").await.unwrap();
        read_until(&mut early, b"PONG\r\n").await;
        asking.reload().await;
        let mut plain = client(address).await;
        plain.write_all(b"PING\r\n").await.unwrap();
        read_until(&mut plain, b"PONG\r\n").await;
    });
}

#[test]
fn who_has_to_show_a_certificate_and_when_may_change() {
    let papers = Papers::new();
    let mut strict = papers.tls();
    strict.verify = true;
    let mut first = papers.tls();
    first.handshake_first = HandshakeFirst::Always;
    let (mut asking, reload) = Asking::of(vec![with(Some(strict)), with(Some(first))]);
    run_reloading(
        with(Some(papers.tls())),
        None,
        Some(reload),
        |bound| async move {
            let address = bound.clients[0];
            papers
                .logs_in(address, None)
                .await
                .expect("nobody is asked");
            asking.reload().await;
            papers
                .logs_in(address, None)
                .await
                .expect_err("everybody is");
            papers
                .logs_in(address, Some("bob"))
                .await
                .expect("bob has one");
            asking.reload().await;
            let stream = TcpStream::connect(address).await.unwrap();
            let mut stream = papers.secure(stream, None).await.expect("at once");
            read_until(&mut stream, b" \r\n").await;
        },
    );
}

#[test]
fn certificates_of_websockets_are_read_again() {
    let papers = Papers::new();
    let secured = |name: &str| {
        let mut tls = papers.tls();
        tls.certs = vec![papers.files(name)];
        let listen = Listen {
            host: "127.0.0.1".to_owned(),
            port: 0,
        };
        let websocket = WebSocket {
            listen,
            tls: Some(tls),
            ..WebSocket::default()
        };
        Options {
            websocket: Some(websocket),
            ..Options::default()
        }
    };
    let (mut asking, reload) = Asking::of(vec![secured("localhost")]);
    let start = secured("other.example");
    run_reloading(start, None, Some(reload), |bound| async move {
        let address = bound.websocket_tls.expect("it listens");
        let shaken = async || {
            let stream = TcpStream::connect(address).await.unwrap();
            papers.secure(stream, None).await.map(drop)
        };
        shaken()
            .await
            .expect_err("the certificate is another host's");
        asking.reload().await;
        shaken().await.expect("it is this one's");
    });
}

#[test]
fn streams_go_and_come_again_with_what_clients_wait_for() {
    let dir = tempfile::tempdir().unwrap();
    let with_streams = |enabled: bool| {
        let mut options = with(None);
        options.jetstream.enabled = enabled;
        options.jetstream.store_dir = Some(dir.path().to_str().unwrap().to_owned());
        options
    };
    let next = vec![with_streams(true), with_streams(false), with_streams(true)];
    let (mut asking, reload) = Asking::of(next);
    run_reloading(
        with_streams(false),
        None,
        Some(reload),
        |bound| async move {
            let mut client = client(bound.clients[0]).await;
            let hello = "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\nSUB in.* 1\r\n";
            client.write_all(hello.as_bytes()).await.unwrap();
            client
                .write_all(b"PUB $JS.API.INFO in.a 0\r\n\r\n")
                .await
                .unwrap();
            read_until(&mut client, b"Nats-Subject: $JS.API.INFO\r\n\r\n\r\n").await;
            asking.reload().await;
            let create = "{\"name\":\"S\",\"subjects\":[\"s\"]}";
            let create = format!(
                "PUB $JS.API.STREAM.CREATE.S in.b {}\r\n{create}\r\n",
                create.len()
            );
            client.write_all(create.as_bytes()).await.unwrap();
            read_until(&mut client, b"\"did_create\":true}\r\n").await;
            client.write_all(b"PUB s in.c 1\r\nx\r\n").await.unwrap();
            read_until(&mut client, b"\"seq\":1}\r\n").await;
            asking.reload().await;
            client.write_all(b"PUB s in.d 1\r\nx\r\n").await.unwrap();
            read_until(&mut client, b"503\r\nNats-Subject: s\r\n\r\n\r\n").await;
            FileDisk::open(dir.path()).expect("nobody has the store now");
            asking.reload().await;
            client.write_all(b"PUB s in.e 1\r\ny\r\n").await.unwrap();
            read_until(&mut client, b"\"seq\":2}\r\n").await;
        },
    );
}
