//! SIGKILL under load, again and again over the same directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use ci::load::server::{Server, free_port};

use crate::Args;
use crate::history::{Caller, History};
use crate::publisher::{consume_until, publish_until};

const PUBLISHERS: u64 = 4;

pub(crate) fn run(args: &Args) -> Result<String> {
    let dir = tempfile::Builder::new()
        .prefix("faultcheck")
        .tempdir_in(&args.dir)?;
    let mut history = History::default();
    let mut slowest = Duration::ZERO;
    for round in 0..=args.rounds {
        let port = free_port()?;
        let started = Instant::now();
        let mut server = Server::start_in(&args.candidate, dir.path(), port, &[])
            .with_context(|| format!("start after round {round}"))?;
        let mut client = Caller::connect(&server.addr, "check")?;
        if round == 0 {
            client.api(
                "STREAM.CREATE.FAULT",
                r#"{"name":"FAULT","subjects":["fault.>"],"storage":"file","allow_direct":true}"#,
            )?;
        } else {
            client
                .api("STREAM.INFO.FAULT", "")
                .context("the stream is gone")?;
            slowest = slowest.max(started.elapsed());
        }
        let first = history.acked.keys().next_back().map_or(1, |last| last + 1);
        let stop = Arc::new(AtomicBool::new(round == args.rounds));
        let load = start_load(&server.addr, round, &stop);
        // Seeded, so that a round that fails is tried again at about the same moment.
        let spread = (args.seed ^ round).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        thread::sleep(Duration::from_millis(100 + spread));
        if round < args.rounds {
            server.kill()?;
        }
        stop.store(true, Ordering::Relaxed);
        load.collect(&mut history)?;
        if round == args.rounds {
            history.verify(&mut client, 1)?;
        } else {
            drop(server);
            let mut server = Server::start_in(&args.candidate, dir.path(), free_port()?, &[])?;
            let mut client = Caller::connect(&server.addr, "check")?;
            history.verify(&mut client, first)?;
            server.kill()?;
        }
        ensure!(
            history.lost == 0 && history.returned == 0,
            "round {round}: {} acknowledged messages lost, {} confirmed ones delivered again",
            history.lost,
            history.returned
        );
    }
    ensure!(history.verified > 0, "nothing was acknowledged");
    ensure!(slowest < Duration::from_secs(1), "a start took {slowest:?}");
    Ok(format!(
        "kill: {} rounds, {} acknowledged, 0 lost; {} consumer acks confirmed, 0 came back; \
         slowest start {} ms",
        args.rounds,
        history.acked.len(),
        history.confirmed.len(),
        slowest.as_millis()
    ))
}

/// The threads of one round.
struct Load {
    publishers: Vec<thread::JoinHandle<std::collections::BTreeMap<u64, Vec<u8>>>>,
    consumer: thread::JoinHandle<(Vec<u64>, std::collections::BTreeSet<u64>)>,
}

fn start_load(addr: &str, round: u64, stop: &Arc<AtomicBool>) -> Load {
    let publishers = (0..PUBLISHERS)
        .map(|p| {
            let (addr, stop) = (addr.to_owned(), Arc::clone(stop));
            thread::spawn(move || publish_until(&addr, &format!("r{round}p{p}"), &stop))
        })
        .collect();
    let (addr, stop) = (addr.to_owned(), Arc::clone(stop));
    Load {
        publishers,
        consumer: thread::spawn(move || consume_until(&addr, &stop)),
    }
}

impl Load {
    fn collect(self, history: &mut History) -> Result<()> {
        for publisher in self.publishers {
            let acked = publisher
                .join()
                .map_err(|_| anyhow::anyhow!("a publisher panicked"))?;
            for (seq, body) in acked {
                let known = history.acked.insert(seq, body);
                ensure!(known.is_none(), "sequence {seq} was given to two messages");
            }
        }
        let (delivered, confirmed) = self
            .consumer
            .join()
            .map_err(|_| anyhow::anyhow!("the consumer panicked"))?;
        let again = delivered
            .iter()
            .filter(|seq| history.confirmed.contains(seq))
            .count();
        history.returned += u64::try_from(again)?;
        history.confirmed.extend(confirmed);
        Ok(())
    }
}
