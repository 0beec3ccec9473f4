//! The load of a round: publishers with acks, and a consumer whose acks are confirmed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Result, anyhow};

use ci::load::server::Server;

use crate::history::{Caller, History};
use crate::publisher::{consume_until, publish_until};

const PUBLISHERS: u64 = 4;

/// Creates the stream that everything goes to.
pub(crate) fn create_stream(server: &Server) -> Result<()> {
    let mut caller = Caller::connect(&server.addr, "create")?;
    caller.api(
        "STREAM.CREATE.FAULT",
        r#"{"name":"FAULT","subjects":["fault.>"],"storage":"file","allow_direct":true}"#,
    )?;
    Ok(())
}

/// The threads of one round.
pub(crate) struct Load {
    publishers: Vec<JoinHandle<BTreeMap<u64, Vec<u8>>>>,
    consumer: JoinHandle<(Vec<u64>, BTreeSet<u64>)>,
    stop: Arc<AtomicBool>,
}

impl Load {
    pub(crate) fn start(server: &Server, round: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let publisher = |p: u64| {
            let (addr, stop) = (server.addr.clone(), Arc::clone(&stop));
            thread::spawn(move || publish_until(&addr, &format!("r{round}p{p}"), &stop))
        };
        let publishers = (0..PUBLISHERS).map(publisher).collect();
        let (addr, flag) = (server.addr.clone(), Arc::clone(&stop));
        Self {
            publishers,
            consumer: thread::spawn(move || consume_until(&addr, &flag)),
            stop,
        }
    }

    /// Ends the threads, whose server is gone or going, and takes what they saw.
    pub(crate) fn collect(self, history: &mut History) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for publisher in self.publishers {
            let acked = publisher.join();
            history.take(acked.map_err(|_| anyhow!("a publisher panicked"))?);
        }
        let consumed = self.consumer.join();
        let (delivered, confirmed) = consumed.map_err(|_| anyhow!("the consumer panicked"))?;
        let known = |seq: &&u64| history.confirmed.contains(*seq);
        history.returned += delivered.iter().filter(known).count() as u64;
        history.confirmed.extend(confirmed);
        Ok(())
    }
}

/// Fetches what the consumer gets after a restart: nothing that was confirmed may be among it.
pub(crate) fn fetch_again(server: &Server, history: &mut History) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let (addr, flag) = (server.addr.clone(), Arc::clone(&stop));
    let consumer = thread::spawn(move || consume_until(&addr, &flag));
    thread::sleep(std::time::Duration::from_millis(1_500));
    let load = Load {
        publishers: Vec::new(),
        consumer,
        stop,
    };
    load.collect(history)
}
