//! Lines for syslog: the machine's own, or one that a URL names.
//!
//! *Invariant:* a syslog that does not take a line costs the line, never the server.

use std::io::{self, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;

use protocol::text::rfc3339::Rfc3339;
use protocol::time::Wall;

/// The facility of background services.
const DAEMON: u8 = 3;
/// Where the machine's own syslog listens.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// How much a line matters, as syslog counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Critical = 2,
    Error = 3,
    Warning = 4,
    Notice = 5,
    Debug = 7,
}

/// A syslog that takes lines.
#[derive(Debug)]
pub(crate) struct Syslog {
    socket: Socket,
    /// The machine's name; none for its own syslog, which knows it.
    host: Option<String>,
    program: String,
}

#[derive(Debug)]
enum Socket {
    Datagram(UnixDatagram),
    Stream(UnixStream),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Syslog {
    /// Connects to the machine's own syslog.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn local(program: &str) -> io::Result<Self> {
        let found = LOCAL.iter().find_map(|path| unix(path).ok());
        let nobody = || io::Error::other("\"Unix syslog delivery error\"");
        Ok(Self {
            socket: found.ok_or_else(nobody)?,
            host: None,
            program: program.to_owned(),
        })
    }

    /// Connects to the syslog at `url`, as in `udp://logs.example.net:514`.
    ///
    /// # Errors
    /// When it cannot be reached, or the URL names no way to it.
    pub(crate) fn remote(url: &str, program: &str) -> io::Result<Self> {
        let unknown = || io::Error::other(format!("unknown address {url:?}"));
        let (scheme, address) = url.split_once("://").ok_or_else(unknown)?;
        let socket = match scheme {
            "udp" => {
                let socket = UdpSocket::bind(("0.0.0.0", 0))?;
                socket.connect(address)?;
                Socket::Udp(socket)
            }
            "tcp" => Socket::Tcp(TcpStream::connect(address)?),
            "unix" | "unixgram" => unix(address)?,
            _ => return Err(unknown()),
        };
        let name = rustix::system::uname();
        Ok(Self {
            socket,
            host: Some(name.nodename().to_string_lossy().into_owned()),
            program: program.to_owned(),
        })
    }

    /// Sends a line.
    pub(crate) fn write(&mut self, severity: Severity, text: &str, now: Wall) {
        let line = self.line(severity, text, now);
        let line = line.as_bytes();
        let sent = match &mut self.socket {
            Socket::Datagram(socket) => socket.send(line).map(drop),
            Socket::Udp(socket) => socket.send(line).map(drop),
            Socket::Stream(stream) => stream.write_all(line),
            Socket::Tcp(stream) => stream.write_all(line),
        };
        drop(sent);
    }

    fn line(&self, severity: Severity, text: &str, now: Wall) -> String {
        let priority = DAEMON * 8 + severity as u8;
        let second = Wall(now.0 / 1_000_000_000 * 1_000_000_000);
        let stamp = Rfc3339(second).to_string();
        let (program, pid) = (&self.program, std::process::id());
        match &self.host {
            Some(host) => format!("<{priority}>{stamp} {host} {program}[{pid}]: {text}\n"),
            None => format!("<{priority}>{} {program}[{pid}]: {text}\n", short(&stamp)),
        }
    }
}

fn unix(path: &str) -> io::Result<Socket> {
    let socket = UnixDatagram::unbound()?;
    if socket.connect(Path::new(path)).is_ok() {
        return Ok(Socket::Datagram(socket));
    }
    UnixStream::connect(path).map(Socket::Stream)
}

/// Returns `Jan _2 15:04:05` of `2006-01-02T15:04:05Z`.
fn short(stamp: &str) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let number = |range: core::ops::Range<usize>| -> usize {
        let digits = stamp.get(range).unwrap_or_default();
        digits.parse().unwrap_or_default()
    };
    let month = MONTHS.get(number(5..7).wrapping_sub(1));
    let time = stamp.get(11..19).unwrap_or_default();
    format!("{} {:2} {time}", month.unwrap_or(&"Jan"), number(8..10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_syslog_is_told_host_program_and_process() {
        let server = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
        let address = server.local_addr().expect("bound");
        let mut syslog = Syslog::remote(&format!("udp://{address}"), "beale").expect("connects");
        syslog.host = Some("here".to_owned());
        syslog.write(Severity::Notice, "hello", Wall(1_136_214_245_000_123_456));
        let mut buf = [0; 200];
        let len = server.recv(&mut buf).expect("arrives");
        let pid = std::process::id();
        let expected = format!("<29>2006-01-02T15:04:05Z here beale[{pid}]: hello\n");
        assert_eq!(String::from_utf8_lossy(&buf[..len]), expected);
    }

    #[test]
    fn the_machines_own_syslog_gets_the_short_form() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let server = UnixDatagram::bind(&path).expect("binds");
        let mut syslog = Syslog {
            socket: unix(&path.to_string_lossy()).expect("connects"),
            host: None,
            program: "beale".to_owned(),
        };
        syslog.write(Severity::Error, "oh", Wall(1_136_214_245_000_123_456));
        let mut buf = [0; 200];
        let len = server.recv(&mut buf).expect("arrives");
        let pid = std::process::id();
        let expected = format!("<27>Jan  2 15:04:05 beale[{pid}]: oh\n");
        assert_eq!(String::from_utf8_lossy(&buf[..len]), expected);
    }

    #[test]
    fn an_address_that_is_none_is_an_error() {
        assert!(Syslog::remote("127.0.0.1:514", "beale").is_err());
        assert!(Syslog::remote("smtp://127.0.0.1:514", "beale").is_err());
    }
}
