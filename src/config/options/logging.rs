//! What is logged and where to.

use alloc::string::String;

/// The logging keys of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// Whether debug lines are written.
    pub debug: bool,
    /// Whether protocol traffic is written.
    pub trace: bool,
    /// Whether the system account's traffic is traced too.
    pub trace_verbose: bool,
    /// Whether only headers of traced messages are written.
    pub trace_headers: bool,
    /// Whether lines carry the time.
    pub logtime: bool,
    /// Whether that time is UTC instead of local.
    pub logtime_utc: bool,
    /// The file to write to; standard error when not set.
    pub file: Option<String>,
    /// The size at which the file is rotated; 0 is never.
    pub file_size_limit: u64,
    /// How many rotated files are kept; 0 keeps all.
    pub file_max_num: u32,
    /// Whether lines go to the local syslog.
    pub syslog: bool,
    /// The syslog server that lines go to.
    pub remote_syslog: Option<String>,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            debug: false,
            trace: false,
            trace_verbose: false,
            trace_headers: false,
            logtime: true,
            logtime_utc: false,
            file: None,
            file_size_limit: 0,
            file_max_num: 0,
            syslog: false,
            remote_syslog: None,
        }
    }
}
