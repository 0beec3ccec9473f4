//! The archive of a stream while it is being read: a file that an import which was stopped goes on with.
//!
//! *Invariant:* the file ends with a whole record once it was opened, whatever ended the import before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use jetstream::archive::{self, Message, NoArchive, Scan};
use protocol::id::Seq;
use protocol::time::Wall;

const READ_LEN: usize = 256 << 10;

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpoolError {
    #[error("{path}: {error}", path = .path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path}: {error}", path = .path.display())]
    Foreign { path: PathBuf, error: NoArchive },
}

/// An archive on disk.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    file: File,
    messages: u64,
    last: Seq,
}

impl Spool {
    /// Opens the archive of a stream, or begins it: also if another stream of the name was archived.
    ///
    /// # Errors
    /// When the system refuses, or the file is something else.
    pub(super) fn open(folder: &Path, name: &str, created: Wall) -> Result<Self, SpoolError> {
        let path = folder.join(format!("{}.archive", file_name(name)));
        let failed = |error| SpoolError::Io {
            path: path.clone(),
            error,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        let mut scan = Scan::default();
        let mut piece = vec![0; READ_LEN];
        loop {
            let len = file.read(&mut piece).map_err(failed)?;
            let Some(read) = piece.get(..len).filter(|read| !read.is_empty()) else {
                break;
            };
            scan.push(read).map_err(|error| SpoolError::Foreign {
                path: path.clone(),
                error,
            })?;
        }
        let is_same = scan.stream() == Some((name.as_bytes(), created));
        let (messages, last) = if is_same {
            scan.messages()
        } else {
            (0, Seq(0))
        };
        let len = if is_same { scan.whole_len() } else { 0 };
        file.set_len(len).map_err(failed)?;
        file.seek(SeekFrom::Start(len)).map_err(failed)?;
        if !is_same {
            let mut start = BytesMut::new();
            archive::put_start(&mut start, name, created);
            file.write_all(&start).map_err(failed)?;
        }
        Ok(Self {
            path,
            file,
            messages,
            last,
        })
    }

    /// Returns how many messages there are, and the last one's number.
    pub(super) fn messages(&self) -> (u64, Seq) {
        (self.messages, self.last)
    }

    /// Appends messages.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn append(&mut self, messages: &[Message]) -> Result<(), SpoolError> {
        let mut records = BytesMut::new();
        for message in messages {
            archive::put_message(&mut records, message);
        }
        let written = self.file.write_all(&records);
        written.map_err(|error| self.failed(error))?;
        self.messages += messages.len() as u64;
        self.last = messages.last().map_or(self.last, |message| message.seq);
        Ok(())
    }

    /// Opens it for reading from its start.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn reader(&self) -> Result<File, SpoolError> {
        File::open(&self.path).map_err(|error| self.failed(error))
    }

    /// Says that the file cannot be read or written.
    pub(super) fn failed(&self, error: io::Error) -> SpoolError {
        SpoolError::Io {
            path: self.path.clone(),
            error,
        }
    }

    /// Removes it: it is of no more use.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn remove(self) -> Result<(), SpoolError> {
        fs::remove_file(&self.path).map_err(|error| self.failed(error))
    }
}

/// Writes a stream's name so that it is a file's, and no other stream's.
fn file_name(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02x}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn message(seq: u64) -> Message {
        Message {
            seq: Seq(seq),
            time: Wall(seq),
            subject: Bytes::from_static(b"a"),
            headers: Bytes::new(),
            payload: Bytes::from_static(b"x"),
        }
    }

    #[test]
    fn an_archive_goes_on_behind_its_last_whole_message() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut spool = Spool::open(folder.path(), "a#b$1", Wall(5)).expect("it opens");
        spool
            .append(&[message(2), message(4)])
            .expect("it is written");
        let path = spool.path.clone();
        drop(spool);
        let len = fs::metadata(&path).expect("it is there").len();
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("it opens");
        file.set_len(len - 1).expect("it is cut");
        let spool = Spool::open(folder.path(), "a#b$1", Wall(5)).expect("it opens");
        assert_eq!(spool.messages(), (1, Seq(2)));
        drop(spool);
        let other = Spool::open(folder.path(), "a#b$1", Wall(6)).expect("it opens");
        assert_eq!(other.messages(), (0, Seq(0)), "it was made again meanwhile");
    }

    #[test]
    fn names_of_streams_that_are_no_file_names_stay_apart() {
        assert_eq!(file_name("a#b$1"), "a%23b%241");
        assert_eq!(file_name("a/../b"), "a%2f%2e%2e%2fb");
    }
}
