//! The beat: traffic, and pages that are watched.

use core::time::Duration;

use serde_json::{Value, json};

use super::world::{World, station};
use crate::machine::WEB_USER;
use crate::manage::TrafficFacts;

const BEAT: Duration = Duration::from_secs(5);

impl World {
    fn beat(&mut self) {
        self.pass(BEAT);
        self.memphis.handle_timeout(&mut self.host);
        self.run();
    }
}

#[test]
fn the_overview_shows_what_went_in_and_out() {
    let mut world = World::new();
    world.beat();
    world.host.traffic = TrafficFacts {
        received: 500,
        sent: 50,
    };
    world.beat();
    let shown = world.manage("monitoring/getMainOverviewData", &json!({}));
    let throughput = &shown["brokers_throughput"];
    for (i, name) in ["total", "memphis-0"].into_iter().enumerate() {
        assert_eq!(throughput[i]["name"], name);
        assert_eq!(throughput[i]["write"][1]["write"], 100, "{throughput}");
        assert_eq!(throughput[i]["read"][1]["read"], 10, "{throughput}");
    }
}

#[test]
fn a_page_is_pushed_every_20_seconds_while_somebody_listens() {
    const TOPIC: &str = "$memphis_ws_pubs.station_overview_data.plain#a.-1.memphis-0";
    let mut world = World::new();
    world.manage("stations/createStation", &station("plain.a", 2));
    let asked = "$memphis_ws_subs.station_overview_data.plain#a.-1";
    let told = world.ask_as(WEB_USER, asked, &Value::Null);
    assert_eq!(told, r#"{"name":"memphis-0"}"#);
    world.beat();
    assert!(world.take_published(TOPIC).is_empty(), "nobody listens");
    world.host.listened.push(TOPIC.into());
    world.beat();
    let page = world.take_published(TOPIC).pop().expect("pushed");
    let page: Value = serde_json::from_str(&page.body).expect("JSON");
    let asked = json!({"station_name": "plain.a"});
    assert_eq!(
        page,
        world.manage("monitoring/getStationOverviewData", &asked)
    );
    let pushes = |world: &mut World| -> usize {
        (0..8)
            .map(|_| {
                world.beat();
                world.take_published(TOPIC).len()
            })
            .sum()
    };
    assert_eq!(pushes(&mut world), 2, "in 40 seconds");
    // Who comes back after everybody has left has to ask again.
    world.host.listened.clear();
    assert_eq!(pushes(&mut world), 0);
    world.host.listened.push(TOPIC.into());
    assert_eq!(pushes(&mut world), 0);
}

#[test]
fn others_do_not_watch_and_no_other_topics_are_watched() {
    let mut world = World::new();
    let overview = "$memphis_ws_subs.main_overview_data";
    for (user, subject) in [
        ("app", overview),
        ("", overview),
        ("root", "$memphis_ws_subs.x"),
    ] {
        let told = world.ask_as(user, subject, &Value::Null);
        assert!(told.contains("error"), "{user} {subject}: {told}");
    }
}
