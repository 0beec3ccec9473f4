//! PINGs, stale connections and deadlines.

use core::time::Duration;

use config::Options;
use protocol::errors::CloseReason;

use super::harness::{CONNECT, World, infos};
use crate::effects::Rules;

#[test]
fn the_second_info_comes_after_the_first_pong_and_only_then() {
    let mut world = World::new(Options::default());
    let a = world.accept(Rules::Nats);
    let first = world.hear(a);
    assert!(first.starts_with("INFO {") && first.ends_with("} \r\n"));
    assert!(!first.contains("connect_info"));
    let heard = world.ask(a, &alloc::format!("{CONNECT}PING\r\n"));
    assert!(heard.starts_with("PONG\r\nINFO {"), "{heard}");
    let second = infos(&heard).remove(0);
    assert!(second.contains("\"connect_info\":true,\"remote_account\":\"$G\""));
    assert_eq!(world.ask(a, "PING\r\n"), "PONG\r\n");
}

#[test]
fn old_clients_get_no_second_info() {
    let mut world = World::new(Options::default());
    let a = world.accept(Rules::Nats);
    world.hear(a);
    let heard = world.ask(a, "CONNECT {\"verbose\":false,\"protocol\":0}\r\nPING\r\n");
    assert_eq!(heard, "PONG\r\n");
}

#[test]
fn a_round_trip_is_measured_soon_after_the_login() {
    let mut world = World::new(Options::default());
    let a = world.client();
    world.wait(Duration::from_millis(1900));
    assert_eq!(world.hear(a), "");
    world.wait(Duration::from_millis(600));
    assert_eq!(world.hear(a), "PING\r\n");
    world.wait(Duration::from_millis(3));
    world.say(a, "PONG\r\n");
    let views = world.shard.conn_views(world.now);
    assert!(views[0].rtt >= Duration::from_millis(3));
}

#[test]
fn a_busy_connection_is_not_asked_for_signs_of_life() {
    let mut world = World::new(Options::default());
    let a = world.client();
    world.wait(Duration::from_secs(3));
    assert_eq!(world.ask(a, "PONG\r\n"), "PING\r\n");
    for _ in 0..60 {
        world.wait(Duration::from_secs(10));
        world.say(a, "PUB foo 1\r\nx\r\n");
    }
    assert_eq!(world.hear(a), "");
    assert_eq!(world.reason(a), None);
}

#[test]
fn a_connection_that_answers_no_ping_is_stale() {
    let mut world = World::new(Options::default());
    let a = world.client();
    world.wait(Duration::from_secs(600));
    assert_eq!(world.hear(a), "PING\r\nPING\r\n-ERR 'Stale Connection'\r\n");
    assert_eq!(world.reason(a), Some(CloseReason::StaleConnection));
    assert_eq!(world.shard.stats().stale_connections, 1);
}
