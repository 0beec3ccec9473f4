//! Explores fresh seeds: `cargo run -p sim --release --example sweep -- --seeds 50000`.
//!
//! `--help` says what else there is. The exit code says whether anything was wrong.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use sim::explorer::{FaultKind, Report, Scenario, explore};
use sim::lives::{FEATURES, live};
use sim::trace::Keep;

/// Explores fresh seeds of simulated runs.
///
/// So many runs in all are spread evenly over the scenarios, on all cores.
#[derive(Debug, Parser)]
struct Args {
    /// One scenario or feature; `damage`: all that damage files, `faults`: the others, `lives`: all features.
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// How many runs.
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed; what the clock says if it is not given.
    #[arg(long, value_name = "N")]
    base: Option<u64>,
    /// Shows one run, twice, with its plan.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many runs at the same time.
    #[arg(long, value_name = "N")]
    jobs: Option<u64>,
    /// Shows everything that happens in the one run.
    #[arg(long)]
    steps: bool,
}

/// What a scenario's runs came to.
#[derive(Debug, Default)]
struct Totals {
    seeds: u64,
    failed: u64,
    published: usize,
    acked: usize,
    read: usize,
    delivered: usize,
    lives: u64,
    damaged: u64,
    missing: usize,
    took: Duration,
    struck: BTreeMap<FaultKind, u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let features = FEATURES.iter().copied();
    let features: Vec<_> = match args.scenario.as_deref() {
        Some("lives") => features.collect(),
        name => features.filter(|feature| name == Some(feature)).collect(),
    };
    if !features.is_empty() {
        return code(sweep_lives(&features, &args));
    }
    let scenarios = match args.scenario.as_deref() {
        Some("damage") => Scenario::all_damaged(),
        Some("faults") => Scenario::all(),
        Some(name) => Scenario::named(name).into_iter().collect(),
        None => every_scenario(),
    };
    if scenarios.is_empty() {
        let names = every_scenario();
        let names: Vec<_> = names.iter().map(|scenario| scenario.name).collect();
        println!("scenarios: {}", names.join(" "));
        println!("features: {}", FEATURES.join(" "));
        return ExitCode::from(2);
    }
    if let Some(seed) = args.seed {
        let mut good = true;
        for scenario in &scenarios {
            good &= show(scenario, seed, &args);
        }
        return code(good);
    }
    code(sweep(&scenarios, &args))
}

fn every_scenario() -> Vec<Scenario> {
    let damaged = Scenario::all_damaged();
    Scenario::all().into_iter().chain(damaged).collect()
}

fn code(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Shows one run, and that it is the same the second time.
fn show(scenario: &Scenario, seed: u64, args: &Args) -> bool {
    let report = explore(scenario, seed, Keep::Lines);
    println!("{:#?}", report.plan);
    if args.steps {
        for line in report.trace.lines() {
            println!("{line}");
        }
    }
    print(&report);
    let again = explore(scenario, seed, Keep::Lines);
    if let Some(difference) = report.trace.first_difference(&again.trace) {
        println!("the second run differs at {difference}");
        return false;
    }
    report.violations.is_empty()
}

fn print(report: &Report) {
    println!(
        "{} seed {}: {} published, {} acknowledged, {} read, {} delivered, {} starts, {:?}, {:?}, \
         {} steps, trace {:016x}",
        report.scenario,
        report.plan.seed,
        report.published,
        report.acked,
        report.read,
        report.delivered,
        report.lives,
        report.struck,
        Duration::from_nanos(report.lasted.0),
        report.trace.steps(),
        report.trace.hash()
    );
    for violation in &report.violations {
        println!("VIOLATION {}: {}", violation.invariant, violation.text);
    }
}

/// Runs features over many lives.
fn sweep_lives(features: &[&str], args: &Args) -> bool {
    let base = args.seed.unwrap_or_else(|| base(args));
    let seeds = args.seed.map_or(args.seeds.unwrap_or(100), |_| 1);
    println!("base seed {base}");
    let mut good = true;
    for feature in features {
        let (mut failed, mut lives, mut answers) = (0, 0, 0);
        for seed in base..base + seeds {
            match live(feature, seed) {
                Ok(summary) => {
                    lives += summary.lives;
                    answers += summary.answers;
                }
                Err(text) => {
                    failed += 1;
                    good = false;
                    println!("{feature} seed {seed}: {text}");
                }
            }
        }
        println!(
            "{feature:22} seeds {seeds:5} failed {failed:3} lives {lives:6} answers {answers:7}"
        );
    }
    good
}

/// Returns the first seed.
fn base(args: &Args) -> u64 {
    args.base.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs()) * 1_000_000
    })
}

fn sweep(scenarios: &[Scenario], args: &Args) -> bool {
    let base = base(args);
    let kinds = scenarios.len() as u64;
    let runs = args.seeds.unwrap_or(1000).next_multiple_of(kinds);
    println!("base seed {base}, {runs} runs of {kinds} scenarios");
    let start = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let totals: Vec<(&Scenario, Mutex<Totals>)> = scenarios
        .iter()
        .map(|scenario| (scenario, Mutex::default()))
        .collect();
    let next = AtomicU64::new(0);
    // A run knows no thread: what it does depends on its seed only.
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.unwrap_or(cores) {
            scope.spawn(|| {
                loop {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if run >= runs {
                        return;
                    }
                    let at = usize::try_from(run % kinds).unwrap_or(0);
                    if let Some((scenario, totals)) = totals.get(at) {
                        one(scenario, base + run / kinds, totals);
                    }
                }
            });
        }
    });
    let mut good = true;
    for (scenario, totals) in totals {
        let totals = totals.into_inner().expect("no run panics");
        totals.print(scenario.name);
        good &= totals.failed == 0;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{runs} runs in {seconds:.1} s");
    good
}

/// Makes one run and notes what came of it.
fn one(scenario: &Scenario, seed: u64, totals: &Mutex<Totals>) {
    let start = Instant::now();
    let report = explore(scenario, seed, Keep::Hash);
    let mut totals = totals.lock().expect("no run panics");
    totals.add(&report);
    totals.took += start.elapsed();
    if !report.violations.is_empty() {
        print(&report);
        println!("again: {}", report.command());
    }
}

impl Totals {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.failed += u64::from(!report.violations.is_empty());
        self.published += report.published;
        self.acked += report.acked;
        self.read += report.read;
        self.delivered += report.delivered;
        self.lives += report.lives;
        self.damaged += report.damaged;
        self.missing += report.missing;
        for (kind, count) in &report.struck {
            *self.struck.entry(*kind).or_default() += count;
        }
    }

    fn print(&self, name: &str) {
        println!(
            "{name:22} seeds {:5} failed {:3} published {:7} acked {:7} read {:7} delivered {:7} \
             starts {:5} damaged {:4} cost {:5} seeds/min {:6.0} faults {:?}",
            self.seeds,
            self.failed,
            self.published,
            self.acked,
            self.read,
            self.delivered,
            self.lives,
            self.damaged,
            self.missing,
            self.seeds as f64 * 60.0 / self.took.as_secs_f64(),
            self.struck
        );
    }
}
