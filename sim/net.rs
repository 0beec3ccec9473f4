//! The driver's network in turmoil.
//!
//! *Invariant:* nothing but what [`Net`] asks for, so that the driver under test is the one that runs
//! in production.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::io;

use server::net::Net;
use turmoil::net::{TcpListener, TcpStream};

/// turmoil's TCP.
#[derive(Debug)]
pub struct TurmoilNet;

impl Net for TurmoilNet {
    type Stream = TcpStream;
    type Listener = TcpListener;

    async fn bind(_host: &str, port: u16) -> io::Result<TcpListener> {
        // A simulated host has one address, which is its name's.
        TcpListener::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)).await
    }

    fn local_addr(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        listener.accept().await
    }
}
