//! Writing a checkpoint, one operation at a time.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::store::{SectionChange, SectionKey};

use super::parity::Parity;
use super::{Head, SectionPlace, Sections, group_keys};
use crate::ids::OpIds;
use crate::op::{DiskError, DiskOp, FileName, OpId};
use crate::record::{self, Form, HEAD, Kind, Site, padded};
use crate::vault::Vault;

/// How much goes into one write, but for a longer section.
const WRITE_LEN: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Creating,
    Writing,
    Syncing,
}

/// A checkpoint being written.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) number: u64,
    pub(crate) head: Head,
    /// The sections to be written, in the order of their keys.
    bodies: VecDeque<Bytes>,
    offset: u64,
    parity: Parity,
    form: Form,
    begun: bool,
    ended: bool,
    doing: (OpId, Step),
}

/// What an answer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Going,
    Done,
    /// Given up; the file is not a checkpoint.
    Full(DiskError),
    Failed(DiskError),
}

impl Writer {
    /// Begins the checkpoint `number`, whose head lacks the sections: those of the checkpoint before,
    /// with these changes.
    pub(crate) fn begin(
        number: u64,
        mut head: Head,
        before: &Sections,
        changes: &[SectionChange],
        form: Form,
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) -> Self {
        let (sections, bodies) = changed(before, changes, number);
        head.sections = sections;
        let mut offset = padded(head.encoded_len(head.sections.len()) + form.room()) as u64;
        for (&key, body) in &bodies {
            let place = SectionPlace {
                file: number,
                offset,
                len: section_len(body, form),
            };
            offset = place.end();
            head.sections.insert(key, place);
        }
        head.end = offset;
        let op = ids.take();
        let file = FileName::Checkpoint(number);
        ops.push(DiskOp::Create { op, file, len: 0 });
        Self {
            number,
            head,
            bodies: bodies.into_values().collect(),
            offset: 0,
            parity: Parity::new(offset + padded(0) as u64),
            form,
            begun: false,
            ended: false,
            doing: (op, Step::Creating),
        }
    }

    /// Returns the length of what is to be written, without what makes it good again.
    pub(crate) fn len(&self) -> u64 {
        self.head.end + padded(0) as u64
    }

    /// Returns the length of the file.
    pub(crate) fn file_len(&self) -> u64 {
        self.parity.file_len()
    }

    /// Takes the answer to the operation under way; `None` if it is to another.
    pub(crate) fn on_done(
        &mut self,
        op: OpId,
        result: Result<(), DiskError>,
        vault: &mut Vault,
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) -> Option<Outcome> {
        let (doing, step) = self.doing;
        if doing != op {
            return None;
        }
        Some(match (step, result) {
            (Step::Syncing, Ok(())) => Outcome::Done,
            (Step::Creating | Step::Writing, Ok(())) => {
                self.write(vault, ids, ops);
                Outcome::Going
            }
            (Step::Creating, Err(error))
            | (Step::Writing, Err(error @ (DiskError::NoSpace | DiskError::TooManyFiles))) => {
                Outcome::Full(error)
            }
            (Step::Writing | Step::Syncing, Err(error)) => Outcome::Failed(error),
        })
    }

    fn write(&mut self, vault: &mut Vault, ids: &mut OpIds, ops: &mut Vec<DiskOp>) {
        let (op, file) = (ids.take(), FileName::Checkpoint(self.number));
        if self.ended {
            self.doing = (op, Step::Syncing);
            ops.push(DiskOp::Sync { op, file });
            return;
        }
        let mut out = BytesMut::new();
        if !self.begun {
            self.begun = true;
            self.put_part(&mut out, vault, |out| self.head.encode(out));
        }
        while out.len() < WRITE_LEN
            && let Some(body) = self.bodies.pop_front()
        {
            self.put_part(&mut out, vault, |out| out.put_slice(&body));
        }
        if self.bodies.is_empty() && out.len() < WRITE_LEN {
            self.ended = true;
            self.put_end(&mut out);
        }
        self.parity.add(self.offset, &out);
        if self.ended {
            let end = self.offset + out.len() as u64;
            debug_assert_eq!(end, self.len(), "as the head says");
            self.parity.put(end, &mut out);
        }
        self.doing = (op, Step::Writing);
        let (data, offset) = (out.freeze(), self.offset);
        self.offset += data.len() as u64;
        ops.push(DiskOp::Write {
            op,
            file,
            offset,
            data,
        });
    }

    fn put_part(&self, out: &mut BytesMut, vault: &mut Vault, encode: impl FnOnce(&mut BytesMut)) {
        let at = out.len();
        out.put_bytes(0, HEAD);
        encode(out);
        let len = out.len() - at - HEAD + self.form.room();
        out.put_bytes(0, self.form.room() + padded(len) - HEAD - len);
        let site = Site::checkpoint(self.number, self.offset + at as u64);
        let record = out.get_mut(at..).unwrap_or_default();
        let len = u32::try_from(len).expect("heads and sections are far shorter");
        match self.form {
            Form::Clear => record::seal(record, len, site, Kind::Part),
            Form::Sealed => vault.seal(record, len, site, Kind::Part),
        }
    }

    fn put_end(&self, out: &mut BytesMut) {
        let at = out.len();
        out.put_bytes(0, padded(0));
        let site = Site::checkpoint(self.number, self.offset + at as u64);
        record::seal(out.get_mut(at..).unwrap_or_default(), 0, site, Kind::End);
    }
}

/// Returns the table after the changes, in which the places of what is to be written are yet to be
/// filled in, and what is to be written.
fn changed(
    before: &Sections,
    changes: &[SectionChange],
    number: u64,
) -> (Sections, BTreeMap<SectionKey, Bytes>) {
    let (mut sections, mut bodies) = (before.clone(), BTreeMap::new());
    for change in changes {
        match change {
            SectionChange::Put(key, body) => {
                bodies.insert(*key, body.clone());
            }
            SectionChange::Drop(key) => {
                bodies.remove(key);
                sections.remove(*key);
            }
            SectionChange::DropGroup(group) => {
                for key in group_keys(&bodies, *group) {
                    bodies.remove(&key);
                }
                sections.remove_group(*group);
            }
        }
    }
    for (&key, body) in &bodies {
        let place = SectionPlace {
            file: number,
            offset: 0,
            len: section_len(body, Form::Clear),
        };
        sections.insert(key, place);
    }
    (sections, bodies)
}

fn section_len(body: &Bytes, form: Form) -> u32 {
    u32::try_from(body.len() + form.room()).expect("a section is far shorter than a record may be")
}
