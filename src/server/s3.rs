//! Puts objects into stores of S3's kind: the address of an object, and a request that is signed as Amazon's
//! Signature Version 4 says.
//!
//! *Invariant:* what is signed is what is sent, the hash of the body included. A secret key is in no text that
//! is told.

use std::time::{SystemTime, UNIX_EPOCH};

use broker::{Bucket, Upload};
use hmac::{Hmac, Mac as _};
use protocol::text::rfc3339::Rfc3339;
use protocol::time::Wall;
use sha2::{Digest as _, Sha256};

use crate::web_client;

/// The region of stores that have none.
const REGION: &str = "us-east-1";
const SERVICE: &str = "s3";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Puts an object into its store.
///
/// # Errors
/// Why it is not there, or perhaps not.
pub(crate) fn put(upload: &Upload) -> Result<(), String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_err(|_| "the clock is before 1970".to_owned())?;
    let now = Wall(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
    let place = Place::of(&upload.bucket, &upload.key)?;
    let stamp = stamp(now);
    let hash = hex(&Sha256::digest(&upload.body));
    let headers = [
        ("content-type", "application/json"),
        ("host", place.host.as_str()),
        ("x-amz-content-sha256", hash.as_str()),
        ("x-amz-date", stamp.as_str()),
    ];
    let authorization = authorization(&upload.bucket, &place.path, &headers, &hash);
    let signed = headers.into_iter().filter(|(name, _)| *name != "host");
    let lines: Vec<(&str, &str)> = signed
        .chain([("authorization", authorization.as_str())])
        .collect();
    web_client::put(&place.url(), &lines, upload.body.as_bytes())
}

/// Where an object lies.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    scheme: String,
    /// With its port, if it is not the usual one.
    host: String,
    /// Encoded.
    path: String,
}

impl Place {
    fn of(bucket: &Bucket, key: &str) -> Result<Self, String> {
        let amazon = format!("https://s3.{}.amazonaws.com", region(bucket));
        let url = match bucket.url.trim_end_matches('/') {
            "" => amazon.as_str(),
            url => url,
        };
        let (scheme, rest) = url.split_once("://").ok_or("the url has no scheme")?;
        let (host, base) = rest.split_once('/').unwrap_or((rest, ""));
        let base = match base {
            "" => String::new(),
            base => format!("/{base}"),
        };
        let (name, key) = (&bucket.name, encoded(key));
        let (host, path) = if bucket.is_path_style {
            (host.to_owned(), format!("{base}/{name}/{key}"))
        } else {
            (format!("{name}.{host}"), format!("{base}/{key}"))
        };
        let scheme = scheme.to_ascii_lowercase();
        Ok(Self { scheme, host, path })
    }

    fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.path)
    }
}

fn region(bucket: &Bucket) -> &str {
    match bucket.region.as_str() {
        "" => REGION,
        region => region,
    }
}

/// Encodes a key for a path, as S3 does it: what is not plain but for slashes.
fn encoded(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        if is_plain {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Returns the value of the header that signs a request to put an object. The headers are sorted, and one is
/// `x-amz-date`.
fn authorization(bucket: &Bucket, path: &str, headers: &[(&str, &str)], hash: &str) -> String {
    let stamp = headers.iter().find(|(name, _)| *name == "x-amz-date");
    let stamp = stamp.map_or("", |(_, value)| value);
    let day = stamp.get(..8).unwrap_or_default();
    let region = region(bucket);
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    let request = format!("PUT\n{path}\n\n{lines}\n{names}\n{hash}");
    let scope = format!("{day}/{region}/{SERVICE}/aws4_request");
    let hashed = hex(&Sha256::digest(request));
    let text = format!("{ALGORITHM}\n{stamp}\n{scope}\n{hashed}");
    let secret = format!("AWS4{}", bucket.secret_key);
    let steps = [day, region, SERVICE, "aws4_request", &text];
    let signature = steps
        .into_iter()
        .fold(secret.into_bytes(), |key, step| keyed(&key, step));
    format!(
        "{ALGORITHM} Credential={}/{scope},SignedHeaders={names},Signature={}",
        bucket.access_key,
        hex(&signature)
    )
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("keys of any length are taken");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns `20130524T000000Z` of a time.
fn stamp(now: Wall) -> String {
    let second = Wall(now.0 / 1_000_000_000 * 1_000_000_000);
    Rfc3339(second).to_string().replace(['-', ':'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(url: &str, is_path_style: bool) -> Bucket {
        Bucket {
            name: "examplebucket".to_owned(),
            region: String::new(),
            url: url.to_owned(),
            is_path_style,
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        }
    }

    #[test]
    fn a_request_is_signed_as_in_amazons_example() {
        let hash = hex(&Sha256::digest("Welcome to Amazon S3."));
        let headers = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", hash.as_str()),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        let path = format!("/{}", encoded("test$file.text"));
        let signed = authorization(&bucket("", false), &path, &headers, &hash);
        let expected = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                        SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,\
                        Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
        assert_eq!(signed, expected);
        assert_eq!(stamp(Wall(1_369_353_600_123_456_789)), "20130524T000000Z");
    }

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_hosts_name() {
        let key = "memphis/global/a.b/u(2).json";
        let url =
            |url: &str, is_path_style| Place::of(&bucket(url, is_path_style), key).map(|p| p.url());
        let end = "memphis/global/a.b/u%282%29.json";
        let expected = format!("https://examplebucket.s3.us-east-1.amazonaws.com/{end}");
        assert_eq!(url("", false), Ok(expected));
        let expected = format!("http://127.0.0.1:9001/examplebucket/{end}");
        assert_eq!(url("http://127.0.0.1:9001/", true), Ok(expected));
        let expected = format!("https://h/base/examplebucket/{end}");
        assert_eq!(url("HTTPS://h/base", true), Ok(expected));
        assert!(url("h", true).is_err());
    }
}
