//! The conversations that the REST gateway holds for its sessions, which end with the process: what
//! it was told is stored is there once; what it has handed out never comes again; what it had and
//! could not hand out is a dead letter, whichever step the power goes at.

use core::time::Duration;
use std::collections::BTreeSet;

use super::{Dark, Server, at_every_operation, is_lie_noticed, lives};

const STATION: &str = "{\"name\":\"plain.a\",\"partitions_number\":1,\"username\":\"root\"}";
const CONSUMER: &str = "{\"name\":\"c\",\"station_name\":\"plain.a\",\"connection_id\":\"u1\",\
                        \"consumer_type\":\"application\",\"consumers_group\":\"g-rest-gateway\",\
                        \"max_ack_time_ms\":30000,\"max_msg_deliveries\":1,\"req_version\":4,\
                        \"sdk_lang\":\"rest\",\"username\":\"root\"}";
const NEXT: &str = "$JS.API.CONSUMER.MSG.NEXT.plain#a$1.g-rest-gateway";
const FETCH: &str = "{\"batch\":2,\"expires\":100000000}";
const MESSAGES: usize = 5;

/// What those who use the gateway have seen.
#[derive(Debug, Default)]
struct Seen {
    stored: usize,
    /// Acknowledgements that were sent, whether or not their confirmation came.
    acked: BTreeSet<String>,
    handed_out: BTreeSet<String>,
}

/// Stores what is not known to be stored, takes batches, and hands out what is acknowledged for good.
fn converse(server: &mut Server, seen: &mut Seen) -> Result<(), Dark> {
    let made = server.ask("$memphis_station_creations", STATION)?;
    assert_eq!(made, "MSG in.1 1 0\r\n\r\n");
    while seen.stored < MESSAGES {
        let body = format!("m{}", seen.stored);
        server.publish(1, &format!("msg-id: {body}"), &body)?;
        seen.stored += 1;
    }
    let joined = server.ask("$memphis_consumer_creations", CONSUMER)?;
    assert!(joined.contains("\"error\":\"\""), "{joined}");
    loop {
        let batch = delivered(&server.ask(NEXT, FETCH)?);
        if batch.is_empty() {
            break;
        }
        for (ack, body) in batch {
            seen.acked.insert(body.clone());
            let told = server.ask(&ack, "+ACK")?;
            assert!(told.contains("MSG in.1"), "the ack is confirmed: {told}");
            let is_new = seen.handed_out.insert(body.clone());
            assert!(is_new, "{body} was handed out before");
        }
    }
    // What the gateway had when the power went is given up after its time.
    for _ in 0..3 {
        server.wait(Duration::from_secs(20))?;
        server.say("PONG\r\n")?;
        server.ask(NEXT, FETCH)?;
    }
    Ok(())
}

/// Returns the acks and bodies of what was delivered.
fn delivered(heard: &str) -> Vec<(String, String)> {
    let mut lines = heard.split("\r\n");
    let mut messages = Vec::new();
    while let Some(line) = lines.next() {
        let ack = line.split(' ').find(|token| token.starts_with("$JS.ACK."));
        if let (Some(ack), true) = (ack, line.starts_with("HMSG ")) {
            let body = lines.find(|line| line.starts_with('m') && !line.contains(':'));
            let body = body.expect("a message has a body");
            messages.push((ack.to_owned(), body.to_owned()));
        }
    }
    messages
}

/// Each message was handed out, or is a dead letter, and none is both; but for what was
/// acknowledged as the power went, before anybody could be told.
fn check(server: &Server, seen: &Seen) {
    let rows = server.rows();
    let dead: BTreeSet<u64> = rows.dead_letters.iter().map(|(_, dead)| dead.seq).collect();
    assert_eq!(
        dead.len(),
        rows.dead_letters.iter().count(),
        "recorded once"
    );
    for number in 0..MESSAGES {
        let is_out = seen.handed_out.contains(&format!("m{number}"));
        let is_dead = dead.contains(&(number as u64 + 1));
        assert!(!(is_out && is_dead), "m{number} is both: {seen:?} {dead:?}");
        let is_acked = seen.acked.contains(&format!("m{number}"));
        assert!(is_acked || is_dead, "m{number} is lost: {seen:?} {dead:?}");
    }
}

fn run(server: &mut Server) -> bool {
    let mut seen = Seen::default();
    let went = lives(server, |server| {
        server.boot()?;
        converse(server, &mut seen)
    });
    check(server, &seen);
    went
}

#[test]
fn power_loss_between_any_two_steps_of_the_gateway() {
    at_every_operation(1..4, 20, run);
}

#[test]
fn a_gateway_that_hands_out_before_it_is_safe_is_noticed() {
    assert!(is_lie_noticed(10..80, run));
}
