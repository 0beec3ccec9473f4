//! `--signal`: tells a running server to stop, to reload and so on.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// Why no signal was sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignalError {
    /// The command is none of ldm, stop, quit, term, reopen, reload.
    #[error("unknown signal {0:?}")]
    Unknown(String),
    /// What stands behind `=` is no process id, and no file holds one.
    #[error("invalid pid: {0}")]
    InvalidPid(String),
    /// There is nobody to signal.
    #[error("no {0} processes running")]
    NoneRunning(String),
    /// There is more than one to signal, and none was named.
    #[error("multiple {program} processes running:\n{}", lines(.pids))]
    ManyRunning {
        /// The program.
        program: String,
        /// Their ids.
        pids: Vec<i32>,
    },
    /// The system refused.
    #[error("\nsignal {command:?} {pid}: {reason}")]
    Refused {
        /// What was to be sent.
        command: String,
        /// Who to.
        pid: i32,
        /// The system's reason.
        reason: String,
    },
}

/// Sends what `command` stands for to `target`: a process id, one with a `*` at its end that stands
/// for any rest, or the path of a pid file; or to the one process called `program`.
pub(crate) fn send(program: &str, command: &str, target: Option<&str>) -> Result<(), SignalError> {
    let pids = match target {
        Some(target) => named(program, target)?,
        None => vec![only_running(program)?],
    };
    let Some(signal) = signal(command) else {
        return Err(SignalError::Unknown(command.to_owned()));
    };
    for pid in pids {
        let refused = |reason: String| SignalError::Refused {
            command: command.to_owned(),
            pid,
            reason,
        };
        let process = Pid::from_raw(pid).ok_or_else(|| refused("no such process".to_owned()))?;
        kill_process(process, signal).map_err(|error| {
            refused(match error {
                rustix::io::Errno::SRCH => "no such process".to_owned(),
                other => other.to_string(),
            })
        })?;
    }
    Ok(())
}

fn signal(command: &str) -> Option<Signal> {
    Some(match command {
        "stop" => Signal::KILL,
        "quit" => Signal::INT,
        "term" => Signal::TERM,
        "reopen" => Signal::USR1,
        "reload" => Signal::HUP,
        "ldm" => Signal::USR2,
        _ => return None,
    })
}

fn named(program: &str, target: &str) -> Result<Vec<i32>, SignalError> {
    let invalid = || SignalError::InvalidPid(target.to_owned());
    if let Some(prefix) = target.strip_suffix('*') {
        let matching = running(program)
            .into_iter()
            .filter(|pid| pid.to_string().starts_with(prefix));
        let pids: Vec<i32> = matching.collect();
        return match pids.is_empty() {
            true => Err(SignalError::NoneRunning(program.to_owned())),
            false => Ok(pids),
        };
    }
    let text = match target.parse::<i32>() {
        Ok(_) => target.to_owned(),
        Err(_) => fs::read_to_string(target).map_err(|_| invalid())?,
    };
    let pid = text.trim().parse::<i32>().ok().filter(|pid| *pid > 0);
    let pid = pid.ok_or_else(|| SignalError::InvalidPid(text.trim_end_matches('\n').to_owned()));
    Ok(vec![pid?])
}

fn only_running(program: &str) -> Result<i32, SignalError> {
    match running(program).as_slice() {
        [] => Err(SignalError::NoneRunning(program.to_owned())),
        [pid] => Ok(*pid),
        pids => Err(SignalError::ManyRunning {
            program: program.to_owned(),
            pids: pids.to_vec(),
        }),
    }
}

/// Returns the processes called `program` but this one, lowest id first. Empty where there is no
/// `/proc`.
fn running(program: &str) -> Vec<i32> {
    let own = std::process::id().to_string();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut pids: Vec<i32> = names
        .filter(|name| *name != own)
        .filter(|name| {
            // The kernel keeps the first 15 bytes of a name.
            let comm = fs::read_to_string(format!("/proc/{name}/comm")).unwrap_or_default();
            comm.trim_end() == program.get(..15).unwrap_or(program)
        })
        .filter_map(|name| name.parse().ok())
        .collect();
    pids.sort_unstable();
    pids
}

fn lines(pids: &[i32]) -> String {
    let lines: Vec<String> = pids.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_process_id_or_a_pid_file() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("pid");
        fs::write(&file, "4711").expect("written");
        assert_eq!(named("beale", "123"), Ok(vec![123]));
        assert_eq!(named("beale", &file.to_string_lossy()), Ok(vec![4711]));
        assert_eq!(
            named("beale", "abc"),
            Err(SignalError::InvalidPid("abc".to_owned()))
        );
        assert!(named("beale", "-1").is_err(), "-1 would signal everybody");
    }

    #[test]
    fn only_known_commands_are_sent() {
        // Signal 0 does not exist among the commands, so that nothing is sent by mistake.
        let error = send("beale", "foo", Some("4711"));
        assert_eq!(error, Err(SignalError::Unknown("foo".to_owned())));
    }

    #[test]
    fn a_program_that_does_not_run_cannot_be_signalled() {
        let error = send("no-such-program", "term", None);
        assert_eq!(
            error,
            Err(SignalError::NoneRunning("no-such-program".to_owned()))
        );
    }
}
