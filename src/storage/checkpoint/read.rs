//! Reading a checkpoint in bounded pieces: its head, its end, and then its sections in the order of
//! their keys, wherever they lie.
//!
//! Each file that sections lie in was written in the order of the keys, so that each is read once from
//! front to back, through a window of its own.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;
use protocol::store::SectionKey;

use super::parity::Parity;
use super::{Head, SectionPlace};
use crate::correct::Corrector;
use crate::op::FileName;
use crate::record::{Kind, Parsed, Site, padded, parse};
use crate::vault::Vault;

/// How many bytes all windows take together, about.
const WINDOWS_LEN: u64 = 16 << 20;
/// The least length of a window.
const WINDOW_LEN_MIN: u64 = 64 << 10;

/// What a section that cannot be had means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The checkpoint is given up: there is another to try.
    Whole,
    /// It is told as lost, unless it can be made good, and the others are read.
    Salvage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Head,
    End,
    Sections,
    /// Reading a file that a damaged section lies in, with its parity, up to this offset.
    Parity {
        file: u64,
        upto: u64,
    },
}

/// A checkpoint being read.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) number: u64,
    /// The lengths of the files that sections may lie in.
    files: BTreeMap<u64, u64>,
    piece: u64,
    /// How much is read at once of each file.
    window: u64,
    rule: Rule,
    step: Step,
    asked: (u64, u64, u64),
    head: Head,
    queue: VecDeque<(SectionKey, SectionPlace)>,
    /// Per file, what has been read of it last, and from where.
    windows: BTreeMap<u64, (u64, Bytes)>,
    /// Sections that have been read, to be handed out.
    pub(crate) found: VecDeque<(SectionKey, Bytes)>,
    /// Sections that cannot be had.
    pub(crate) lost: Vec<(SectionKey, SectionPlace)>,
    /// Sections that have been put right.
    pub(crate) corrected: Vec<(SectionKey, SectionPlace)>,
    corrector: Corrector,
    /// What the parity may be of files that damaged sections lie in, if they have any.
    parity: BTreeMap<u64, Vec<Parity>>,
}

/// What reading leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Read this much at this offset.
    More {
        file: FileName,
        offset: u64,
        len: u32,
    },
    /// Everything has been read.
    Done,
    /// Something is not there that was written with it: it was not finished, or is damaged.
    Broken,
    /// Something is not there that lies in the file of a checkpoint before, which was finished.
    Damaged,
}

impl Reader {
    /// `files` are the lengths of all checkpoints by number.
    pub(crate) fn new(number: u64, files: BTreeMap<u64, u64>, piece: u32, rule: Rule) -> Self {
        Self {
            number,
            files,
            piece: u64::from(piece),
            window: 0,
            rule,
            step: Step::Head,
            asked: (number, 0, 0),
            head: Head::default(),
            queue: VecDeque::new(),
            windows: BTreeMap::new(),
            found: VecDeque::new(),
            lost: Vec::new(),
            corrected: Vec::new(),
            corrector: Corrector::new(),
            parity: BTreeMap::new(),
        }
    }

    /// Returns the file's length.
    pub(crate) fn len(&self) -> u64 {
        self.len_of(self.number)
    }

    /// Returns whether its head and its end are there, so that sections can be had.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.step, Step::Head | Step::End)
    }

    fn len_of(&self, file: u64) -> u64 {
        self.files.get(&file).copied().unwrap_or(0)
    }

    /// Takes the head of a checkpoint that has been read.
    pub(crate) fn take_head(&mut self) -> Head {
        mem::take(&mut self.head)
    }

    pub(crate) fn begin(&mut self) -> Read {
        self.ask(self.number, 0, self.piece).unwrap_or(Read::Broken)
    }

    /// Asks for up to `want` bytes; none if nothing is there.
    fn ask(&mut self, file: u64, offset: u64, want: u64) -> Option<Read> {
        let len = want.min(self.len_of(file).saturating_sub(offset));
        self.asked = (file, offset, len);
        (len > 0).then_some(Read::More {
            file: FileName::Checkpoint(file),
            offset,
            len: u32::try_from(len).unwrap_or(u32::MAX),
        })
    }

    pub(crate) fn handle(&mut self, bytes: Bytes, vault: &mut Vault) -> Read {
        match self.step {
            Step::Head => self.on_head(&bytes, vault),
            Step::End => self.on_end(&bytes, vault),
            Step::Sections => {
                let (file, offset, _) = self.asked;
                self.windows.insert(file, (offset, bytes));
                self.read_on(self.queue.front().map(|&(_, place)| place), vault)
            }
            Step::Parity { file, upto } => {
                self.on_parity(file, upto, &bytes);
                self.read_on(self.queue.front().map(|&(_, place)| place), vault)
            }
        }
    }

    fn on_head(&mut self, bytes: &Bytes, vault: &mut Vault) -> Read {
        let (_, _, asked) = self.asked;
        let site = Site::checkpoint(self.number, 0);
        match parse(bytes, site) {
            Parsed::Valid(record) if record.kind == Kind::Part => {
                let body = vault.contents(bytes, &record, site);
                match body.and_then(|body| Head::decode(&body)) {
                    Some(head) => self.head = head,
                    None => return Read::Broken,
                }
            }
            Parsed::Short { total } if total as u64 > asked => {
                let total = total as u64;
                let more = self.ask(self.number, 0, total);
                return more.filter(|_| self.len() >= total).unwrap_or(Read::Broken);
            }
            Parsed::Valid(_) | Parsed::Short { .. } | Parsed::Invalid => return Read::Broken,
        }
        self.step = Step::End;
        let end = self.ask(self.number, self.head.end, padded(0) as u64);
        end.unwrap_or(Read::Broken)
    }

    fn on_end(&mut self, bytes: &Bytes, vault: &mut Vault) -> Read {
        match parse(bytes, Site::checkpoint(self.number, self.head.end)) {
            Parsed::Valid(record) if record.kind == Kind::End => {}
            Parsed::Valid(_) | Parsed::Short { .. } | Parsed::Invalid => return Read::Broken,
        }
        self.step = Step::Sections;
        self.queue = self.head.sections.iter().collect();
        let files = self.head.sections.files().len().max(1) as u64;
        let least = WINDOW_LEN_MIN.min(self.piece);
        self.window = (WINDOWS_LEN / files).clamp(least, self.piece);
        self.read_on(None, vault)
    }

    /// Hands out sections until one has to be read, or enough for one turn; `asked` is the one whose
    /// window has just been read.
    fn read_on(&mut self, asked: Option<SectionPlace>, vault: &mut Vault) -> Read {
        let mut handed = 0;
        while let Some(&(key, place)) = self.queue.front() {
            // What comes after enough for one turn is read again, though it may be there.
            let known = (handed <= self.piece)
                .then(|| self.look(place, vault))
                .flatten();
            if let Some(body) = known {
                handed += body.len() as u64;
                self.found.push_back((key, body));
            } else {
                let want = self.window.max(place.total());
                let more = self.ask(place.file, place.offset, want);
                if asked != Some(place)
                    && let Some(more) = more
                {
                    return more;
                }
                if let Some(more) = self.ask_parity(place.file) {
                    return more;
                }
                match self.correct(place, vault) {
                    Some(body) => {
                        self.corrected.push((key, place));
                        self.found.push_back((key, body));
                    }
                    None => self.lost.push((key, place)),
                }
            }
            if self.rule == Rule::Whole && !self.lost.is_empty() {
                return self.give_up(place.file);
            }
            self.queue.pop_front();
        }
        Read::Done
    }

    /// A section that lies in this file cannot be had.
    fn give_up(&mut self, file: u64) -> Read {
        if file != self.number {
            return Read::Damaged;
        }
        // Whether that was torn when it was written or has rotted since, the log knows.
        self.lost.clear();
        Read::Broken
    }

    /// Returns what lies in a window at a section's place and behind it.
    fn window_at(&self, place: SectionPlace) -> Option<Bytes> {
        let (start, bytes) = self.windows.get(&place.file)?;
        let at = usize::try_from(place.offset.checked_sub(*start)?).ok()?;
        (at <= bytes.len()).then(|| bytes.slice(at..))
    }

    /// Returns a section that lies in a window and is whole.
    fn look(&self, place: SectionPlace, vault: &mut Vault) -> Option<Bytes> {
        contents(&self.window_at(place)?, place, vault)
    }

    /// Asks for what is still to be read of a file with a damaged section, so that its parity is known. Where
    /// there is another checkpoint to try, that one is whole as it is.
    fn ask_parity(&mut self, file: u64) -> Option<Read> {
        if self.rule == Rule::Whole {
            return None;
        }
        let upto = match self.step {
            Step::Parity { upto, .. } => upto,
            Step::Head | Step::End | Step::Sections if self.parity.contains_key(&file) => {
                return None;
            }
            Step::Head | Step::End | Step::Sections => {
                let parity = Parity::of_file(self.len_of(file));
                let has_parity = !parity.is_empty();
                self.parity.insert(file, parity);
                if !has_parity {
                    return None;
                }
                0
            }
        };
        let more = self.ask(file, upto, self.piece);
        self.step = match more {
            Some(_) => Step::Parity { file, upto },
            None => Step::Sections,
        };
        more
    }

    /// Takes what lies at `upto` of a file with a damaged section.
    fn on_parity(&mut self, file: u64, upto: u64, bytes: &[u8]) {
        for parity in self.parity.get_mut(&file).into_iter().flatten() {
            parity.add(upto, bytes);
        }
        let (_, _, asked) = self.asked;
        let upto = upto.saturating_add(asked);
        self.step = Step::Parity { file, upto };
    }

    /// Returns a section that lies in a window, damaged, if parity or the trial of each bit makes it good.
    fn correct(&mut self, place: SectionPlace, vault: &mut Vault) -> Option<Bytes> {
        if self.rule == Rule::Whole {
            return None;
        }
        let found = self.window_at(place)?;
        let mut parities = self.parity.get_mut(&place.file).into_iter().flatten();
        let good = parities.find_map(|parity| parity.make_good(&found, place));
        let record = good.or_else(|| {
            let site = Site::checkpoint(place.file, place.offset);
            self.corrector.correct(&found, place.len, site)
        })?;
        contents(&record.into(), place, vault)
    }
}

/// Returns a section whose record `bytes` begin with, if that is whole.
fn contents(bytes: &Bytes, place: SectionPlace, vault: &mut Vault) -> Option<Bytes> {
    let site = Site::checkpoint(place.file, place.offset);
    match parse(bytes, site) {
        Parsed::Valid(record)
            if record.kind == Kind::Part && record.body.len() == place.len as usize =>
        {
            vault.contents(bytes, &record, site)
        }
        Parsed::Valid(_) | Parsed::Short { .. } | Parsed::Invalid => None,
    }
}

/// Returns the numbers of the checkpoints in `files`, the newest first.
pub(crate) fn newest_first(files: &[(FileName, u64)]) -> Vec<(u64, u64)> {
    let mut found: Vec<(u64, u64)> = files
        .iter()
        .filter_map(|&(name, len)| match name {
            FileName::Checkpoint(number) => Some((number, len)),
            FileName::Log(_) | FileName::Segment { .. } => None,
        })
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}
