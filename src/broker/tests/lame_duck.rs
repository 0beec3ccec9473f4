//! Leaving in lame duck mode.

use core::time::Duration;

use config::Options;
use protocol::errors::CloseReason;

use super::harness::{CONNECT, World, infos};
use crate::effects::{Input, Rules};

fn world() -> World {
    World::new(Options {
        lame_duck_grace_period: Duration::from_secs(10),
        lame_duck_duration: Duration::from_secs(40),
        ping_interval: Duration::from_secs(3600),
        ..Options::default()
    })
}

#[test]
fn clients_who_understand_are_told_once_to_go_elsewhere() {
    let mut world = world();
    let new = world.client();
    world.ask(new, "PING\r\n");
    let old = world.accept(Rules::Nats);
    world.ask(
        old,
        "CONNECT {\"verbose\":false,\"protocol\":0}\r\nPING\r\n",
    );
    let ungreeted = world.accept(Rules::Nats);
    world.ask(ungreeted, CONNECT);
    world.input(Input::LameDuck);
    world.input(Input::LameDuck);
    let heard = infos(&world.hear(new));
    assert_eq!(heard.len(), 1);
    assert!(heard[0].contains("\"ldm\":true"), "{heard:?}");
    assert_eq!(world.hear(old), "");
    assert_eq!(world.hear(ungreeted), "");
}

#[test]
fn clients_leave_one_after_the_other_when_the_time_of_grace_is_over() {
    let mut world = world();
    let clients = [world.client(), world.client(), world.client()];
    world.input(Input::LameDuck);
    let gone = |world: &World| {
        let reasons = clients.iter().map(|id| world.reason(*id));
        reasons
            .filter(|reason| *reason == Some(CloseReason::ServerShutdown))
            .count()
    };
    world.wait(Duration::from_secs(9));
    assert_eq!(gone(&world), 0);
    world.wait(Duration::from_secs(2));
    assert_eq!(gone(&world), 1);
    world.wait(Duration::from_secs(10));
    assert_eq!(gone(&world), 2);
    world.wait(Duration::from_secs(10));
    assert_eq!(gone(&world), 3);
}
