//! What is to be imported, from the command line.

use std::path::PathBuf;

use super::address::{Address, Kind, Side};

const USAGE: &str = "\
usage: beale import nats --from nats://[user:password@]host:port --to nats://[user:password@]host:port
                         [--stream NAME]... [OPTION]...
       beale import memphis --from nats://user:password@host:6666 --api http://user:password@host:9000
                         --to nats://user:password@host:6666 [--station NAME]... [OPTION]...

Copies streams with their messages' numbers and times, and durable consumers with their ack floors; from
Memphis stations, schemas, users without their passwords, and tags as well. Run it again to go on after it
was stopped. Stop publishers first: what comes later is not imported.

  --spool DIR          where archives lie meanwhile (./beale-import)
  --replicas N         how many copies the streams get (1)
  --no-compare         do not compare at the end
For --from, and for --to and --api in the same way:
  --from-user NAME, --from-password-file FILE, --from-creds FILE, --from-nkey FILE
  --from-ca FILE, --from-cert FILE, --from-key FILE, --from-tls-first
";

/// Where archives lie while they are made.
const SPOOL: &str = "./beale-import";

/// The command's arguments.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) from: Address,
    /// Memphis' management interface, where the streams come from Memphis.
    pub(super) api: Option<Address>,
    pub(super) to: Address,
    /// The streams or stations; all without any.
    names: Vec<String>,
    pub(super) spool: PathBuf,
    pub(super) replicas: u64,
    pub(super) compare: bool,
}

impl Wanted {
    /// Reads the words behind `import`.
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let usage = || USAGE.to_owned();
        let mut words = words.iter().map(String::as_str);
        let is_memphis = match words.next() {
            Some("nats") => false,
            Some("memphis") => true,
            Some(_) | None => return Err(usage()),
        };
        let (mut from, mut to, mut api) = (Side::default(), Side::default(), Side::default());
        let mut names = Vec::new();
        let mut spool = PathBuf::from(SPOOL);
        let (mut replicas, mut compare) = (1, true);
        let named = if is_memphis { "--station" } else { "--stream" };
        while let Some(word) = words.next() {
            match word {
                "--spool" => spool = PathBuf::from(words.next().ok_or_else(usage)?),
                "--no-compare" => compare = false,
                "--replicas" => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    replicas = number.ok_or_else(usage)?;
                }
                word if word == named => names.push(words.next().ok_or_else(usage)?.to_owned()),
                word => {
                    let sides = [
                        ("--from", &mut from),
                        ("--to", &mut to),
                        ("--api", &mut api),
                    ];
                    let mut sides = sides.into_iter();
                    let taken = sides.find_map(|(name, side)| {
                        let option = word.strip_prefix(name)?;
                        Some(side.take(option, &mut words))
                    });
                    if taken != Some(true) {
                        return Err(usage());
                    }
                }
            }
        }
        let kind = if is_memphis {
            Kind::MEMPHIS
        } else {
            Kind::NATS
        };
        let api = api.address(&Kind::HTTP)?;
        if api.is_some() != is_memphis {
            return Err(usage());
        }
        Ok(Self {
            from: from.address(&kind)?.ok_or_else(usage)?,
            to: to.address(&kind)?.ok_or_else(usage)?,
            api,
            names,
            spool,
            replicas,
            compare,
        })
    }

    /// Says whether a stream or station is to be imported.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Wanted, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Wanted::parse(&words)
    }

    #[test]
    fn both_servers_and_what_is_wanted_are_named() {
        let line = "nats --from a --to b:1 --stream S --replicas 3 --no-compare";
        let wanted = parse(line).expect("it is whole");
        assert_eq!(
            (wanted.from.port, wanted.to.port, wanted.replicas),
            (4222, 1, 3)
        );
        assert!(wanted.wants("S") && !wanted.wants("T") && !wanted.compare);
        let line = "memphis --from a --api http://root:memphis@a --to b --station s --to-user u";
        let wanted = parse(line).expect("it is whole");
        let api = wanted.api.as_ref().expect("it was named");
        assert_eq!((wanted.from.port, api.port), (6666, 9000));
        assert_eq!(wanted.to.login.user, "u");
        assert!(wanted.wants("s") && !wanted.wants("t") && wanted.compare);
    }

    #[test]
    fn what_is_missing_or_unknown_is_answered_with_how_it_is_used() {
        for line in [
            "",
            "kafka",
            "nats",
            "nats --from a",
            "nats --from a --to b --what",
            "nats --from a --to b --from-what x",
            "nats --from a --to b --replicas many",
            "nats --from a --to b --station s",
            "nats --from a --to b --api c",
            "memphis --from a --to b",
        ] {
            assert_eq!(parse(line).unwrap_err(), USAGE, "{line}");
        }
        assert!(parse("nats --from http://a --to b").is_err());
    }
}
