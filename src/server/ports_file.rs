//! The file that tells which ports a server has taken, for whoever started it with random ones.

use core::net::SocketAddr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use config::options::Peers;
use serde_json::{Map, Value};

/// Where a server is bound.
#[derive(Clone, Debug, Default)]
pub struct Bound {
    /// The listeners of clients, in the order of the options.
    pub clients: Vec<SocketAddr>,
    /// WebSocket clients, in the clear.
    pub websocket: Option<SocketAddr>,
    /// WebSocket clients, over TLS.
    pub websocket_tls: Option<SocketAddr>,
    /// Listeners that let nobody in yet.
    pub closed: Vec<(Peers, SocketAddr)>,
    /// Monitoring in the clear.
    pub monitoring: Option<SocketAddr>,
    /// Monitoring over TLS.
    pub monitoring_tls: Option<SocketAddr>,
}

/// The file; it is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct PortsFile(PathBuf);

impl PortsFile {
    /// Writes `<program>_<process id>.ports` in `folder`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(folder: &str, program: &str, bound: &Bound) -> io::Result<Self> {
        let path = Self::path(folder, program);
        let urls = |scheme: &str, addresses: &[SocketAddr]| -> Vec<String> {
            let urls = addresses.iter().map(|address| reachable(*address));
            urls.map(|address| format!("{scheme}://{address}"))
                .collect()
        };
        let mut ports = Map::new();
        ports.insert("nats".to_owned(), urls("nats", &bound.clients).into());
        let clear = bound.monitoring.map(|at| ("http", at));
        let monitoring = clear.or(bound.monitoring_tls.map(|at| ("https", at)));
        if let Some((scheme, at)) = monitoring {
            ports.insert("monitoring".to_owned(), urls(scheme, &[at]).into());
        }
        let clear = bound.websocket.map(|at| ("ws", at));
        let websocket = clear.or(bound.websocket_tls.map(|at| ("wss", at)));
        if let Some((scheme, at)) = websocket {
            ports.insert("websocket".to_owned(), urls(scheme, &[at]).into());
        }
        let routes = bound.closed.iter().filter(|(p, _)| *p == Peers::Cluster);
        let routes: Vec<SocketAddr> = routes.map(|(_, address)| *address).collect();
        if !routes.is_empty() {
            ports.insert("cluster".to_owned(), urls("nats", &routes).into());
        }
        fs::write(&path, Value::Object(ports).to_string())?;
        Ok(Self(path))
    }
}

impl PortsFile {
    /// Returns where the file of this process lies.
    pub(crate) fn path(folder: &str, program: &str) -> PathBuf {
        Path::new(folder).join(format!("{program}_{}.ports", std::process::id()))
    }
}

impl Drop for PortsFile {
    fn drop(&mut self) {
        // Somebody else may have removed it.
        drop(fs::remove_file(&self.0));
    }
}

/// Returns the address to dial: every interface is reached over the loopback one.
fn reachable(bound: SocketAddr) -> SocketAddr {
    if bound.ip().is_unspecified() {
        SocketAddr::from(([127, 0, 0, 1], bound.port()))
    } else {
        bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_told_while_the_server_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        let bound = Bound {
            clients: vec![SocketAddr::from(([0, 0, 0, 0], 4222))],
            closed: vec![
                (Peers::Cluster, SocketAddr::from(([0, 0, 0, 0], 6222))),
                (Peers::LeafNodes, SocketAddr::from(([0, 0, 0, 0], 7422))),
            ],
            monitoring: Some(SocketAddr::from(([127, 0, 0, 1], 8222))),
            ..Bound::default()
        };
        let path = folder.path().to_string_lossy().into_owned();
        let file = PortsFile::write(&path, "beale", &bound).expect("writes");
        let name = format!("beale_{}.ports", std::process::id());
        let text = fs::read_to_string(folder.path().join(&name)).expect("reads");
        assert_eq!(
            text,
            "{\"cluster\":[\"nats://127.0.0.1:6222\"],\"monitoring\":[\"http://127.0.0.1:8222\"],\
             \"nats\":[\"nats://127.0.0.1:4222\"]}"
        );
        drop(file);
        assert!(!folder.path().join(name).exists());
    }
}
