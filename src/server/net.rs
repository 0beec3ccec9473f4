//! The network that the driver runs on: a trait, so that simulation can pass its own, and
//! [`TokioNet`], the real one.
//!
//! *Invariant:* the driver uses nothing of a stream but `AsyncRead` and `AsyncWrite`.

use core::future::Future;
use core::net::SocketAddr;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// Listening and accepting, on whichever network.
pub trait Net: 'static {
    /// A connection's byte stream.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;
    /// A bound socket.
    type Listener: 'static;

    /// Binds `host:port`; port 0 takes a free one.
    fn bind(host: &str, port: u16) -> impl Future<Output = io::Result<Self::Listener>>;

    /// Says where a listener is bound.
    ///
    /// # Errors
    /// When the system cannot tell.
    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// Waits for the next connection.
    fn accept(
        listener: &Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>>;
}

/// TCP through the operating system.
#[derive(Debug)]
pub struct TokioNet;

impl Net for TokioNet {
    type Stream = TcpStream;
    type Listener = TcpListener;

    async fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
        // "0.0.0.0" means every interface to nats-server's users, both families included.
        if host == "0.0.0.0"
            && let Ok(both) = TcpListener::bind(("::", port)).await
        {
            return Ok(both);
        }
        TcpListener::bind((host, port)).await
    }

    fn local_addr(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, mut peer) = listener.accept().await?;
        // Replies are written once per batch; waiting to fill a segment would only add latency.
        stream.set_nodelay(true)?;
        peer.set_ip(peer.ip().to_canonical());
        Ok((stream, peer))
    }
}
