//! Streams that a NATS client has made become a station: what they hold stays, the station is there
//! or not, and it is made once, whichever step the power goes at.

use broker::Rules;
use memphis::book::Phase;

use super::{CONSUMER, Dark, FETCH, NEXT, Server, at_every_operation, is_lie_noticed, lives};

const ADOPT: &str = "{\"name\":\"plain.a\",\"partitions_number\":2,\"adopt\":true,\"owner\":\"app\",\
                     \"dls_station\":\"dead\"}";
const MADE: &str = "Station plain.a has been created by user app";
const PARTITIONS: [u32; 2] = [1, 2];

/// How far it has been told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    #[default]
    Nothing,
    Streams,
    Stored,
    Adopted,
    Joined,
    StoredAgain,
}

/// What must hold after each start.
fn check(server: &Server, step: Step) {
    if step >= Step::Streams {
        assert_eq!(server.partitions(), PARTITIONS.len(), "{step:?}");
    }
    let streams = server.shard.jetstream().expect("JetStream is on").streams();
    let of_station = streams.filter(|stream| stream.core.name().starts_with("plain#a$"));
    let messages: u64 = of_station.map(|stream| stream.core.state(0).messages).sum();
    let (least, most) = match step {
        Step::Nothing | Step::Streams => (0, 2),
        Step::Stored | Step::Adopted | Step::Joined => (2, 3),
        Step::StoredAgain => (3, 3),
    };
    assert!(
        (least..=most).contains(&messages),
        "{step:?}: {messages} messages"
    );
    let rows = server.rows();
    let row = rows.stations.get("plain.a");
    let is_adopted = row.is_some_and(|row| row.station.is_some());
    assert!(is_adopted || step < Step::Adopted, "{step:?}");
    let lines = rows.trails.of("plain.a");
    let made = lines.filter(|line| line.message == MADE).count();
    assert_eq!(made, usize::from(is_adopted), "it is made once");
    if let Some(row) = row {
        assert_eq!(row.phase, Phase::Whole, "there is nothing half about it");
        let is_joined = row.groups.contains_key("grp.x");
        assert!(is_joined || step < Step::Joined, "{step:?}");
    }
}

fn converse(server: &mut Server, step: &mut Step) -> Result<(), Dark> {
    if *step < Step::Stored {
        let sdk = server.client;
        server.meet(Rules::Nats)?;
        server.say("CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB in.* 1\r\n")?;
        make_and_fill(server, step)?;
        server.client = sdk;
    }
    if *step < Step::Adopted {
        let told = server.ask("$memphis_api.stations.createStation", ADOPT)?;
        let was_made = told.contains("Station plain.a already exists");
        assert!(was_made || told.contains("\"status\":200"), "{told}");
        *step = Step::Adopted;
    }
    if *step < Step::Joined {
        let told = server.ask("$memphis_consumer_creations", CONSUMER)?;
        assert!(told.contains("\"error\":\"\""), "{told}");
        assert!(told.contains("\"partitions_list\":[1,2]"), "{told}");
        *step = Step::Joined;
    }
    if *step < Step::StoredAgain {
        store(server, 1, "of-memphis")?;
        *step = Step::StoredAgain;
    }
    Ok(())
}

/// Makes the streams and stores a message in each, as a NATS client.
fn make_and_fill(server: &mut Server, step: &mut Step) -> Result<(), Dark> {
    for number in PARTITIONS {
        let name = format!("plain#a${number}");
        let config = format!("{{\"name\":\"{name}\",\"subjects\":[\"{name}.>\"]}}");
        let made = server.ask(&format!("$JS.API.STREAM.CREATE.{name}"), &config)?;
        assert!(made.contains("\"config\""), "{made}");
    }
    *step = (*step).max(Step::Streams);
    for number in PARTITIONS {
        store(server, number, &format!("of-nats-{number}"))?;
    }
    *step = Step::Stored;
    Ok(())
}

/// Stores a message once, however often it is tried: its id is its body.
fn store(server: &mut Server, partition: u32, body: &str) -> Result<(), Dark> {
    server.publish(partition, &format!("Nats-Msg-Id: {body}"), body)?;
    Ok(())
}

/// Holds the conversation with the power going on the way; says whether it went.
fn run(server: &mut Server) -> bool {
    let mut step = Step::default();
    let went = lives(server, |server| {
        server.boot()?;
        check(server, step);
        converse(server, &mut step)
    });
    check(server, step);
    server.power_left = u64::MAX;
    // The group has what was there before the station was.
    let got = server.ask(NEXT, FETCH).map_err(|Dark| "dark");
    assert!(got.is_ok_and(|got| got.contains("of-nats-1")));
    let got = server.ask(NEXT, FETCH).map_err(|Dark| "dark");
    assert!(got.is_ok_and(|got| got.contains("of-memphis")));
    went
}

#[test]
fn power_loss_between_any_two_steps_of_an_adoption() {
    at_every_operation(1..5, 20, run);
}

#[test]
fn a_disk_that_forgets_an_adoption_is_noticed() {
    assert!(is_lie_noticed(10..60, run));
}
