//! Encryption at rest, of the real binary: nothing that was published lies in a file as it is, a killed server
//! has it all again, and only the right key opens the store.

use super::{BEALE, Server, check};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const SECRET: &str = "a secret that nobody may find";

/// Writes a configuration with these lines in its `jetstream` block.
fn configure(dir: &Path, lines: &str) -> String {
    let path = dir.join("beale.conf");
    fs::write(&path, format!("jetstream {{ {lines} }}\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

fn start(dir: &Path, lines: &str) -> Server {
    let config = configure(dir, lines);
    Server::start_with(dir, &["-c", &config])
}

/// Returns what a server says that does not start.
fn refused(dir: &Path, lines: &str) -> String {
    let config = configure(dir, lines);
    let mut command = Command::new(BEALE);
    command.args(["-p", "-1", "-a", "127.0.0.1", "-js", "-c", &config, "-sd"]);
    let out = command.arg(dir).stdin(Stdio::null()).output().unwrap();
    assert!(!out.status.success());
    String::from_utf8([out.stdout, out.stderr].concat()).unwrap()
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir.join("jetstream"))
        .unwrap()
        .map(Result::unwrap);
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    entries.map(file).collect()
}

/// Returns the files in which the secret can be read.
fn readable(dir: &Path) -> Vec<String> {
    let holds = |bytes: &[u8]| {
        let mut parts = bytes.windows(SECRET.len());
        parts.any(|part| part == SECRET.as_bytes())
    };
    let files = files(dir).into_iter();
    files
        .filter(|(_, bytes)| holds(bytes))
        .map(|(name, _)| name)
        .collect()
}

fn publish(server: &mut Server, number: u64) {
    let stored = server.ask("s", &format!("{SECRET} {number}"));
    assert!(stored.contains(&format!(r#""seq":{number}"#)), "{stored}");
}

/// Looks for the messages up to this one.
fn expect(server: &mut Server, count: u64) {
    let info = server.ask("$JS.API.STREAM.INFO.S", "");
    assert!(info.contains(&format!(r#""messages":{count}"#)), "{info}");
    for seq in 1..=count {
        let got = server.ask("$JS.API.STREAM.MSG.GET.S", &format!(r#"{{"seq":{seq}}}"#));
        // The secret, in base64.
        assert!(
            got.contains("YSBzZWNyZXQgdGhhdCBub2JvZHkgbWF5IGZpbmQ"),
            "{got}"
        );
    }
}

fn make_stream(server: &mut Server) {
    let made = server.ask(
        "$JS.API.STREAM.CREATE.S",
        r#"{"name":"S","subjects":["s"]}"#,
    );
    assert!(made.contains("did_create"), "{made}");
}

#[test]
fn killed_server_has_everything_again_and_only_with_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut server = start(dir, "key: first");
    make_stream(&mut server);
    for number in 1..=20 {
        publish(&mut server, number);
    }
    drop(server);
    assert_eq!(readable(dir), [""; 0]);

    let before = files(dir);
    for (lines, said) in [
        ("key: wrong", "unable to recover keys"),
        ("key: wrong, prev_key: wronger", "unable to recover keys"),
        ("max_file: 1G", "encryption not enabled"),
    ] {
        let text = refused(dir, lines);
        assert!(text.contains(said), "{text}");
    }
    assert_eq!(files(dir), before);

    let mut server = start(dir, "key: first, cipher: aes");
    expect(&mut server, 20);
    publish(&mut server, 21);
    drop(server);
    let mut server = start(dir, "key: second, prev_key: first");
    expect(&mut server, 21);
    drop(server);
    let mut server = start(dir, "key: second");
    expect(&mut server, 21);
    drop(server);
    assert!(refused(dir, "key: first").contains("unable to recover keys"));
    assert_eq!(readable(dir), [""; 0]);

    for name in ["key-1", "key-2", "lock"] {
        fs::remove_file(dir.join("jetstream").join(name)).unwrap();
    }
    assert!(refused(dir, "key: second").contains("damaged or gone"));
}

#[test]
fn check_needs_the_key_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut server = start(dir, "key: first");
    make_stream(&mut server);
    publish(&mut server, 1);
    drop(server);
    let (code, said) = check(&[], dir);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("jetstream.key is not set"), "{said}");
    let config = configure(dir, "key: first");
    let (code, said) = check(&["--config", &config], dir);
    assert_eq!(code, Some(0), "{said}");
    let config = configure(dir, "key: other");
    let (code, said) = check(&["--config", &config], dir);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("unable to recover keys"), "{said}");
}

#[test]
fn store_in_the_clear_is_encrypted_from_the_first_start_with_a_key_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut server = Server::start(dir);
    make_stream(&mut server);
    publish(&mut server, 1);
    drop(server);
    let clear = readable(dir);
    assert_eq!(clear.len(), 1, "{clear:?}");
    let mut server = start(dir, "key: first");
    expect(&mut server, 1);
    publish(&mut server, 2);
    drop(server);
    let mut server = start(dir, "key: first");
    expect(&mut server, 2);
    drop(server);
    let config = configure(dir, "key: first");
    let (code, said) = check(&["--config", &config], dir);
    assert_eq!(code, Some(0), "{said}");
    for file in clear {
        assert!(said.contains(&format!("not encrypted: {file} ")), "{said}");
    }
    assert!(refused(dir, "max_file: 1G").contains("encryption not enabled"));
}
