//! Over TLS, with certificates made here.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use config::Options;
use config::options::{CertFiles, HandshakeFirst, Listen, Tls, User};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore};

use super::{CONNECT, read_until, run_bound, run_server};
use crate::tls;

#[test]
fn a_client_switches_to_tls_after_info_and_messages_of_any_size_travel() {
    let papers = Papers::new();
    with_tls(papers.tls(), |address| async move {
        let (info, mut client) = papers.upgrade(address, None).await.unwrap();
        assert!(
            info.contains("\"tls_required\":true,\"max_payload\""),
            "{info}"
        );
        client.write_all(CONNECT).await.unwrap();
        client
            .write_all(b"SUB foo 1\r\nPUB foo 900000\r\n")
            .await
            .unwrap();
        client.write_all(&vec![b'x'; 900_000]).await.unwrap();
        client.write_all(b"\r\nPING\r\n").await.unwrap();
        let heard = read_until(&mut client, b"PONG\r\n").await;
        let message = b"MSG foo 1 900000\r\n".len() + 900_002;
        assert_eq!(heard.len(), message + b"PONG\r\n".len());
    });
}

#[test]
fn a_client_in_the_clear_gets_not_a_word_and_others_are_served() {
    let papers = Papers::new();
    with_tls(papers.tls(), |address| async move {
        for bytes in [
            b"CONNECT {}\r\nPING\r\n".as_slice(),
            b"GET / HTTP/1.1\r\n\r\n",
            b"\0",
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            read_until(&mut stream, b" \r\n").await;
            stream.write_all(bytes).await.unwrap();
            assert_eq!(all(stream).await, b"");
        }
        // What begins like a handshake and is none is answered with an alert.
        let mut stream = TcpStream::connect(address).await.unwrap();
        read_until(&mut stream, b" \r\n").await;
        stream
            .write_all(b"\x16\x03\x01garbage garbage")
            .await
            .unwrap();
        assert_eq!(all(stream).await.first(), Some(&0x15));
        papers.logs_in(address, None).await.unwrap();
    });
}

#[test]
fn a_client_that_does_not_begin_its_handshake_is_cut_off_in_time() {
    let papers = Papers::new();
    let mut tls = papers.tls();
    tls.timeout = Some(Duration::from_secs(2));
    with_tls(tls, |address| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        read_until(&mut stream, b" \r\n").await;
        assert_eq!(all(stream).await, b"");
        // Nor is half of one.
        let mut stream = TcpStream::connect(address).await.unwrap();
        read_until(&mut stream, b" \r\n").await;
        stream.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
        assert_eq!(all(stream).await, b"");
    });
}

#[test]
fn with_handshake_first_nothing_is_said_in_the_clear() {
    let papers = Papers::new();
    let mut tls = papers.tls();
    tls.handshake_first = HandshakeFirst::Always;
    with_tls(tls, |address| async move {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut client = papers.secure(stream, None).await.unwrap();
        let info = read_until(&mut client, b" \r\n").await;
        assert!(info.starts_with(b"INFO {"));
        client.write_all(b"PING\r\n").await.unwrap();
        read_until(&mut client, b"PONG\r\n").await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"CONNECT {}\r\n").await.unwrap();
        assert_eq!(all(stream).await, b"");
    });
}

#[test]
fn a_client_that_waits_for_info_gets_it_after_the_delay() {
    let papers = &Papers::new();
    let mut tls = papers.tls();
    tls.handshake_first = HandshakeFirst::Within(Duration::from_millis(50));
    with_tls(tls, |address| async move {
        // INFO comes once, in the clear.
        papers.logs_in(address, None).await.unwrap();
    });
    // Whoever begins before the delay is over gets it encrypted.
    let mut tls = papers.tls();
    tls.handshake_first = HandshakeFirst::Within(Duration::from_secs(20));
    with_tls(tls, |address| async move {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut first = papers.secure(stream, None).await.unwrap();
        assert!(
            read_until(&mut first, b" \r\n")
                .await
                .starts_with(b"INFO {")
        );
    });
}

#[test]
fn with_allow_non_tls_each_client_chooses() {
    let papers = Papers::new();
    let config = Options {
        tls: Some(papers.tls()),
        allow_non_tls: true,
        ..Options::default()
    };
    run_server(config, None, |address| async move {
        let (info, mut client) = papers.upgrade(address, None).await.unwrap();
        assert!(info.contains("\"tls_available\":true") && !info.contains("tls_required"));
        client.write_all(b"PING\r\n").await.unwrap();
        read_until(&mut client, b"PONG\r\n").await;
        let mut plain = TcpStream::connect(address).await.unwrap();
        read_until(&mut plain, b" \r\n").await;
        plain.write_all(b"PING\r\n").await.unwrap();
        read_until(&mut plain, b"PONG\r\n").await;
    });
}

#[test]
fn with_verify_only_certificates_of_the_authority_get_in() {
    let papers = Papers::new();
    let mut tls = papers.tls();
    tls.verify = true;
    with_tls(tls, |address| async move {
        papers.logs_in(address, Some("bob")).await.unwrap();
        papers.logs_in(address, None).await.unwrap_err();
        // Its authority has the name of ours.
        let refusal = papers.logs_in(address, Some("stranger")).await.unwrap_err();
        assert!(refusal.to_string().contains("UnknownCA"), "{refusal}");
    });
}

#[test]
fn a_certificate_is_verified_anew_with_each_connection() {
    let papers = &Papers::new();
    for (verify, kind) in [(true, HandshakeKind::Full), (false, HandshakeKind::Resumed)] {
        let mut tls = papers.tls();
        tls.verify = verify;
        with_tls(tls, |address| async move {
            let connector = papers.connector(Some("bob")).unwrap();
            let mut last = None;
            for _ in 0..2 {
                let mut stream = TcpStream::connect(address).await.unwrap();
                read_until(&mut stream, b" \r\n").await;
                let name = ServerName::try_from("localhost").unwrap();
                let mut client = connector.connect(name, stream).await.unwrap();
                client.write_all(CONNECT).await.unwrap();
                client.write_all(b"PING\r\n").await.unwrap();
                pong(&mut client).await.unwrap();
                last = client.get_ref().1.handshake_kind();
            }
            assert_eq!(last, Some(kind), "verify: {verify}");
        });
    }
}

#[test]
fn pinned_certificates_let_in_no_other() {
    let papers = Papers::new();
    let mut tls = papers.tls();
    tls.verify = true;
    tls.pinned_certs = vec![papers.key_digest("bob")];
    with_tls(tls, |address| async move {
        papers.logs_in(address, Some("bob")).await.unwrap();
        papers.logs_in(address, Some("eve")).await.unwrap_err();
    });
}

#[test]
fn with_verify_and_map_the_certificate_names_the_user() {
    let papers = Papers::new();
    let mut tls = papers.tls();
    (tls.verify, tls.verify_and_map) = (true, true);
    let mut config = Options {
        tls: Some(tls),
        ..Options::default()
    };
    // One by an email address, one by the subject in the order that people write.
    let users = ["bob@acme.io", "CN=eve,O=Acme"];
    config.auth.users = users
        .map(|name| User {
            name: name.into(),
            ..User::default()
        })
        .into();
    run_server(config, None, |address| async move {
        papers.logs_in(address, Some("bob")).await.unwrap();
        papers.logs_in(address, Some("eve")).await.unwrap();
        let (_, mut client) = papers.upgrade(address, Some("nobody")).await.unwrap();
        // The name in CONNECT counts for nothing.
        let connect = b"CONNECT {\"verbose\":false,\"user\":\"bob@acme.io\"}\r\n";
        client.write_all(connect).await.unwrap();
        read_until(&mut client, b"-ERR 'Authorization Violation'\r\n").await;
    });
}

#[test]
fn a_client_is_shown_the_certificate_for_the_name_it_asks_for() {
    let papers = Papers::new();
    let mut tls = papers.tls();
    tls.certs.push(papers.files("other.example"));
    with_tls(tls, |address| async move {
        for name in ["localhost", "other.example"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            read_until(&mut stream, b" \r\n").await;
            papers.secure_as(name, stream, None).await.unwrap();
        }
    });
}

#[test]
fn more_handshakes_a_second_than_allowed_are_turned_away() {
    let papers = Papers::new();
    let mut tls = papers.tls();
    tls.connection_rate_limit = 2;
    with_tls(tls, |address| async move {
        for _ in 0..2 {
            papers.logs_in(address, None).await.unwrap();
        }
        let stream = TcpStream::connect(address).await.unwrap();
        let heard = String::from_utf8(all(stream).await).unwrap();
        let end = "-ERR 'Connection throttling is active. Please try again later.'\r\n";
        assert!(heard.ends_with(end), "{heard}");
    });
}

#[test]
fn monitoring_is_served_over_tls_and_asks_nobody_for_a_certificate() {
    let papers = Papers::new();
    let mut config = Options {
        https: Some(Listen {
            host: "127.0.0.1".to_owned(),
            port: 0,
        }),
        tls: Some(papers.tls()),
        ..Options::default()
    };
    config.tls.as_mut().unwrap().verify = true;
    run_bound(config, None, |bound| async move {
        let stream = TcpStream::connect(bound.monitoring_tls.unwrap())
            .await
            .unwrap();
        let mut client = papers.secure(stream, None).await.unwrap();
        client
            .write_all(b"GET /varz HTTP/1.0\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\"tls_verify\": true"), "{answer}");
        assert!(answer.contains("\"tls_cert_not_after\": \""), "{answer}");
    });
}

#[test]
fn what_is_wrong_with_the_files_is_told_in_nats_servers_words() {
    let papers = Papers::new();
    let good = papers.tls();
    let pair = papers.files("localhost");
    let with = |cert: &str, key: &str| Tls {
        certs: vec![CertFiles {
            cert: cert.into(),
            key: key.into(),
        }],
        ..good.clone()
    };
    let ca = |path: &str| Tls {
        verify: true,
        ca_file: Some(path.into()),
        ..good.clone()
    };
    let told = |tls: &Tls| tls::check(tls).unwrap_err().to_string();
    let pairing = "error parsing X509 certificate/key pair: ";
    assert_eq!(
        told(&with("/nope.pem", &pair.key)),
        format!("{pairing}open /nope.pem: no such file or directory")
    );
    assert_eq!(
        told(&with(&pair.cert, &papers.files("bob").key)),
        format!("{pairing}tls: private key does not match public key")
    );
    assert_eq!(
        told(&with(&pair.key, &pair.key)),
        format!("{pairing}tls: failed to find any PEM data in certificate input")
    );
    assert_eq!(
        told(&ca("/nope.pem")),
        "open /nope.pem: no such file or directory"
    );
    assert_eq!(told(&ca(&pair.key)), "failed to parse root ca certificate");
    assert!(tls::check(&good).is_ok());
}

/// Serves with `tls` while `test` runs.
fn with_tls<F: Future<Output = ()>>(tls: Tls, test: impl FnOnce(SocketAddr) -> F) {
    let config = Options {
        tls: Some(tls),
        ..Options::default()
    };
    run_server(config, None, test);
}

/// Reads what comes until the server closes, which it may do with a reset.
async fn all(mut stream: TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    drop(stream.read_to_end(&mut heard).await);
    heard
}

/// An authority, and who has its certificates; the key pairs of each run are new.
pub(super) struct Papers(TempDir);

impl Papers {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ca, other_ca) = (authority(), authority());
        fs::write(folder.path().join("ca.pem"), &ca.1).unwrap();
        let email = |name: &str| SanType::Rfc822Name(name.try_into().unwrap());
        let host = |name: &str| SanType::DnsName(name.try_into().unwrap());
        for (name, issuer, also) in [
            ("localhost", &ca, vec![host("localhost")]),
            ("other.example", &ca, vec![host("other.example")]),
            ("bob", &ca, vec![email("bob@acme.io"), host("bob.acme.io")]),
            ("eve", &ca, vec![host("eve.acme.io")]),
            ("nobody", &ca, vec![]),
            ("stranger", &other_ca, vec![email("bob@acme.io")]),
        ] {
            issue(folder.path(), name, &issuer.0, also);
        }
        Self(folder)
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }

    pub(super) fn files(&self, name: &str) -> CertFiles {
        CertFiles {
            cert: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
        }
    }

    /// Returns the server's block, which asks nobody for a certificate.
    pub(super) fn tls(&self) -> Tls {
        Tls {
            certs: vec![self.files("localhost")],
            ca_file: Some(self.path("ca.pem")),
            ..Tls::default()
        }
    }

    fn key_digest(&self, name: &str) -> String {
        let pem = fs::read(self.path(&format!("{name}.pem"))).unwrap();
        let cert = CertificateDer::from_pem_slice(&pem).unwrap();
        let peer = tls::Shown::read(&cert).and_then(|cert| cert.peer());
        peer.unwrap().spki_sha256
    }

    /// Connects, reads INFO, and switches to TLS.
    async fn upgrade(
        &self,
        address: SocketAddr,
        own: Option<&str>,
    ) -> std::io::Result<(String, TlsStream<TcpStream>)> {
        let mut stream = TcpStream::connect(address).await?;
        let info = read_until(&mut stream, b" \r\n").await;
        Ok((
            String::from_utf8(info).unwrap(),
            self.secure(stream, own).await?,
        ))
    }

    pub(super) async fn secure(
        &self,
        stream: TcpStream,
        own: Option<&str>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.secure_as("localhost", stream, own).await
    }

    async fn secure_as(
        &self,
        name: &'static str,
        stream: TcpStream,
        own: Option<&str>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name).unwrap();
        self.connector(own)?.connect(name, stream).await
    }

    fn connector(&self, own: Option<&str>) -> std::io::Result<TlsConnector> {
        let mut roots = RootCertStore::empty();
        let ca = fs::read(self.path("ca.pem"))?;
        roots
            .add(CertificateDer::from_pem_slice(&ca).unwrap())
            .unwrap();
        let provider = tokio_rustls::rustls::crypto::ring::default_provider();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let files = self.files(own);
                let cert = CertificateDer::from_pem_slice(&fs::read(files.cert)?).unwrap();
                let key = PrivateKeyDer::from_pem_slice(&fs::read(files.key)?).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// Says whether a client gets as far as its first PONG.
    pub(super) async fn logs_in(
        &self,
        address: SocketAddr,
        own: Option<&str>,
    ) -> std::io::Result<()> {
        let (_, mut client) = self.upgrade(address, own).await?;
        client.write_all(CONNECT).await?;
        client.write_all(b"PING\r\n").await?;
        pong(&mut client).await
    }
}

async fn pong(client: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    let mut heard = Vec::new();
    while !heard.ends_with(b"PONG\r\n") {
        if client.read_buf(&mut heard).await? == 0 {
            let text = String::from_utf8_lossy(&heard).into_owned();
            return Err(std::io::Error::other(text));
        }
    }
    Ok(())
}

fn authority() -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

fn issue(folder: &Path, name: &str, issuer: &Issuer<'static, KeyPair>, also: Vec<SanType>) {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Acme");
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = also;
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, issuer).unwrap();
    fs::write(folder.join(format!("{name}.pem")), cert.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}
