//! The real binary: what a server has stored, killed and damaged, `beale check` names and repairs, and the
//! server goes on with the rest.

#![expect(clippy::unwrap_used, reason = "a test may fail in any way it likes")]

mod encryption;

use core::time::Duration;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

const BEALE: &str = env!("CARGO_BIN_EXE_beale");

/// A running server, which dies with the test.
struct Server {
    process: Child,
    client: BufReader<TcpStream>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    fn start_with(dir: &Path, arguments: &[&str]) -> Self {
        let ports = dir.join("ports");
        fs::create_dir_all(&ports).unwrap();
        let mut command = Command::new(BEALE);
        command
            .args(["-p", "-1", "-a", "127.0.0.1", "-js", "-sd"])
            .arg(dir);
        command.arg("--ports_file_dir").arg(&ports).args(arguments);
        let process = command.stderr(Stdio::null()).spawn().unwrap();
        let file = ports.join(format!("beale_{}.ports", process.id()));
        let address = (0..200).find_map(|_| {
            thread::sleep(Duration::from_millis(50));
            let text = fs::read_to_string(&file).ok()?;
            let (_, rest) = text.split_once("nats://")?;
            rest.split('"').next().map(str::to_owned)
        });
        let stream = TcpStream::connect(address.unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut server = Self {
            process,
            client: BufReader::new(stream),
        };
        server.say("CONNECT {\"verbose\":false}\r\nSUB in 1\r\n");
        server
    }

    fn say(&mut self, text: &str) {
        self.client.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// Sends a request, and returns the answer's body.
    fn ask(&mut self, subject: &str, body: &str) -> String {
        self.say(&format!("PUB {subject} in {}\r\n{body}\r\n", body.len()));
        let mut line = String::new();
        while !line.starts_with("MSG in ") {
            line.clear();
            assert!(
                self.client.read_line(&mut line).unwrap() > 0,
                "the server hung up"
            );
        }
        line.clear();
        self.client.read_line(&mut line).unwrap();
        line
    }
}

fn check(arguments: &[&str], dir: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(BEALE);
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .arg("check")
        .args(arguments)
        .arg(dir)
        .output()
        .unwrap();
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8(said).unwrap())
}

fn log_with(dir: &Path, text: &[u8]) -> (PathBuf, usize) {
    let files = fs::read_dir(dir.join("jetstream")).unwrap();
    let mut paths = files.map(|file| file.unwrap().path());
    let found = paths.find_map(|path| {
        let bytes = fs::read(&path).unwrap();
        let at = bytes.windows(text.len()).position(|part| part == text)?;
        Some((path, at))
    });
    found.unwrap()
}

#[test]
fn damage_of_a_killed_servers_store_is_named_and_repaired_and_the_server_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut server = Server::start(dir);
    let made = server.ask(
        "$JS.API.STREAM.CREATE.S",
        r#"{"name":"S","subjects":["s"]}"#,
    );
    assert!(made.contains("did_create"), "{made}");
    for body in ["first", "second", "third"] {
        server.ask("s", body);
    }
    let (code, said) = check(&[], dir);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("already in use"), "{said}");
    drop(server);
    assert_eq!(check(&[], dir).0, Some(0));

    let (path, at) = log_with(dir, b"second");
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (code, said) = check(&[], dir);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("stream S ($G): lost sequences: 2\n"),
        "{said}"
    );
    let (code, said) = check(&["--repair"], dir);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("repaired"), "{said}");
    let (code, said) = check(&["--json"], dir);
    assert_eq!(code, Some(0), "{said}");

    let mut server = Server::start(dir);
    let info = server.ask("$JS.API.STREAM.INFO.S", "");
    assert!(info.contains(r#""messages":2"#), "{info}");
    assert!(info.contains(r#""lost":{"msgs":[2]"#), "{info}");
    let third = server.ask("$JS.API.STREAM.MSG.GET.S", r#"{"seq":3}"#);
    assert!(third.contains("dGhpcmQ="), "{third}");
    let stored = server.ask("s", "fourth");
    assert!(stored.contains(r#""seq":4"#), "{stored}");
}
