//! The log in a file: appended to, rotated by size, opened again on request.
//!
//! *Invariant:* a file that cannot be opened or written costs lines, never the server.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use config::options::Logging;

/// An open log file.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    /// At which size it is rotated; 0 is never.
    size_max: u64,
    /// How many rotated files are kept; 0 is all.
    kept_max: usize,
}

impl LogFile {
    /// Opens the file that the configuration names.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open(path: &str, options: &Logging) -> io::Result<Self> {
        let path = PathBuf::from(path);
        let (file, size) = append_to(&path)?;
        Ok(Self {
            path,
            file,
            size,
            size_max: options.file_size_limit,
            kept_max: options.file_max_num as usize,
        })
    }

    /// Writes a line; `stamp` names the file it is rotated into, if it is.
    pub(crate) fn write(&mut self, line: &str, stamp: &str) {
        if self.file.write_all(line.as_bytes()).is_err() {
            return;
        }
        self.size += line.len() as u64;
        if self.size_max > 0 && self.size > self.size_max {
            // What cannot be rotated now is tried again at the next line.
            drop(self.rotate(stamp));
        }
    }

    /// Opens the file again, because somebody has moved it away.
    pub(crate) fn reopen(&mut self) {
        if let Ok((file, size)) = append_to(&self.path) {
            (self.file, self.size) = (file, size);
        }
    }

    fn rotate(&mut self, stamp: &str) -> io::Result<()> {
        fs::rename(&self.path, self.rotated(stamp))?;
        (self.file, self.size) = append_to(&self.path)?;
        if self.kept_max > 0 {
            let kept = self.kept()?;
            let surplus = kept.len().saturating_sub(self.kept_max);
            for oldest in kept.iter().take(surplus) {
                fs::remove_file(oldest)?;
            }
        }
        Ok(())
    }

    fn rotated(&self, stamp: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(stamp);
        PathBuf::from(name)
    }

    /// Returns the rotated files, oldest first: their names end in times.
    fn kept(&self) -> io::Result<Vec<PathBuf>> {
        let folder = match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            Some(_) | None => Path::new("."),
        };
        let name = self.path.file_name().unwrap_or_default();
        let prefix = format!("{}.", name.to_string_lossy());
        let mut kept = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let stamp = name.to_string_lossy();
            let stamp = stamp.strip_prefix(&prefix).map(str::as_bytes);
            // Only what rotation named: digits and dots.
            let is_time = |s: &[u8]| s.iter().all(|b| b.is_ascii_digit() || *b == b'.');
            if stamp.is_some_and(is_time) {
                kept.push(entry.path());
            }
        }
        kept.sort();
        Ok(kept)
    }
}

fn append_to(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &tempfile::TempDir, size_limit: u64, max_num: u32) -> LogFile {
        let options = Logging {
            file_size_limit: size_limit,
            file_max_num: max_num,
            ..Logging::default()
        };
        let path = folder.path().join("beale.log");
        LogFile::open(&path.to_string_lossy(), &options).expect("opens")
    }

    fn names(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).expect("a folder");
        let names = entries.map(|e| e.expect("an entry").file_name());
        let mut names: Vec<_> = names.map(|n| n.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn lines_are_appended_to_what_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        open(&folder, 0, 0).write("one\n", "1");
        open(&folder, 0, 0).write("two\n", "2");
        let text = fs::read_to_string(folder.path().join("beale.log"));
        assert_eq!(text.expect("reads"), "one\ntwo\n");
    }

    #[test]
    fn a_full_file_is_rotated_and_only_the_latest_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("beale.log.txt"), "not ours").expect("writes");
        let mut log = open(&folder, 3, 2);
        for stamp in ["2026.01", "2026.02", "2026.03"] {
            log.write("long line\n", stamp);
        }
        assert_eq!(
            names(&folder),
            [
                "beale.log",
                "beale.log.2026.02",
                "beale.log.2026.03",
                "beale.log.txt"
            ]
        );
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = open(&folder, 0, 0);
        let path = folder.path().join("beale.log");
        fs::rename(&path, folder.path().join("old")).expect("moves");
        log.reopen();
        log.write("new\n", "1");
        assert_eq!(fs::read_to_string(path).expect("reads"), "new\n");
    }
}
