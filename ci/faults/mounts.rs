//! File systems of our own: a small one in memory, and one whose power can fail.
//!
//! *Invariant:* everything is mounted in this process' mount namespace, which `ci/faults/run` makes
//! private: a file system that another namespace keeps mounted would stay dead after a power loss.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::ioctl::{Setter, ioctl, opcode};

/// A mounted file system, unmounted when dropped.
pub(crate) struct Mount {
    pub(crate) path: PathBuf,
    image: Option<PathBuf>,
}

impl Mount {
    /// Mounts a file system in memory of so many MiB at `path`.
    pub(crate) fn small(path: PathBuf, mib: u64) -> Result<Self> {
        fs::create_dir_all(&path)?;
        let size = format!("size={mib}m");
        run(
            "mount",
            &["-t", "tmpfs", "-o", &size, "tmpfs", &text(&path)],
        )?;
        Ok(Self { path, image: None })
    }

    /// Gives it more space.
    pub(crate) fn grow(&self, mib: u64) -> Result<()> {
        let size = format!("remount,size={mib}m");
        run("mount", &["-o", &size, &text(&self.path)])
    }

    /// Makes an ext4 file system in a file of `dir` and mounts it.
    pub(crate) fn ext4(dir: &Path) -> Result<Self> {
        let image = dir.join("image");
        File::create(&image)?.set_len(1 << 30)?;
        run("mkfs.ext4", &["-q", "-F", &text(&image)])?;
        let path = dir.join("mounted");
        fs::create_dir_all(&path)?;
        let image = Some(image);
        let mount = Self { path, image };
        mount.attach()?;
        Ok(mount)
    }

    fn attach(&self) -> Result<()> {
        let image = self.image.as_deref().context("it has no image")?;
        // Ubuntu's and Debian's choice for a root file system; without it ext4 would go on.
        let options = "loop,errors=remount-ro";
        run("mount", &["-o", options, &text(image), &text(&self.path)])
    }

    /// Lets the file system meet an error: it refuses every change from now on.
    pub(crate) fn abort(&self) -> Result<()> {
        run("mount", &["-o", "remount,abort", &text(&self.path)])
    }

    /// Lets the power fail: nothing that has not been synced reaches the image any more.
    pub(crate) fn cut(&self) -> Result<()> {
        /// `EXT4_IOC_SHUTDOWN`.
        const SHUTDOWN: rustix::ioctl::Opcode = opcode::read::<u32>(b'X', 125);
        /// `EXT4_GOING_FLAGS_NOLOGFLUSH`: not even the journal is written.
        const WITHOUT_FLUSH: u32 = 2;
        let directory = File::open(&self.path)?;
        #[expect(unsafe_code, reason = "an ioctl that rustix has no name for")]
        // SAFETY: the kernel reads one u32 through the pointer, as the operation's number says.
        unsafe {
            ioctl(&directory, Setter::<SHUTDOWN, u32>::new(WITHOUT_FLUSH))?;
        }
        Ok(())
    }

    /// Mounts it again, as after a restart of the machine: the journal is replayed.
    pub(crate) fn restore(&self) -> Result<()> {
        run("umount", &[&text(&self.path)])?;
        self.attach()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // The namespace ends with the process and takes what is left along.
        let _ = run("umount", &["-l", &text(&self.path)]);
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Runs a command of the system.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new(program).args(args).output();
    let output = output.with_context(|| format!("{program} cannot be run"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{program}: {error}");
    }
    Ok(())
}
