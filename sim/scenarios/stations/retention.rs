//! Dead letters and their time: none goes before it is over, each goes soon after, and none comes back, whichever step
//! the power goes at.

use core::time::Duration;

use super::{CONSUMER, Dark, FETCH, LIVES_MAX, NEXT, Server};

const HOUR: Duration = Duration::from_secs(3600);
const STATION: &str = "{\"name\":\"plain.a\",\"partitions_number\":1,\"username\":\"root\",\
                       \"retention_type\":\"messages\",\"retention_value\":100}";

/// What has been seen so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    stored: bool,
    /// When the letter was first there, in nanoseconds since 1970.
    died: Option<u64>,
    gone: bool,
}

impl Seen {
    fn look(&mut self, server: &Server) {
        let rows = server.rows();
        let letters = rows.dead_letters.iter().count();
        assert!(letters <= 1, "recorded once");
        let now = server.now.wall.0;
        let age = self.died.map(|died| Duration::from_nanos(now - died));
        match (letters, age) {
            (0, None) => {}
            (0, Some(age)) => {
                assert!(age >= 3 * HOUR, "gone after {age:?}");
                self.gone = true;
            }
            (_, None) => self.died = Some(now),
            (_, Some(age)) => {
                assert!(!self.gone, "it has come back");
                // It is looked for every few minutes.
                assert!(age < 4 * HOUR, "still there after {age:?}");
            }
        }
    }
}

fn live(server: &mut Server, seen: &mut Seen) -> Result<(), Dark> {
    server.boot()?;
    seen.look(server);
    server.ask("$memphis_station_creations", STATION)?;
    server.ask("$memphis_consumer_creations", CONSUMER)?;
    if !seen.stored {
        let header = "NATS/1.0\r\nmsg-id: m1\r\n\r\n";
        let (head, all) = (header.len(), header.len() + 1);
        server.say(&format!(
            "HPUB plain#a$1.final in.1 {head} {all}\r\n{header}x\r\n"
        ))?;
        seen.stored = true;
    }
    while !seen.gone {
        server.ask(NEXT, FETCH)?;
        server.wait(Duration::from_secs(2))?;
        seen.look(server);
        for _ in 0..15 {
            server.wait(Duration::from_secs(60))?;
            // It is there, as the server's pings ask.
            server.say("PONG\r\n")?;
            seen.look(server);
        }
    }
    Ok(())
}

fn run(server: &mut Server) -> bool {
    let mut seen = Seen::default();
    let mut went = false;
    for _ in 0..LIVES_MAX {
        match live(server, &mut seen) {
            Ok(()) => break,
            Err(Dark) => went = true,
        }
    }
    assert!(seen.gone, "its time is over");
    server.power_left = u64::MAX;
    assert!(server.boot().is_ok());
    seen.look(server);
    went
}

#[test]
fn a_letter_lives_as_long_as_its_time_whatever_the_power_does() {
    for seed in 1..3 {
        let mut power = 0;
        while run(&mut Server::new(seed, power)) {
            power += 1;
        }
        assert!(
            power > 20,
            "a run without a power loss proves nothing: {power}"
        );
    }
}
