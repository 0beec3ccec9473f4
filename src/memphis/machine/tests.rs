//! Whole requests against a host that plays log and JetStream.

mod abuse;
mod alerts;
mod crashes;
mod dead_letters;
mod groups;
mod logs;
mod managing;
mod people;
mod producers;
mod pulse;
mod schemas;
mod stations;
mod tiering;
mod world;
