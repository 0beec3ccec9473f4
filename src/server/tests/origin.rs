//! Connections that a load balancer makes, and that say where they come from.

use config::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::tls::Papers;
use super::{read_until, run_server};

const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 4222\r\n";
const LOGIN: &[u8] = b"CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n";

fn behind_a_proxy() -> Options {
    Options {
        proxy_protocol: true,
        ..Options::default()
    }
}

async fn read_text(stream: &mut (impl tokio::io::AsyncRead + Unpin), end: &[u8]) -> String {
    String::from_utf8(read_until(stream, end).await).unwrap()
}

#[test]
fn a_header_tells_the_clients_address_and_none_leaves_the_sockets() {
    run_server(behind_a_proxy(), None, |address| async move {
        let binary =
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x09\x0a\0\0\x01\x12\x67\x10\x7e";
        for (header, ip) in [
            (LINE, "192.0.2.7"),
            (&binary[..], "192.0.2.9"),
            (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
            (b"", "127.0.0.1"),
        ] {
            let mut client = TcpStream::connect(address).await.unwrap();
            let info = read_text(&mut client, b" \r\n").await;
            assert!(!info.contains("client_ip"), "{info}");
            // In two writes: nothing says that a header comes in one piece.
            let (first, rest) = header.split_at(header.len() / 2);
            client.write_all(first).await.unwrap();
            client.write_all(&[rest, LOGIN].concat()).await.unwrap();
            let heard = read_text(&mut client, b" \r\n").await;
            let told = format!("\"client_ip\":\"{ip}\"");
            assert!(
                heard.starts_with("PONG\r\nINFO ") && heard.contains(&told),
                "{heard}"
            );
        }
    });
}

#[test]
fn a_wrong_header_ends_the_connection_without_a_word() {
    run_server(behind_a_proxy(), None, |address| async move {
        for header in [
            &b"PROXY TCP4 nobody 10.0.0.1 1 2\r\n"[..],
            &[b'P'; 1],
            b"PROXY TCP4",
        ] {
            let mut client = TcpStream::connect(address).await.unwrap();
            read_until(&mut client, b" \r\n").await;
            client.write_all(header).await.unwrap();
            client.shutdown().await.unwrap();
            let mut heard = Vec::new();
            // It may end with a reset.
            drop(client.read_to_end(&mut heard).await);
            assert_eq!(heard, b"");
        }
    });
}

#[test]
fn a_header_comes_before_the_handshake() {
    let papers = Papers::new();
    let config = Options {
        tls: Some(papers.tls()),
        ..behind_a_proxy()
    };
    run_server(config, None, |address| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        read_until(&mut stream, b" \r\n").await;
        stream.write_all(LINE).await.unwrap();
        let mut client = papers.secure(stream, None).await.unwrap();
        client.write_all(LOGIN).await.unwrap();
        let heard = read_text(&mut client, b" \r\n").await;
        assert!(heard.contains("\"client_ip\":\"192.0.2.7\""), "{heard}");
    });
}
