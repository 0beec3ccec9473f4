//! Dead letters and their time: none goes before it is over, each goes soon after, and none comes
//! back, whichever step the power goes at.

use core::time::Duration;

use super::{CONSUMER, Dark, FETCH, NEXT, Server, at_every_operation, lives};

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
        server.publish(1, "msg-id: m1", "x")?;
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
    let went = lives(server, |server| live(server, &mut seen));
    server.power_left = u64::MAX;
    assert!(server.boot().is_ok());
    seen.look(server);
    went
}

#[test]
fn a_letter_lives_as_long_as_its_time_whatever_the_power_does() {
    at_every_operation(1..3, 20, run);
}
