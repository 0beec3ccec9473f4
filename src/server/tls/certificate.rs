//! What a client's certificate says about it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::PeerCert;
use protocol::time::Wall;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_cert::der::{Any, Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::{Certificate, TbsCertificate};

/// The attributes that have a name of their own, as Go and LDAP print them.
const ATTRIBUTES: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.17", "POSTALCODE"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

/// Returns what the shard wants to know of a verified certificate; none if it cannot be read.
pub(crate) fn peer(der: &CertificateDer<'_>) -> Option<PeerCert> {
    let cert = Certificate::from_der(der).ok()?.tbs_certificate;
    let mut rdns = Vec::new();
    for rdn in &cert.subject.0 {
        for part in rdn.0.iter() {
            let oid = part.oid.to_string();
            let known = ATTRIBUTES.iter().find(|(id, _)| *id == oid);
            let kind = known.map_or(oid, |(_, name)| (*name).to_owned());
            rdns.push((kind, text(&part.value)?));
        }
    }
    let spki = cert.subject_public_key_info.to_der().ok()?;
    Some(PeerCert {
        // Go prints the last part first.
        subject: rdns.iter().rev().map(shown).collect::<Vec<_>>().join(","),
        rdns,
        names: names(&cert),
        spki_sha256: hex(&Sha256::digest(spki)),
        cert_sha256: hex(&Sha256::digest(der)),
    })
}

/// Returns the certificates in PEM over which the first of those that a client has shown leads to one of the
/// `roots`, both included; none if it leads nowhere.
pub(super) fn chain(shown: &[CertificateDer<'_>], roots: &[CertificateDer<'_>]) -> Vec<String> {
    let (mut shown, roots) = (readable(shown), readable(roots));
    if shown.is_empty() {
        return Vec::new();
    }
    let mut last = shown.remove(0);
    let mut chain = vec![pem(last.0)];
    loop {
        if roots.iter().any(|(der, _)| *der == last.0) {
            return chain;
        }
        if let Some((root, _)) = roots.iter().find(|(_, c)| c.subject == last.1.issuer) {
            chain.push(pem(root));
            return chain;
        }
        let next = shown.iter().position(|(_, c)| c.subject == last.1.issuer);
        let Some(next) = next else {
            return Vec::new();
        };
        last = shown.remove(next);
        chain.push(pem(last.0));
    }
}

fn readable<'a>(certs: &'a [CertificateDer<'_>]) -> Vec<(&'a [u8], TbsCertificate)> {
    let read = |der: &'a [u8]| Some((der, Certificate::from_der(der).ok()?.tbs_certificate));
    certs.iter().filter_map(|der| read(der)).collect()
}

/// Returns a certificate in PEM, with the line length of RFC 7468.
fn pem(der: &[u8]) -> String {
    const LINE: usize = 64;
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(LINE) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

/// Returns until when a certificate holds; none if it cannot be read.
pub(super) fn not_after(der: &CertificateDer<'_>) -> Option<Wall> {
    let cert = Certificate::from_der(der).ok()?.tbs_certificate;
    let since_epoch = cert.validity.not_after.to_unix_duration();
    Some(Wall(protocol::time::nanos(since_epoch)))
}

/// Returns email addresses, then host names, then URIs.
fn names(cert: &TbsCertificate) -> Vec<String> {
    let Ok(Some((_, names))) = cert.get::<SubjectAltName>() else {
        return Vec::new();
    };
    let (mut emails, mut hosts, mut uris) = (Vec::new(), Vec::new(), Vec::new());
    for name in names.0 {
        match name {
            GeneralName::Rfc822Name(name) => emails.push(name.to_string()),
            GeneralName::DnsName(name) => hosts.push(name.to_string()),
            GeneralName::UniformResourceIdentifier(uri) => uris.push(uri.to_string()),
            GeneralName::OtherName(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EdiPartyName(_)
            | GeneralName::IpAddress(_)
            | GeneralName::RegisteredId(_) => {}
        }
    }
    [emails, hosts, uris].concat()
}

/// Returns the text of an attribute, which is UTF-8 or ASCII in whatever anybody issues today.
fn text(value: &Any) -> Option<String> {
    String::from_utf8(value.value().to_vec()).ok()
}

/// Writes a part with LDAP's escapes.
fn shown((kind, value): &(String, String)) -> String {
    let mut out = format!("{kind}=");
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        let special = matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';');
        let edge = (c == ' ' && (at == 0 || at == last)) || (c == '#' && at == 0);
        if special || edge {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
