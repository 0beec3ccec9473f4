//! Users, tags and the audit trail of an account.
//!
//! *Invariant:* a user's secret is kept as it is given: whoever asks for a user has hashed it already.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Tenant;
use super::ids::Numbered;

/// The user that is always there, and has no row.
pub(crate) const ROOT: &str = "root";
/// Most lines of a station's audit trail.
const AUDIT_MAX: usize = 1000;
/// How long lines are kept: three days.
const AUDIT_KEPT_NS: u64 = 3 * 86_400 * 1_000_000_000;

/// What a user may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserKind {
    /// Connects as a client.
    #[default]
    Application,
    /// Manages, and does not connect as a client.
    Management,
    /// The one that is always there, and may do both.
    Root,
}

impl UserKind {
    /// Returns the name that users see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Management => "management",
            Self::Root => "root",
        }
    }
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRow {
    /// What it may do.
    pub kind: UserKind,
    /// The password, hashed.
    pub secret: String,
    /// Which stations it may use.
    pub permissions: Permissions,
    /// What people say about it: `full_name`, `team`, `position`, `owner`, `description`.
    pub about: BTreeMap<String, String>,
    /// Its picture.
    pub avatar_id: i64,
    /// When it was made, in nanoseconds since 1970.
    pub created: u64,
}

/// Patterns of the stations that a user may read from and write to. No pattern at all allows everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Permissions {
    /// May consume from these.
    pub allow_read: Vec<String>,
    /// May produce to these.
    pub allow_write: Vec<String>,
    /// May not consume from these, whatever is allowed.
    pub deny_read: Vec<String>,
    /// May not produce to these, whatever is allowed.
    pub deny_write: Vec<String>,
}

impl Permissions {
    /// Says whether a station may be consumed from.
    #[must_use]
    pub fn may_read(&self, station: &str) -> bool {
        may(&self.allow_read, &self.deny_read, station)
    }

    /// Says whether a station may be produced to.
    #[must_use]
    pub fn may_write(&self, station: &str) -> bool {
        may(&self.allow_write, &self.deny_write, station)
    }
}

fn may(allow: &[String], deny: &[String], station: &str) -> bool {
    let is_of = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, station));
    !is_of(deny) && (allow.is_empty() || is_of(allow))
}

/// Says whether a pattern names a station: `*` stands for one part between dots.
fn fits(pattern: &str, station: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let (mut wanted, mut parts) = (pattern.split('.'), station.split('.'));
    loop {
        match (wanted.next(), parts.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(part)) if wanted == part => {}
            (Some(_) | None, _) => return false,
        }
    }
}

/// A tag, and what carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Its colour, as three numbers.
    pub color: String,
    /// The stations that carry it.
    pub stations: BTreeSet<String>,
    /// The schemas that carry it.
    pub schemas: BTreeSet<String>,
    /// The users that carry it.
    pub users: BTreeSet<String>,
}

/// What can carry a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tagged {
    /// A station.
    Station,
    /// A schema.
    Schema,
    /// A user.
    User,
}

impl Tag {
    /// Returns the names of what carries it, of one kind.
    #[must_use]
    pub(crate) fn carriers(&self, kind: Tagged) -> &BTreeSet<String> {
        match kind {
            Tagged::Station => &self.stations,
            Tagged::Schema => &self.schemas,
            Tagged::User => &self.users,
        }
    }

    pub(super) fn carriers_mut(&mut self, kind: Tagged) -> &mut BTreeSet<String> {
        match kind {
            Tagged::Station => &mut self.stations,
            Tagged::Schema => &mut self.schemas,
            Tagged::User => &mut self.users,
        }
    }

    /// Says whether anything carries it.
    #[must_use]
    pub fn is_used(&self) -> bool {
        !(self.stations.is_empty() && self.schemas.is_empty() && self.users.is_empty())
    }
}

/// What changes about users and tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeopleChange {
    /// A user was made or changed.
    User(String, UserRow),
    /// A user is gone.
    UserGone(String),
    /// A tag was made, with its colour.
    Tag(String, String),
    /// A tag is gone.
    TagGone(String),
    /// Something carries other tags.
    Tagged {
        /// What kind of thing.
        kind: Tagged,
        /// Its name.
        name: String,
        /// Tags that it carries now.
        add: Vec<String>,
        /// Tags that it no longer carries.
        remove: Vec<String>,
    },
}

impl Tenant {
    pub(super) fn apply_people(&mut self, change: PeopleChange) {
        match change {
            PeopleChange::User(name, user) => {
                let others = self.users.keys().map(String::as_str).chain([ROOT]);
                self.ids.settle(Numbered::User, &name, others);
                self.users.insert(name, user);
            }
            PeopleChange::UserGone(name) => {
                self.users.remove(&name);
                self.ids.forget(Numbered::User, &name);
                self.untag(Tagged::User, &name);
            }
            PeopleChange::Tag(name, color) => self.tag_named(&name).color = color,
            PeopleChange::TagGone(name) => {
                self.tags.remove(&name);
                self.ids.forget(Numbered::Tag, &name);
            }
            PeopleChange::Tagged {
                kind,
                name,
                add,
                remove,
            } => self.tag(kind, &name, &add, &remove),
        }
    }

    /// Returns a tag, which is made if there is none of that name.
    pub(super) fn tag_named(&mut self, name: &str) -> &mut Tag {
        if !self.tags.contains_key(name) {
            let others = self.tags.keys().map(String::as_str);
            self.ids.settle(Numbered::Tag, name, others);
        }
        self.tags.entry(name.into()).or_default()
    }

    fn tag(&mut self, kind: Tagged, name: &str, add: &[String], remove: &[String]) {
        for tag in add {
            let tag = self.tag_named(tag);
            tag.carriers_mut(kind).insert(name.into());
        }
        for tag in remove {
            if let Some(tag) = self.tags.get_mut(tag) {
                tag.carriers_mut(kind).remove(name);
            }
        }
    }

    /// Takes all tags off something that is gone.
    pub(super) fn untag(&mut self, kind: Tagged, name: &str) {
        for tag in self.tags.values_mut() {
            tag.carriers_mut(kind).remove(name);
        }
    }
}

/// A line of a station's audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// What happened.
    pub message: String,
    /// Who did it.
    pub username: String,
    /// When, in nanoseconds since 1970.
    pub time: u64,
}

/// The audit trails of an account's stations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trails {
    by_station: BTreeMap<String, VecDeque<Audit>>,
}

impl Trails {
    /// Returns a station's trail, oldest line first.
    pub fn of(&self, station: &str) -> impl DoubleEndedIterator<Item = &Audit> {
        self.by_station.get(station).into_iter().flatten()
    }

    pub(super) fn note(&mut self, station: &str, line: Audit) {
        let trail = self.by_station.entry(station.into()).or_default();
        let before = line.time.saturating_sub(AUDIT_KEPT_NS);
        while trail.len() >= AUDIT_MAX || trail.front().is_some_and(|line| line.time < before) {
            trail.pop_front();
        }
        trail.push_back(line);
    }

    pub(super) fn forget(&mut self, station: &str) {
        self.by_station.remove(station);
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    fn permissions(allow: &[&str], deny: &[&str]) -> Permissions {
        let list = |patterns: &[&str]| -> Vec<String> {
            patterns
                .iter()
                .map(|pattern| String::from(*pattern))
                .collect()
        };
        Permissions {
            allow_read: list(allow),
            deny_read: list(deny),
            ..Permissions::default()
        }
    }

    #[test]
    fn no_patterns_allow_everything_and_a_denial_counts_more() {
        assert!(permissions(&[], &[]).may_read("orders.eu"));
        let some = permissions(&["orders.*"], &["orders.us"]);
        assert!(some.may_read("orders.eu") && !some.may_read("orders.us"));
        assert!(!some.may_read("orders") && !some.may_read("orders.eu.x"));
        assert!(some.may_write("anything"));
        assert!(!permissions(&[], &["*"]).may_read("a.b"));
    }
}
