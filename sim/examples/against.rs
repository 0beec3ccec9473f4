//! Runs a workload against a server that is already there, and judges what it does:
//! `cargo run -p sim --example against -- 127.0.0.1:4222 --seeds 10`.
//!
//! The clients and the oracle are those of the simulation, so a server that passes here agrees with
//! them about the protocol. The streams of earlier runs must not exist: use a fresh server per run.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use core::time::Duration;

use protocol::time::{Instant, nanos};
use sim::director::{Director, Progress};
use sim::drive::{Stage, drive_actor};
use sim::oracle;
use sim::workload::plan::Plan;
use sim::workload::{Actor, Role};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(address), seed) = (args.next(), args.next()) else {
        println!("usage: against HOST:PORT [SEED]");
        return;
    };
    let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs only memory");
    let tasks = LocalSet::new();
    runtime.block_on(tasks.run_until(run(address, seed)));
}

async fn run(address: String, seed: u64) {
    let plan = Plan::draw(seed);
    println!("{plan:#?}");
    let stage = Stage::new(Actor::cast(&plan), {
        let start = tokio::time::Instant::now();
        move || Instant(nanos(start.elapsed()))
    });
    let mut director = Director::new(stage.now(), Duration::from_secs(8));
    let mut tasks = JoinSet::new();
    for number in 0..stage.actors.borrow().len() {
        let address = address.clone();
        let dial = move || TcpStream::connect(address.clone());
        tasks.spawn_local(drive_actor(stage.clone(), number, dial));
    }
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        match stage.direct(&mut director) {
            Progress::Same => {}
            Progress::Next(phase) => println!("{phase:?}"),
            Progress::Done => break,
            Progress::Stalled(violation) => {
                println!("{}: {}", violation.invariant, violation.text);
                break;
            }
        }
    }
    let mut actors = stage.actors.borrow_mut();
    let Some(Role::Auditor(auditor)) = actors.last_mut().map(|actor| &mut actor.role) else {
        panic!("the auditor is the last of the cast");
    };
    let audit = auditor.restart();
    let history = stage.history.borrow();
    let read: usize = audit.values().map(|contents| contents.read.len()).sum();
    println!(
        "{} published, {} acknowledged, {read} read",
        history.publishes.len(),
        history.acked()
    );
    for (name, log) in &history.consumers {
        let (got, confirmed) = (log.deliveries.len(), log.confirmed.len());
        println!("{name}: {got} deliveries, {confirmed} confirmed");
    }
    for violation in oracle::judge(&history, &audit) {
        println!("{}: {}", violation.invariant, violation.text);
    }
}
