//! What a client's certificate says about it, and which authority's word it is.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::PeerCert;
use protocol::time::Wall;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_cert::der::{Any, Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
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

/// A certificate that a client has shown.
pub(crate) struct Shown<'a> {
    der: &'a [u8],
    cert: TbsCertificate,
}

impl<'a> Shown<'a> {
    /// Reads a certificate; none if it cannot be read.
    pub(crate) fn read(der: &'a CertificateDer<'_>) -> Option<Self> {
        let cert = Certificate::from_der(der).ok()?.tbs_certificate;
        Some(Self { der, cert })
    }

    /// Returns what the shard wants to know of it, once it has been verified; none if that cannot be read.
    pub(crate) fn peer(&self) -> Option<PeerCert> {
        let mut rdns = Vec::new();
        for rdn in &self.cert.subject.0 {
            for part in rdn.0.iter() {
                let oid = part.oid.to_string();
                let known = ATTRIBUTES.iter().find(|(id, _)| *id == oid);
                let kind = known.map_or(oid, |(_, name)| (*name).to_owned());
                rdns.push((kind, text(&part.value)?));
            }
        }
        let spki = self.cert.subject_public_key_info.to_der().ok()?;
        Some(PeerCert {
            // Go prints the last part first.
            subject: rdns.iter().rev().map(shown).collect::<Vec<_>>().join(","),
            rdns,
            names: names(&self.cert),
            spki_sha256: hex(&Sha256::digest(spki)),
            cert_sha256: hex(&Sha256::digest(self.der)),
        })
    }
}

/// An authority whose word for clients counts. It is read with the configuration: connections share its PEM.
pub(super) struct Authority {
    der: CertificateDer<'static>,
    subject: Name,
    pem: Arc<str>,
}

impl Authority {
    /// Reads its certificate; none if it cannot be read.
    pub(super) fn read(der: CertificateDer<'static>) -> Option<Self> {
        let subject = Certificate::from_der(&der).ok()?.tbs_certificate.subject;
        let pem = pem(&der).into();
        Some(Self { der, subject, pem })
    }
}

/// Returns the certificates in PEM over which the first of those that a client has shown leads to one of the
/// `roots`, both included; none if it leads nowhere.
pub(super) fn chain(shown: &[Shown<'_>], roots: &[Authority]) -> Vec<Arc<str>> {
    let mut left: Vec<&Shown<'_>> = shown.iter().collect();
    if left.is_empty() {
        return Vec::new();
    }
    let mut last = left.remove(0);
    let mut chain = vec![pem(last.der).into()];
    loop {
        if roots.iter().any(|root| *root.der == *last.der) {
            return chain;
        }
        let issuer = &last.cert.issuer;
        if let Some(root) = roots.iter().find(|root| root.subject == *issuer) {
            chain.push(Arc::clone(&root.pem));
            return chain;
        }
        let next = left.iter().position(|next| next.cert.subject == *issuer);
        let Some(next) = next else {
            return Vec::new();
        };
        last = left.remove(next);
        chain.push(pem(last.der).into());
    }
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

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    #[test]
    fn a_chain_leads_from_the_client_over_those_it_shows_to_an_authority() {
        let [root, between, other, client] = certs(["root", "between", "other", "client"]);
        let shown = [client.clone(), other.clone(), between.clone()];
        let shown: Vec<_> = shown.iter().filter_map(Shown::read).collect();
        let roots = |ders: &[&CertificateDer<'static>]| {
            let read = |der: &&CertificateDer<'static>| Authority::read((*der).clone());
            ders.iter().filter_map(read).collect::<Vec<_>>()
        };
        let wanted = [&client, &between, &root].map(|der| Arc::from(pem(der)));
        assert_eq!(chain(&shown, &roots(&[&other, &root])), wanted);
        // Who shows the authority itself is not told of it twice.
        assert_eq!(chain(&shown, &roots(&[&between])), wanted[..2]);
        assert_eq!(chain(&shown, &roots(&[&client])), wanted[..1]);
        assert!(chain(&shown, &roots(&[&other])).is_empty());
        assert!(chain(&[], &roots(&[&root])).is_empty());
    }

    /// Returns certificates of which `root` has issued `between` and `other`, and `between` all others.
    fn certs<const N: usize>(names: [&str; N]) -> [CertificateDer<'static>; N] {
        let keys: Vec<_> = (0..2).map(|_| KeyPair::generate().unwrap()).collect();
        let params = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let root = Issuer::new(params("root"), &keys[0]);
        let between = Issuer::new(params("between"), &keys[1]);
        names.map(|name| {
            let (own, issuer) = match name {
                "root" => (&keys[0], &root),
                "between" => (&keys[1], &root),
                "other" => (&keys[0], &root),
                _ => (&keys[1], &between),
            };
            params(name).signed_by(own, issuer).unwrap().der().clone()
        })
    }
}
