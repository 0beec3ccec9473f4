//! Headers of the PROXY protocol, versions 1 and 2: where a connection comes from that a load balancer has
//! made. What is no header is left to whoever reads next.
//!
//! *Invariant:* a header is bounded, 64 KB for the longest, and never taken before all of it is there.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str;

/// What lines of version 1 begin with.
const LINE_START: &[u8] = b"PROXY ";
/// The longest line, with its end.
const LINE_MAX: usize = 107;
/// What headers of version 2 begin with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// As much of that as tells it from a line.
const SIGNATURE_START: usize = 6;
/// The signature, the version with the command, the kind of address, and the length of the rest.
const FIXED_LEN: usize = 16;

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Perhaps a header: more must come.
    Incomplete,
    /// No header.
    Absent,
    /// A header.
    Whole {
        /// Where the connection comes from; none if the proxy made it on its own account.
        origin: Option<SocketAddr>,
        /// How many bytes it takes.
        len: usize,
    },
}

/// Why a header is none that counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The line does not end.
    #[error("invalid PROXY protocol header: v1 line too long")]
    LineTooLong,
    /// The line has too few or too many fields.
    #[error("invalid PROXY protocol header: invalid v1 format")]
    Line,
    /// The line's addresses are none.
    #[error("invalid PROXY protocol header: invalid address")]
    Address,
    /// The line's addresses are not of its protocol.
    #[error("invalid PROXY protocol header: TCP4 with IPv6 address")]
    NotIpv4,
    /// The same the other way round.
    #[error("invalid PROXY protocol header: TCP6 with IPv4 address")]
    NotIpv6,
    /// The line's protocol is none.
    #[error("invalid PROXY protocol header: invalid protocol")]
    Protocol,
    /// The line's source port is none.
    #[error("invalid source port")]
    SourcePort,
    /// The line's destination port is none.
    #[error("invalid dest port")]
    DestinationPort,
    /// It begins like version 2 only.
    #[error("invalid PROXY protocol header: invalid signature")]
    Signature,
    /// Another version.
    #[error("invalid PROXY protocol header: invalid version {0:#04x}")]
    Version(u8),
    /// A command that nobody knows.
    #[error("unknown PROXY protocol command: {0:#04x}")]
    Command(u8),
    /// Not a stream.
    #[error("unsupported PROXY protocol feature: only STREAM protocol supported")]
    NotStream,
    /// Neither kind of address.
    #[error("unsupported PROXY protocol feature: unsupported address family {0:#04x}")]
    Family(u8),
    /// Too few bytes for the addresses.
    #[error("{family} address data too short: {len} bytes")]
    Short {
        /// The kind of address.
        family: &'static str,
        /// How many bytes there are.
        len: usize,
    },
}

/// Looks at what a connection begins with.
///
/// # Errors
/// What is wrong with the header.
pub fn header(input: &[u8]) -> Result<Header, HeaderError> {
    let begins = |start: &[u8]| input.iter().zip(start).all(|(have, want)| have == want);
    let signature_start = SIGNATURE.get(..SIGNATURE_START).unwrap_or(SIGNATURE);
    if begins(LINE_START) {
        return match input.get(LINE_START.len()..) {
            Some(rest) => line(rest),
            None => Ok(Header::Incomplete),
        };
    }
    match begins(signature_start) {
        true => binary(input),
        false => Ok(Header::Absent),
    }
}

/// Reads a line of version 1 from behind its first word.
fn line(rest: &[u8]) -> Result<Header, HeaderError> {
    let max = LINE_MAX - LINE_START.len();
    let seen = rest.get(..max).unwrap_or(rest);
    let Some(end) = seen.windows(2).position(|bytes| bytes == b"\r\n") else {
        return match rest.len() < max {
            true => Ok(Header::Incomplete),
            false => Err(HeaderError::LineTooLong),
        };
    };
    let len = LINE_START.len() + end + 2;
    let text = seen.get(..end).and_then(|text| str::from_utf8(text).ok());
    let mut fields = text.ok_or(HeaderError::Line)?.split_ascii_whitespace();
    let protocol = fields.next().ok_or(HeaderError::Line)?;
    if protocol == "UNKNOWN" {
        return Ok(Header::Whole { origin: None, len });
    }
    let mut next = || fields.next().ok_or(HeaderError::Line);
    let (source, destination, port, destination_port) = (next()?, next()?, next()?, next()?);
    if fields.next().is_some() {
        return Err(HeaderError::Line);
    }
    let address = |text: &str| text.parse::<IpAddr>().map_err(|_| HeaderError::Address);
    let ip = address(source)?;
    let destination = address(destination)?;
    let port = number(port).ok_or(HeaderError::SourcePort)?;
    number(destination_port).ok_or(HeaderError::DestinationPort)?;
    let both = [ip, destination];
    match protocol {
        "TCP4" if both.iter().any(IpAddr::is_ipv6) => Err(HeaderError::NotIpv4),
        "TCP6" if both.iter().any(IpAddr::is_ipv4) => Err(HeaderError::NotIpv6),
        "TCP4" | "TCP6" => Ok(Header::Whole {
            origin: Some(SocketAddr::new(ip.to_canonical(), port)),
            len,
        }),
        _ => Err(HeaderError::Protocol),
    }
}

/// Reads a port, which has no sign.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Reads a header of version 2.
fn binary(input: &[u8]) -> Result<Header, HeaderError> {
    let (head, rest) = input.split_at_checked(FIXED_LEN).unwrap_or((input, &[]));
    let signature = head.get(..SIGNATURE.len());
    if signature.is_some_and(|have| have != SIGNATURE) {
        return Err(HeaderError::Signature);
    }
    let Some(&[version, kind, high, low]) = head.get(SIGNATURE.len()..) else {
        return Ok(Header::Incomplete);
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if version & 0xF0 != 0x20 {
        return Err(HeaderError::Version(version & 0xF0));
    }
    let is_local = match version & 0x0F {
        0 => true,
        1 => false,
        command => return Err(HeaderError::Command(command)),
    };
    if !is_local && kind & 0x0F != 1 {
        return Err(HeaderError::NotStream);
    }
    let (family, short) = (kind & 0xF0, |family| HeaderError::Short { family, len });
    match family {
        _ if is_local => {}
        0x00 => {}
        0x10 if len < 12 => return Err(short("IPv4")),
        0x20 if len < 36 => return Err(short("IPv6")),
        0x10 | 0x20 => {}
        other => return Err(HeaderError::Family(other)),
    }
    let Some(addresses) = rest.get(..len) else {
        return Ok(Header::Incomplete);
    };
    let origin = match family {
        0x10 if !is_local => ipv4(addresses),
        0x20 if !is_local => ipv6(addresses),
        _ => None,
    };
    let len = FIXED_LEN + len;
    Ok(Header::Whole { origin, len })
}

fn ipv4(addresses: &[u8]) -> Option<SocketAddr> {
    let ip: [u8; 4] = *addresses.first_chunk()?;
    let port = *addresses.get(8..)?.first_chunk()?;
    let ip = Ipv4Addr::from(ip);
    Some(SocketAddr::new(ip.into(), u16::from_be_bytes(port)))
}

fn ipv6(addresses: &[u8]) -> Option<SocketAddr> {
    let ip: [u8; 16] = *addresses.first_chunk()?;
    let port = *addresses.get(32..)?.first_chunk()?;
    let ip = IpAddr::from(Ipv6Addr::from(ip)).to_canonical();
    Some(SocketAddr::new(ip, u16::from_be_bytes(port)))
}

#[cfg(test)]
mod tests;
