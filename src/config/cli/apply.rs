//! Flags over the options of the file.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a flag is applied by the function for its kind of value"
)]

use alloc::string::String;
use alloc::vec::Vec;

use super::flags::Flag;
use super::{CommandLine, Given};
use crate::check::Unsupported;
use crate::check::listen::{meant, split_host_port};
use crate::load::LaunchError;
use crate::options::{CertFiles, ClosedDoor, Listen, Memphis, Options, Peers, Tls};

impl CommandLine {
    /// Sets what the flags say, and notes those that have no effect yet.
    pub(crate) fn apply(
        &self,
        options: &mut Options,
        unsupported: &mut Vec<Unsupported>,
    ) -> Result<(), LaunchError> {
        for (flag, given) in &self.given {
            match given {
                Given::Switch(on) => apply_switch(options, *flag, *on),
                Given::Number(n) => apply_number(options, *flag, *n)?,
                Given::Text(text) => apply_text(options, *flag, text),
            }
        }
        self.check_names()?;
        self.apply_tls(options)?;
        self.note_unsupported(unsupported)
    }

    /// Refuses names and addresses that can be none.
    fn check_names(&self) -> Result<(), LaunchError> {
        let has_space = |flag| self.text(flag).is_some_and(|name| name.contains(' '));
        if has_space(Flag::Name) {
            return Err(LaunchError::ServerName);
        }
        if let Some(url) = self.text(Flag::Cluster) {
            cluster_url(url)?;
        }
        match has_space(Flag::ClusterName) {
            true => Err(LaunchError::ClusterName),
            false => Ok(()),
        }
    }

    /// Sets what the flags say about TLS; one of them is enough to ask for it.
    fn apply_tls(&self, options: &mut Options) -> Result<(), LaunchError> {
        let is_on = |flag| self.is_on(flag);
        let path = |flag| self.text(flag).map(String::from);
        if self.last(Flag::Tls) == Some(&Given::Switch(false)) {
            options.tls = None;
            return Ok(());
        }
        let files = [Flag::TlsCert, Flag::TlsKey, Flag::TlsCaCert].map(path);
        // Each of them asks for it, even an empty one.
        let asking = [
            Flag::TlsVerify,
            Flag::TlsCert,
            Flag::TlsKey,
            Flag::TlsCaCert,
        ];
        let asked = asking.iter().any(|flag| self.last(*flag).is_some());
        if !(is_on(Flag::Tls) || asked) {
            return Ok(());
        }
        let [cert_file, key_file, ca_file] = files;
        let cert = cert_file.ok_or(LaunchError::TlsCertificate)?;
        let key = key_file.ok_or(LaunchError::TlsKey)?;
        options.tls = Some(Tls {
            certs: Vec::from([CertFiles { cert, key }]),
            ca_file,
            verify: is_on(Flag::TlsVerify),
            ..Tls::default()
        });
        Ok(())
    }

    fn note_unsupported(&self, unsupported: &mut Vec<Unsupported>) -> Result<(), LaunchError> {
        const NOTED: [(Flag, &str, bool); 7] = [
            (Flag::Routes, "--routes", true),
            (Flag::Cluster, "--cluster", false),
            (Flag::ClusterName, "--cluster_name", false),
            (Flag::ClusterAdvertise, "--cluster_advertise", false),
            (Flag::NoAdvertise, "--no_advertise", false),
            (Flag::ConnectRetries, "--connect_retries", false),
            (Flag::Profile, "--profile", false),
        ];
        let in_file = unsupported.iter().any(|u| u.key == "cluster");
        let has_cluster = self.text(Flag::Cluster).is_some() || in_file;
        if self.text(Flag::Routes).is_some() && !has_cluster {
            return Err(LaunchError::RoutesWithoutCluster);
        }
        let is_empty = |flag| matches!(self.last(flag), Some(Given::Text(text)) if text.is_empty());
        let given = NOTED
            .iter()
            .filter(|(flag, ..)| self.last(*flag).is_some() && !is_empty(*flag));
        unsupported.extend(given.map(|(_, key, refuse)| Unsupported {
            key: String::from(*key),
            at: None,
            refuse: *refuse,
        }));
        Ok(())
    }
}

impl CommandLine {
    /// Says whether Memphis SDKs are to be served, whatever the file says.
    pub(crate) fn wants_memphis(&self) -> bool {
        let ports = [Flag::UiPort, Flag::RestGatewayPort];
        self.is_on(Flag::Memphis) || ports.iter().any(|flag| self.last(*flag).is_some())
    }

    /// Sets the ports of Memphis' interfaces over HTTP; 0 is off.
    pub(crate) fn apply_rest(&self, memphis: &mut Memphis) -> Result<(), LaunchError> {
        let host = memphis.listen.host.as_str();
        let rest = &mut memphis.rest;
        for (flag, place) in [
            (Flag::UiPort, &mut rest.management),
            (Flag::RestGatewayPort, &mut rest.gateway),
        ] {
            if let Some(Given::Number(n)) = self.last(flag) {
                *place = meant(*n).map(|port| Listen {
                    host: String::from(host),
                    port,
                });
            }
        }
        Ok(())
    }
}

fn apply_switch(options: &mut Options, flag: Flag, on: bool) {
    let log = &mut options.logging;
    match flag {
        Flag::Debug => log.debug = on,
        Flag::Trace => log.trace = on,
        Flag::VerboseTrace => (log.trace, log.trace_verbose) = (on, on),
        Flag::DebugAndTrace => (log.debug, log.trace) = (on, on),
        Flag::DebugAndVerboseTrace => {
            (log.debug, log.trace, log.trace_verbose) = (on, on, on);
        }
        Flag::Logtime => log.logtime = on,
        Flag::LogtimeUtc => log.logtime_utc = on,
        Flag::Syslog => log.syslog = on,
        Flag::JetStream => options.jetstream.enabled = on,
        _ => {}
    }
}

fn apply_number(options: &mut Options, flag: Flag, n: i64) -> Result<(), LaunchError> {
    match flag {
        Flag::Port => {
            if let Some(port) = meant(n) {
                client_listener(options).port = port;
            }
        }
        Flag::HttpPort => monitor(&mut options.http, n),
        Flag::HttpsPort => monitor(&mut options.https, n),
        Flag::LogSizeLimit => options.logging.file_size_limit = u64::try_from(n).unwrap_or(0),
        Flag::TracedMsgLenMax => {
            options.limits.traced_msg_len_max = u32::try_from(n.max(0)).unwrap_or(u32::MAX);
        }
        _ => {}
    }
    Ok(())
}

fn apply_text(options: &mut Options, flag: Flag, text: &str) {
    let set = Some(String::from(text)).filter(|t| !t.is_empty());
    match flag {
        Flag::Host => {
            if let Some(host) = set {
                client_listener(options).host = host;
            }
        }
        Flag::Name => options.server_name = set,
        Flag::ClientAdvertise => options.client_advertise = set,
        Flag::Pid => options.pid_file = set,
        Flag::PortsFileDir => options.ports_file_dir = set,
        Flag::Log => options.logging.file = set,
        Flag::RemoteSyslog => options.logging.remote_syslog = set,
        Flag::StoreDir => options.jetstream.store_dir = set,
        Flag::User => options.auth.user = set,
        Flag::Pass => options.auth.password = set,
        Flag::Auth => options.auth.token = set,
        Flag::Cluster => cluster_listener(options, text),
        _ => {}
    }
}

/// Refuses what is no URL with a port.
fn cluster_url(url: &str) -> Result<(), LaunchError> {
    let Some((_, rest)) = url.split_once("://") else {
        let first = url.split('/').next().unwrap_or_default();
        let scheme = first.split_once(':').map(|(scheme, _)| scheme);
        let is_scheme = |s: &str| {
            let mut bytes = s.bytes();
            let begins = bytes.next().is_some_and(|b| b.is_ascii_alphabetic());
            begins && bytes.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        };
        return match scheme {
            Some(scheme) if !is_scheme(scheme) => Err(LaunchError::ClusterUrl(url.into())),
            Some(_) | None => Err(LaunchError::ClusterPort(String::new())),
        };
    };
    let host = rest.split('/').next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    match split_host_port(host) {
        Err(_) if !host.contains(':') => Err(LaunchError::ClusterPort(host.into())),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Takes the address of a URL as in `nats://127.0.0.1:6222`.
fn cluster_listener(options: &mut Options, url: &str) {
    let address = url.split_once("://").map_or(url, |(_, rest)| rest);
    let address = address.rsplit_once('@').map_or(address, |(_, rest)| rest);
    let Ok((host, port)) = split_host_port(address) else {
        return;
    };
    let port = port.max(0);
    let doors = &mut options.closed_doors;
    doors.retain(|door| door.peers != Peers::Cluster);
    doors.push(ClosedDoor {
        peers: Peers::Cluster,
        listen: Listen { host, port },
    });
}

fn client_listener(options: &mut Options) -> &mut Listen {
    options.listen.get_or_insert_with(|| Listen::any(4222))
}

fn monitor(slot: &mut Option<Listen>, n: i64) {
    let host = slot.take().map_or_else(String::new, |listen| listen.host);
    *slot = meant(n).map(|port| Listen { host, port });
}
