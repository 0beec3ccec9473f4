//! The steps of a case, one a line.
//!
//! ```text
//! A open                    open connection A and read the first INFO A connect {"user":"a"}
//! open, CONNECT (quiet, headers, no_responders, protocol 1; keys added), wait for PONG A> SUB foo
//! 1              send the line with CR LF; neighbouring lines go in one write, then a barrier:
//!                           PING is sent and everything that comes before its PONG is shown
//! A>> PUB foo 9999999       the same without the barrier, for what closes the connection
//! A read 2                  show the next two frames, waiting for them
//! A sync                    a barrier
//! A quiet 300ms             show what arrives in that time: normally nothing
//! A closed                  show what comes until the server closes
//! A close                   close from our side
//! A! SUBJECT <K: V|K: V> payload     a request: own inbox, waits for one frame on it; headers optional
//! A!3 SUBJECT payload       the same, waits for three frames; with 0 none may come
//! A ack 2 -NAK              publish to the ack subject of the second message that A got, then a barrier;
//!                           the same answers the request of another account
//! A ack! 2                  the same as a request
//! let NAME = key            NAME is the text at `"key":` of the last answer; shown as <NAME> from now on
//! wait 300ms                let time pass
//! http /healthz             a GET on the monitoring port, which the configuration calls ${http}
//! reload {                  change the configuration block to the lines up to `}`, send SIGHUP, and show what
//!                           the log says came of it
//! file NAME {               put the lines up to `}` into a file of the server's folder
//! check {                   show what `-t` says about a configuration of the lines up to `}`, line by line in
//!                           alphabetical order, and the exit code
//! start {                   show what a start with it ends with, or that it serves
//! run ARGS                  show what the program says that is run with these arguments, and its exit code
//! signal HUP                send the server a signal
//! log TEXT                  wait until the server has logged a line with this text, and show it
//! restart                   stop the server (SIGTERM), start it on the same port and store
//! kill                      the same with SIGKILL
//! # text                    a remark, kept in the transcript
//! ```
//! In what is sent, `\r \n \t \0 \\ \xNN` are escapes, a lone `\` at the end keeps CR LF away,
//! `${NAME}` is a name set before and `%{x*1000}` repeats.

use core::time::Duration;

/// A step together with the line it was read from, which the transcript repeats.
#[derive(Debug)]
pub struct Line {
    /// As written in the case.
    pub text: String,
    /// What it means.
    pub step: Step,
}

/// What to do.
#[derive(Debug)]
pub enum Step {
    /// Something on one connection.
    On(String, Action),
    /// Names a text of the last answer.
    Let { name: String, key: String },
    /// Lets time pass.
    Wait(Duration),
    /// Asks the monitoring port.
    Http(String),
    /// Changes the configuration of the running server to this text.
    Reload(String),
    /// Makes a file of this name and text.
    File { name: String, text: String },
    /// Runs the program with a configuration: `true` only checks it.
    Configured { text: String, check: bool },
    /// Runs the program with these arguments.
    Run(String),
    /// Sends the server this signal.
    Signal(String),
    /// Waits for a line of the log.
    Log(String),
    /// Stops and starts the server; `true` means without warning.
    Restart(bool),
    /// Repeated in the transcript.
    Remark,
}

/// What to do on a connection.
#[derive(Debug)]
pub enum Action {
    /// Open and read INFO.
    Open,
    /// Open and CONNECT with further keys.
    Connect(String),
    /// Send a line; `true` asks for a barrier after the block.
    Send { line: String, barrier: bool },
    /// Wait for frames.
    Read(usize),
    /// A barrier.
    Sync,
    /// Show what arrives meanwhile.
    Quiet(Duration),
    /// Read to the end.
    Closed,
    /// Close.
    Close,
    /// Publish with a reply subject of our own and wait for frames there.
    Request { frames: usize, rest: String },
    /// Acknowledge a message received before.
    Ack {
        index: usize,
        payload: String,
        request: bool,
    },
}

impl Step {
    /// Parses one line.
    ///
    /// # Errors
    /// With a text that says what was expected.
    pub fn parse(line: &str) -> Result<Step, String> {
        if line.starts_with('#') {
            return Ok(Step::Remark);
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "let" => {
                let (name, key) = rest.split_once(" = ").ok_or("expected `let NAME = key`")?;
                return Ok(Step::Let {
                    name: name.to_owned(),
                    key: key.to_owned(),
                });
            }
            "wait" => return Ok(Step::Wait(duration(rest)?)),
            "http" => return Ok(Step::Http(rest.to_owned())),
            "run" => return Ok(Step::Run(rest.to_owned())),
            "signal" => return Ok(Step::Signal(rest.to_owned())),
            "log" => return Ok(Step::Log(rest.to_owned())),
            "restart" => return Ok(Step::Restart(false)),
            "kill" => return Ok(Step::Restart(true)),
            _ => {}
        }
        let name_len = word.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let (name, mark) = word.split_at_checked(name_len).unwrap_or((word, ""));
        let action = match mark {
            ">" => Action::Send {
                line: rest.to_owned(),
                barrier: true,
            },
            ">>" => Action::Send {
                line: rest.to_owned(),
                barrier: false,
            },
            "" => Action::parse(rest)?,
            _ => {
                let count = mark.strip_prefix('!').ok_or("expected > or >> or !")?;
                let frames = if count.is_empty() { 1 } else { number(count)? };
                Action::Request {
                    frames,
                    rest: rest.to_owned(),
                }
            }
        };
        Ok(Step::On(name.to_owned(), action))
    }
}

/// What a line says that opens a block; `None` for other lines.
#[must_use]
pub fn block(opening: &str) -> Option<fn(&str, String) -> Step> {
    let what = opening.strip_suffix(" {")?;
    match what {
        "reload" => Some(|_, text| Step::Reload(text)),
        "check" => Some(|_, text| Step::Configured { text, check: true }),
        "start" => Some(|_, text| Step::Configured { text, check: false }),
        _ if what.starts_with("file ") => Some(|opening, text| {
            let name = opening.trim_start_matches("file ").trim_end_matches(" {");
            let name = name.to_owned();
            Step::File { name, text }
        }),
        _ => None,
    }
}

impl Action {
    fn parse(text: &str) -> Result<Action, String> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        Ok(match verb {
            "open" => Action::Open,
            "connect" => Action::Connect(rest.to_owned()),
            "read" => Action::Read(number(rest)?),
            "sync" => Action::Sync,
            "quiet" => Action::Quiet(duration(rest)?),
            "closed" => Action::Closed,
            "close" => Action::Close,
            "ack" | "ack!" => {
                let (index, payload) = rest.split_once(' ').unwrap_or((rest, ""));
                Action::Ack {
                    index: number(index)?,
                    payload: payload.to_owned(),
                    request: verb == "ack!",
                }
            }
            _ => return Err(format!("unknown step `{text}`")),
        })
    }
}

fn number(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| format!("expected a number, got `{text}`"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at_checked(split).unwrap_or((text, ""));
    let count = number(digits)? as u64;
    match unit {
        "ms" => Ok(Duration::from_millis(count)),
        "s" => Ok(Duration::from_secs(count)),
        _ => Err(format!("expected a duration such as 300ms, got `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_after_the_name_says_how_to_send() {
        let Step::On(name, Action::Send { line, barrier }) = Step::parse("A> PING").unwrap() else {
            panic!("not a send");
        };
        assert_eq!((name.as_str(), line.as_str(), barrier), ("A", "PING", true));
        let Step::On(_, Action::Request { frames, rest }) = Step::parse("B!3 s x").unwrap() else {
            panic!("not a request");
        };
        assert_eq!((frames, rest.as_str()), (3, "s x"));
    }

    #[test]
    fn durations_need_a_unit() {
        assert!(Step::parse("wait 3").is_err());
        assert!(matches!(Step::parse("wait 3s"), Ok(Step::Wait(d)) if d.as_secs() == 3));
    }
}
