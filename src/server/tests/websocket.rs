//! Through WebSockets, with a client that frames by hand.

use core::net::SocketAddr;
use core::time::Duration;

use bytes::BytesMut;
use config::Options;
use config::options::{ConnectionType, Listen, User, WebSocket};
use protocol::websocket::{CloseStatus, Item, Reader};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::run_bound;
use super::tls::Papers;

const CONNECT: &[u8] = b"CONNECT {\"verbose\":false}\r\n";
const COMPRESSION: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;

#[test]
fn a_client_is_greeted_and_served_in_frames() {
    with_websocket(clear(), |at| async move {
        let mut client = Client::connect(at, "").await;
        assert!(client.read(b" \r\n").await.starts_with(b"INFO {"));
        client.send(BINARY, CONNECT).await;
        client
            .send(BINARY, b"SUB foo 1\r\nPUB foo 900000\r\n")
            .await;
        client.send(BINARY, &vec![b'x'; 900_000]).await;
        client.send(PING, b"hey").await;
        client.send(BINARY, b"\r\nPING\r\n").await;
        let heard = client.read(b"PONG\r\n").await;
        assert!(heard.starts_with(b"MSG foo 1 900000\r\n"));
        assert_eq!(client.pongs, 1);
    });
}

#[test]
fn compressed_messages_travel_both_ways() {
    let options = WebSocket {
        compression: true,
        ..clear()
    };
    with_websocket(options, |at| async move {
        let mut client = Client::connect(at, COMPRESSION).await;
        client.read(b" \r\n").await;
        client.send(BINARY, CONNECT).await;
        client
            .send(BINARY, b"SUB foo 1\r\nPUB foo 500000\r\n")
            .await;
        client.send(BINARY, &vec![b'x'; 500_000]).await;
        client.send(BINARY, b"\r\nPING\r\n").await;
        client.read(b"PONG\r\n").await;
        // INFO and half a megabyte.
        assert!(client.received < 10_000, "{}", client.received);
    });
}

#[test]
fn what_ends_a_connection_is_told_in_its_close_frame() {
    with_websocket(clear(), |at| async move {
        for (opcode, payload, status, text) in [
            (CLOSE, b"\x03\xe8bye".as_slice(), CloseStatus::NORMAL, "bye"),
            (3, b"", CloseStatus::PROTOCOL_ERROR, "unknown opcode 3"),
            (
                BINARY,
                b"CONNECT {}\r\nPUB a 99999999\r\n",
                CloseStatus::TOO_BIG,
                "Maximum Message Payload Exceeded",
            ),
        ] {
            let mut client = Client::connect(at, "").await;
            client.read(b" \r\n").await;
            client.send(opcode, payload).await;
            assert_eq!(client.end().await, Some((Some(status), text.to_owned())));
        }
    });
}

#[test]
fn a_message_that_decompresses_beyond_reason_ends_its_connection() {
    let options = WebSocket {
        compression: true,
        ..clear()
    };
    with_websocket(options, |at| async move {
        let mut client = Client::connect(at, COMPRESSION).await;
        client.read(b" \r\n").await;
        client
            .send(BINARY, b"CONNECT {}\r\nPUB a 1000000\r\n")
            .await;
        client.read(b"+OK\r\n").await;
        // A stored block of nothing, with no end: never a whole PUB, and ever more to decompress.
        let zeros = zeros(16 << 20);
        client.send(0x40 | BINARY, &zeros).await;
        let (status, _) = client.end().await.expect("it is told");
        assert_ne!(status, Some(CloseStatus::NORMAL));
    });
}

#[test]
fn over_tls_a_client_is_told_that_it_is() {
    let papers = Papers::new();
    let options = WebSocket {
        tls: Some(papers.tls()),
        no_tls: false,
        ..clear()
    };
    with_websocket(options, |at| async move {
        let stream = TcpStream::connect(at).await.unwrap();
        let stream = papers.secure(stream, None).await.unwrap();
        let mut client = Client::begin(stream, "").await;
        let info = String::from_utf8(client.read(b" \r\n").await).unwrap();
        assert!(info.contains("\"tls_required\":true,\"tls_available\":true"));
        client.send(BINARY, b"PING\r\n").await;
        client.read(b"PONG\r\n").await;
        // What is in the clear is not for here.
        let mut plain = TcpStream::connect(at).await.unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut heard = Vec::new();
        drop(plain.read_to_end(&mut heard).await);
        assert_eq!(heard, b"");
    });
}

#[test]
fn cookies_and_kinds_of_connection_decide_who_gets_in() {
    let options = WebSocket {
        user_cookie: "u".to_owned(),
        pass_cookie: "p".to_owned(),
        ..clear()
    };
    let user = |name: &str, kind| User {
        name: name.to_owned(),
        password: Some("s3cret".to_owned()),
        allowed_connection_types: vec![kind],
        ..User::default()
    };
    let mut config = config(options);
    config.auth.users = vec![
        user("web", ConnectionType::WebSocket),
        user("plain", ConnectionType::Standard),
    ];
    run(config, |at| async move {
        for (cookies, answer) in [
            ("Cookie: u=web; p=s3cret\r\n", b"PONG\r\n".as_slice()),
            (
                "Cookie: u=web; p=wrong\r\n",
                b"-ERR 'Authorization Violation'\r\n",
            ),
            (
                "Cookie: u=plain; p=s3cret\r\n",
                b"-ERR 'Authorization Violation'\r\n",
            ),
            ("", b"-ERR 'Authorization Violation'\r\n"),
        ] {
            let mut client = Client::connect(at, cookies).await;
            client.read(b" \r\n").await;
            client.send(BINARY, CONNECT).await;
            client.send(BINARY, b"PING\r\n").await;
            client.read(answer).await;
        }
    });
}

#[test]
fn the_listener_may_have_a_token_of_its_own() {
    let options = WebSocket {
        token: Some("t0k".to_owned()),
        ..clear()
    };
    with_websocket(options, |at| async move {
        for (said, answer) in [
            ("{\"auth_token\":\"t0k\"}", b"+OK\r\n".as_slice()),
            ("{}", b"-ERR 'Authorization Violation'\r\n"),
        ] {
            let mut client = Client::connect(at, "").await;
            let info = String::from_utf8(client.read(b" \r\n").await).unwrap();
            assert!(info.contains("\"auth_required\":true"));
            client
                .send(BINARY, format!("CONNECT {said}\r\n").as_bytes())
                .await;
            client.read(answer).await;
        }
    });
}

#[test]
fn a_request_that_is_none_or_never_ends_gets_no_further() {
    with_websocket(clear(), |at| async move {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{answer}"
        );
    });
    let options = WebSocket {
        handshake_timeout: Some(Duration::from_millis(200)),
        ..clear()
    };
    with_websocket(options, |at| async move {
        for bytes in [b"GET / HTTP/1.1\r\nHo".to_vec(), vec![b'x'; 100_000]] {
            let mut stream = TcpStream::connect(at).await.unwrap();
            drop(stream.write_all(&bytes).await);
            let mut heard = Vec::new();
            drop(stream.read_to_end(&mut heard).await);
            assert_eq!(heard, b"");
        }
    });
}

fn clear() -> WebSocket {
    WebSocket {
        listen: Listen {
            host: "127.0.0.1".to_owned(),
            port: 0,
        },
        no_tls: true,
        ..WebSocket::default()
    }
}

fn config(options: WebSocket) -> Options {
    Options {
        websocket: Some(options),
        ..Options::default()
    }
}

fn with_websocket<F: Future<Output = ()>>(options: WebSocket, test: impl FnOnce(SocketAddr) -> F) {
    run(config(options), test);
}

fn run<F: Future<Output = ()>>(config: Options, test: impl FnOnce(SocketAddr) -> F) {
    run_bound(config, None, |bound| {
        test(bound.websocket.or(bound.websocket_tls).unwrap())
    });
}

/// Returns a compressed message of `len` zeros that does not end: a literal, then copies of it.
fn zeros(len: usize) -> Vec<u8> {
    // A block with fixed codes: literal 0 (00110000), then length 258 (11000101) at distance 1 (00000).
    let mut bits: Vec<bool> = vec![false, true, false];
    bits.extend("00110000".chars().map(|c| c == '1'));
    for _ in 0..len / 258 {
        bits.extend("1100010100000".chars().map(|c| c == '1'));
    }
    let bytes = bits.chunks(8);
    bytes
        .map(|bits| {
            bits.iter()
                .rev()
                .fold(0, |byte, bit| byte << 1 | u8::from(*bit))
        })
        .collect()
}

/// A client after its request.
struct Client<S> {
    stream: S,
    reader: Reader,
    input: BytesMut,
    data: Vec<u8>,
    /// Bytes received, frames included.
    received: usize,
    pongs: usize,
}

impl Client<TcpStream> {
    async fn connect(at: SocketAddr, headers: &str) -> Self {
        Self::begin(TcpStream::connect(at).await.unwrap(), headers).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn begin(mut stream: S, headers: &str) -> Self {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             {headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        // Byte by byte: what follows is in frames.
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
        Self {
            stream,
            reader: Reader::new(false, Some(1 << 30)),
            input: BytesMut::new(),
            data: Vec::new(),
            received: 0,
            pongs: 0,
        }
    }

    async fn send(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | first, 0x80 | 127];
        frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        if payload.len() < 126 {
            frame.truncate(1);
            frame.push(0x80 | u8::try_from(payload.len()).unwrap());
        }
        let mask = [7, 8, 9, 10];
        frame.extend_from_slice(&mask);
        let masked = payload.iter().zip(mask.iter().cycle());
        frame.extend(masked.map(|(byte, key)| byte ^ key));
        self.stream.write_all(&frame).await.unwrap();
    }

    /// Reads until the bytes inside end with `end`.
    async fn read(&mut self, end: &[u8]) -> Vec<u8> {
        while !self.data.ends_with(end) {
            let closed = self.receive().await;
            assert_eq!(closed, None, "{:?}", String::from_utf8_lossy(&self.data));
        }
        core::mem::take(&mut self.data)
    }

    /// Reads to the close frame.
    async fn end(&mut self) -> Option<(Option<CloseStatus>, String)> {
        loop {
            if let Some(closed) = self.receive().await {
                return Some(closed);
            }
        }
    }

    async fn receive(&mut self) -> Option<(Option<CloseStatus>, String)> {
        let n = self.stream.read_buf(&mut self.input).await.unwrap();
        assert_ne!(n, 0, "ended early");
        self.received += n;
        while let Some(item) = self.reader.next(&mut self.input).unwrap() {
            match item {
                Item::Data(data) => self.data.extend_from_slice(&data),
                Item::Pong => self.pongs += 1,
                Item::Ping(_) => panic!("nats-server sends none"),
                Item::Close(close) => {
                    let text = String::from_utf8(close.text.to_vec()).unwrap();
                    return Some((close.status, text));
                }
            }
        }
        None
    }
}
