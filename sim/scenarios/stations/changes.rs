//! What changes while a station lives, and its end: a schema's version counts for all or for none,
//! a removed station leaves nothing, whichever step the power goes at.

use memphis::book::Phase;

use super::{
    Dark, SCHEMA, STATION, Server, Told, at_every_operation, is_lie_noticed, lives, notices,
};

const STRICTER: &str =
    "{\"schema_name\":\"sch\",\"schema_content\":\"{\\\"required\\\":[\\\"id\\\",\\\"no\\\"]}\"}";
const ACTIVATE: &str = "{\"schema_name\":\"sch\",\"version_number\":2}";
const USE: &str = "{\"schema_name\":\"sch\",\"station_names\":[\"plain.a\"]}";
const REMOVE: &str = "{\"station_name\":\"plain.a\",\"username\":\"root\"}";

/// How far the change has been told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    #[default]
    Nothing,
    Made,
    Versioned,
    Activated,
    Followed,
    Removed,
}

/// What must hold after each start.
fn check(server: &Server, step: Step) {
    let rows = server.rows();
    let row = rows.stations.get("plain.a");
    let is_whole = row.is_some_and(|row| row.phase == Phase::Whole);
    assert_eq!(
        server.partitions(),
        if is_whole { 3 } else { 0 },
        "{step:?}: whole or absent"
    );
    if step == Step::Removed {
        assert!(row.is_none(), "an acknowledged removal is one");
        assert!(
            rows.dead_letters.iter().next().is_none(),
            "of its letters, too"
        );
    } else if step > Step::Nothing && step < Step::Followed {
        assert!(is_whole, "{step:?}");
    }
    let Some(schema) = rows.schemas.get("sch") else {
        return assert!(
            step < Step::Made,
            "{step:?}: an acknowledged schema is there"
        );
    };
    let versions = schema.versions.len();
    assert!(
        (1..=2).contains(&versions),
        "a version is made once: {versions}"
    );
    assert!(versions == 2 || step < Step::Versioned, "{step:?}");
    let active = schema.version(schema.active);
    assert!(active.is_some(), "what counts is there");
    assert!(schema.active == 2 || step < Step::Activated, "{step:?}");
    if let Some(attached) = row.and_then(|row| row.schema.as_ref()) {
        assert!(
            schema.version(attached.version).is_some(),
            "what is followed is there"
        );
        assert!(attached.version == 2 || step < Step::Followed, "{step:?}");
    }
}

fn converse(server: &mut Server, step: &mut Step) -> Result<(), Dark> {
    let fine = |answer: &str| assert!(answer.contains("\"status\":200"), "{answer}");
    if *step < Step::Made {
        server.ask("$memphis_schema_creations", SCHEMA)?;
        let made = server.ask("$memphis_station_creations", STATION)?;
        assert_eq!(made, "MSG in.1 1 0\r\n\r\n");
        *step = Step::Made;
    }
    if *step < Step::Versioned {
        let made = server.ask("$memphis_api.schemas.createNewVersion", STRICTER)?;
        // It was made, and the power went before anybody was told.
        if !made.contains("already exists") {
            fine(&made);
        }
        *step = Step::Versioned;
    }
    if *step < Step::Activated {
        fine(&server.ask("$memphis_api.schemas.rollBackVersion", ACTIVATE)?);
        *step = Step::Activated;
    }
    if *step < Step::Followed {
        fine(&server.ask("$memphis_api.stations.useSchema", USE)?);
        *step = Step::Followed;
        let refused = server.ask("plain#a$1.final", "{\"id\":1}")?;
        assert!(
            refused.contains("Schema validation has failed"),
            "{refused}"
        );
    }
    if *step < Step::Removed {
        let removed = server.ask("$memphis_station_destructions", REMOVE)?;
        let was_gone = removed.contains("does not exist");
        assert!(was_gone || removed == "MSG in.1 1 0\r\n\r\n", "{removed}");
        *step = Step::Removed;
    }
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
    went
}

#[test]
fn power_loss_between_any_two_steps_of_a_change_and_a_removal() {
    at_every_operation(1..5, 30, run);
}

#[test]
fn a_disk_that_forgets_changes_is_noticed() {
    assert!(is_lie_noticed(20..60, run));
    // And so is who says that it was told more than it was.
    assert!(notices(|| {
        let mut server = Server::new(1, u64::MAX);
        assert!(server.boot().is_ok());
        check(&server, Step::Versioned);
    }));
    let told = Told {
        station: true,
        ..Told::default()
    };
    assert!(notices(move || {
        let mut server = Server::new(1, u64::MAX);
        assert!(server.boot().is_ok());
        server.check(told);
    }));
}
