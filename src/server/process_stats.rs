//! What the process uses, as the system counts it: `/proc/self`, zeros where there is none.

use core::net::SocketAddr;
use core::num::NonZero;
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;

use monitor::stats::{DiskTimes, Process};
use protocol::time::{Instant, Now, Wall};

/// How many paths requests are counted for; more are answered and not counted.
const COUNTED_PATHS_MAX: usize = 64;

/// What the driver knows of itself for monitoring.
#[derive(Debug, Default)]
pub(crate) struct Monitored {
    /// The path that documents are served under.
    pub(crate) base_path: String,
    /// Where monitoring is bound.
    pub(crate) bound: Option<SocketAddr>,
    /// Where monitoring is bound over TLS.
    pub(crate) bound_tls: Option<SocketAddr>,
    /// Where WebSockets are bound.
    pub(crate) bound_websocket: Option<SocketAddr>,
    /// Until when the client listener's certificate holds.
    pub(crate) tls_cert_not_after: Option<Wall>,
    /// The configuration's digest.
    config_digest: String,
    /// When the configuration was read.
    config_load: Wall,
    requests: BTreeMap<String, u64>,
    meter: Meter,
}

impl Monitored {
    /// Returns what is known before the listener is bound.
    pub(crate) fn new(base_path: &str, config_digest: String, config_load: Wall) -> Self {
        Self {
            base_path: base_path.to_owned(),
            config_digest,
            config_load,
            ..Self::default()
        }
    }

    /// Notes that another configuration is in force.
    pub(crate) fn reloaded(&mut self, config_digest: String, now: Wall) {
        self.config_digest = config_digest;
        self.config_load = now;
    }

    /// Counts a request, and measures the process for its answer.
    pub(crate) fn measure(&mut self, endpoint: &str, now: Now) -> Process {
        let full = self.requests.len() >= COUNTED_PATHS_MAX;
        match self.requests.get_mut(endpoint) {
            Some(count) => *count += 1,
            None if full => {}
            None => {
                self.requests.insert(endpoint.to_owned(), 1);
            }
        }
        self.process(now)
    }

    /// Measures the process.
    pub(crate) fn process(&mut self, now: Now) -> Process {
        Process {
            memory_bytes: Meter::memory_bytes(),
            cores: Meter::cores(),
            cpu_percent: self.meter.cpu_percent(now.mono),
            http: self.bound,
            http_requests: self.requests.clone(),
            config_load: self.config_load,
            config_digest: self.config_digest.clone(),
            https: self.bound_tls,
            websocket: self.bound_websocket,
            tls_cert_not_after: self.tls_cert_not_after,
            disk: DiskTimes::default(),
        }
    }
}

/// Measures memory and processor time.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// When processor time was last read, and how much it was.
    last: Option<(Instant, Duration)>,
    /// What the last measurement came to; kept for questions that follow at once.
    cpu_percent: f64,
}

/// Over less time than this the use of a processor means nothing.
const CPU_WINDOW_MIN: Duration = Duration::from_millis(500);

impl Meter {
    /// Returns the resident memory in bytes.
    pub(crate) fn memory_bytes() -> u64 {
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        pages.unwrap_or(0_u64) * rustix::param::page_size() as u64
    }

    /// Returns how many cores may be used.
    pub(crate) fn cores() -> u32 {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        u32::try_from(cores).unwrap_or(u32::MAX)
    }

    /// Returns the use of one core in per cent since the question before, to a tenth.
    pub(crate) fn cpu_percent(&mut self, now: Instant) -> f64 {
        let used = processor_time();
        let Some((then, before)) = self.last else {
            self.last = Some((now, used));
            return 0.0;
        };
        let passed = now.since(then);
        if passed >= CPU_WINDOW_MIN {
            let share = used.saturating_sub(before).as_secs_f64() / passed.as_secs_f64();
            self.cpu_percent = (share * 1000.0).round() / 10.0;
            self.last = Some((now, used));
        }
        self.cpu_percent
    }
}

/// Returns the processor time used so far, by the process and in its name.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name may hold anything; the numbers begin behind its bracket.
    let numbers = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = numbers.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(ticks * 1000 / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_uses_memory_and_cores() {
        assert!(Meter::memory_bytes() > 0);
        assert!(Meter::cores() > 0);
    }

    #[test]
    fn the_use_of_a_core_is_measured_between_two_questions() {
        let mut meter = Meter::default();
        assert!(meter.cpu_percent(Instant(0)).abs() < f64::EPSILON);
        let started = processor_time();
        let mut sum = 0_u64;
        while processor_time().saturating_sub(started) < Duration::from_millis(30) {
            sum = core::hint::black_box(sum.wrapping_add(1));
        }
        let share = meter.cpu_percent(Instant(1_000_000_000));
        assert!(
            share >= 3.0,
            "{share} % of a second, at least 30 ms of work"
        );
    }
}
