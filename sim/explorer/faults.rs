//! The kinds of faults, each a cause that a machine, a disk or a network can have.

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The process is killed; the page cache stays.
    Kill,
    /// The machine loses its power; of what is not synced any part may be lost.
    PowerLoss,
    /// A disk operation fails; somebody restarts the process a while later.
    IoError,
    /// The disk has no space left for a while.
    DiskFull,
    /// The disk takes up to seconds for an operation, for a while.
    SlowDisk,
    /// A disk operation never ends; somebody restarts the process a while later.
    StuckDisk,
    /// Nothing arrives on any connection for a while.
    HoldAll,
    /// Nothing arrives on one connection for a while.
    HoldOne,
    /// A client reads nothing for a while.
    SlowReader,
    /// A connection goes silent for ever, and nobody is told.
    HalfOpen,
    /// A connection breaks.
    Reset,
    /// The wall clock jumps.
    ClockJump,
    /// The wall clock stands still, or goes too slowly or too fast.
    ClockRate,
    /// A sync of the log fails, and what it was to keep is gone; the next one would succeed.
    SyncError,
    /// A write to the log fails after a part of it.
    WriteError,
    /// A write to, or a sync of, a segment or a checkpoint fails.
    BulkError,
    /// A file cannot be made, renamed or removed, once.
    NameError,
    /// A few reads fail.
    ReadError,
    /// No read succeeds for a while.
    Unreadable,
    /// Nothing can be changed on the disk for a while; somebody restarts the process after that.
    ReadOnly,
    /// The process can open no file for a while.
    TooManyFiles,
    /// The process is stopped for a while and goes on.
    Pause,
    /// Nothing arrives in one direction, on all connections, for a while.
    OneWay,
    /// Connections stop one after the other, and go on in another order.
    Swizzle,
    /// The power fails at one of the next disk operations, before it is answered.
    PowerLossAtOp,
    /// The process is killed when a client has just been promised something.
    KillAfterPromise,
    /// The power fails when a client has just been promised something.
    PowerLossAfterPromise,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 27] = [
        Self::Kill,
        Self::PowerLoss,
        Self::IoError,
        Self::DiskFull,
        Self::SlowDisk,
        Self::StuckDisk,
        Self::HoldAll,
        Self::HoldOne,
        Self::SlowReader,
        Self::HalfOpen,
        Self::Reset,
        Self::ClockJump,
        Self::ClockRate,
        Self::SyncError,
        Self::WriteError,
        Self::BulkError,
        Self::NameError,
        Self::ReadError,
        Self::Unreadable,
        Self::ReadOnly,
        Self::TooManyFiles,
        Self::Pause,
        Self::OneWay,
        Self::Swizzle,
        Self::PowerLossAtOp,
        Self::KillAfterPromise,
        Self::PowerLossAfterPromise,
    ];

    /// Says whether a process may store nothing any more after this, until it starts anew: the kernel
    /// may have lost what it was to write, or answers no more.
    #[must_use]
    pub fn ends_storing(self) -> bool {
        match self {
            Self::IoError
            | Self::SyncError
            | Self::WriteError
            | Self::BulkError
            | Self::ReadOnly
            | Self::StuckDisk => true,
            Self::Kill
            | Self::PowerLoss
            | Self::DiskFull
            | Self::SlowDisk
            | Self::HoldAll
            | Self::HoldOne
            | Self::SlowReader
            | Self::HalfOpen
            | Self::Reset
            | Self::ClockJump
            | Self::ClockRate
            | Self::NameError
            | Self::ReadError
            | Self::Unreadable
            | Self::TooManyFiles
            | Self::Pause
            | Self::OneWay
            | Self::Swizzle
            | Self::PowerLossAtOp
            | Self::KillAfterPromise
            | Self::PowerLossAfterPromise => false,
        }
    }
}
