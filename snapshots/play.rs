//! Holds a conversation with a server and writes down what it answers.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::case::Case;
use crate::conn::{Conn, Frame, Got, PATIENCE};
use crate::monitoring;
use crate::normalise::{Normaliser, text_at};
use crate::process::Process;
use crate::step::{Action, Line, Step};
use crate::text::{body_lines, connect_line, expand, header_block};

/// How long monitoring may take until it tells what was recorded.
const HTTP_PATIENCE: Duration = Duration::from_secs(15);

/// How long nothing may come where nothing is expected.
const SILENCE: Duration = Duration::from_millis(250);

/// Plays `case` against `binary`. Where frames are waited for without a number of theirs, as many as
/// the `recorded` transcript has are waited for with patience: how long a server takes is no difference.
///
/// # Errors
/// When the server can not be started or a socket fails. What the server answers is never an error.
pub fn play(binary: &Path, case: &Case, recorded: Option<&str>) -> io::Result<String> {
    let mut player = Player {
        case,
        process: Process::start(binary, case)?,
        conns: BTreeMap::new(),
        names: Normaliser::default(),
        reads_next: false,
        expected: 0,
        answer: String::new(),
        out: format!("{}\n\n", case.title),
    };
    let recorded = recorded.unwrap_or_default();
    let expected = frames_of_steps(&case.steps, recorded);
    for (number, line) in case.steps.iter().enumerate() {
        let _ok = writeln!(player.out, "{}", line.text);
        let behind = case.steps.get(number + 1..).unwrap_or_default();
        let ends_block = behind.first().is_none_or(|next| !continues(line, next));
        player.reads_next = is_read_by(line, behind);
        player.expected = expected.get(number).copied().unwrap_or_default();
        player.step(line, ends_block, recorded)?;
    }
    Ok(player.out)
}

/// Whether what the line brings about is shown by the next thing that its connection does: by the very
/// next step, or by a later one that shows all that came.
fn is_read_by(line: &Line, behind: &[Line]) -> bool {
    let Step::On(name, _) = &line.step else {
        return false;
    };
    let next = behind.iter().enumerate().find_map(|(steps, line)| {
        let Step::On(other, action) = &line.step else {
            return None;
        };
        (other == name).then_some((steps, action))
    });
    match next {
        Some((steps, Action::Read(_))) => steps == 0,
        Some((_, action)) => matches!(action, Action::Quiet(_) | Action::Closed),
        None => false,
    }
}

/// How many frames a transcript shows below each step.
fn frames_of_steps(steps: &[Line], transcript: &str) -> Vec<usize> {
    let mut frames = vec![0; steps.len()];
    let mut reached = 0;
    for line in transcript.lines() {
        if steps
            .get(reached)
            .is_some_and(|step| step.text.lines().next() == Some(line))
        {
            reached += 1;
        } else if let Some((name, _)) = line.split_once("< ")
            && name.bytes().all(|b| b.is_ascii_alphanumeric())
            && let Some(count) = reached.checked_sub(1).and_then(|at| frames.get_mut(at))
        {
            *count += 1;
        }
    }
    frames
}

/// Whether two neighbouring lines are sent in one write.
fn continues(line: &Line, next: &Line) -> bool {
    match (&line.step, &next.step) {
        (
            Step::On(a, Action::Send { barrier: x, .. }),
            Step::On(b, Action::Send { barrier: y, .. }),
        ) => a == b && x == y,
        _ => false,
    }
}

struct Player<'a> {
    case: &'a Case,
    process: Process,
    conns: BTreeMap<String, Peer>,
    names: Normaliser,
    /// Whether the next step of the connection shows frames: then it shows what comes before a PONG,
    /// too, as what is delivered to a new subscription may do.
    reads_next: bool,
    /// How many frames the recorded transcript has below this step.
    expected: usize,
    /// The payload of the last answer to a request.
    answer: String,
    out: String,
}

struct Peer {
    conn: Conn,
    /// The lines of a block that is not complete yet.
    block: Vec<u8>,
}

impl Player<'_> {
    fn step(&mut self, line: &Line, ends_block: bool, recorded: &str) -> io::Result<()> {
        match &line.step {
            Step::Remark => {}
            Step::Wait(time) => thread::sleep(*time),
            Step::Restart(abruptly) => {
                self.conns.clear();
                self.process.restart(*abruptly)?;
            }
            Step::Reload(config) => {
                for line in self.process.reload(self.case, config)? {
                    let line = self.names.line(&line);
                    let _ok = writeln!(self.out, "log| {line}");
                }
            }
            Step::File { name, text } => self.process.write(name, text)?,
            Step::Configured { text, check } => {
                let said = match check {
                    true => self.process.check(text)?,
                    false => self.process.try_start(text)?,
                };
                self.show_said(&said);
            }
            Step::Run(args) => {
                let args: Vec<&str> = args.split_whitespace().collect();
                let said = self.process.run(&args)?;
                self.show_said(&said);
            }
            Step::Signal(signal) => self.process.signal(signal)?,
            Step::Log(text) => {
                let said = self.process.logged(text)?;
                self.show_said(&[said]);
            }
            Step::Http(path) => self.http(path, recorded)?,
            Step::Let { name, key } => {
                let value = text_at(&self.answer, key).unwrap_or_default().to_owned();
                // It has already been shown where it first appeared.
                self.out = self.out.replace(&value, &format!("<{name}>"));
                self.names.name(name, &value);
            }
            Step::On(name, action) => self.action(name, action, ends_block)?,
        }
        Ok(())
    }

    fn action(&mut self, name: &str, action: &Action, ends_block: bool) -> io::Result<()> {
        match action {
            Action::Open => self.open(name),
            Action::Connect(keys) => {
                self.open(name)?;
                let connect = connect_line(keys)?;
                self.peer(name)?.conn.send(connect.as_bytes());
                self.barrier(name, 0)
            }
            Action::Send { line, barrier } => {
                let bytes = expand(&self.names, line, true);
                let peer = self.peer(name)?;
                peer.block.extend_from_slice(&bytes);
                if !ends_block {
                    return Ok(());
                }
                let block = core::mem::take(&mut peer.block);
                let pings = pings(&block);
                peer.conn.send(&block);
                if *barrier {
                    self.barrier(name, pings)
                } else {
                    Ok(())
                }
            }
            Action::Read(frames) => self.read(name, *frames),
            Action::Sync => self.barrier(name, 0),
            Action::Quiet(time) => self.drain(name, *time),
            Action::Closed => self.drain(name, PATIENCE),
            Action::Close => match self.conns.remove(name) {
                Some(peer) => peer.conn.close(),
                None => Ok(()),
            },
            Action::Request { frames, rest } => self.request(name, *frames, rest),
            Action::Ack {
                index,
                payload,
                request,
            } => self.ack(name, *index, payload, *request),
        }
    }

    fn show_said(&mut self, lines: &[String]) {
        for line in lines {
            let line = self.names.line(line);
            let _ok = writeln!(self.out, "says| {line}");
        }
    }

    /// Shows status, content type and body, once they are what was recorded or patience is over: that a
    /// connection has ended, say, is counted a moment later.
    fn http(&mut self, path: &str, recorded: &str) -> io::Result<()> {
        let deadline = Instant::now() + HTTP_PATIENCE;
        let before = self.out.clone();
        loop {
            let answer = monitoring::ask(self.process.http, path)?;
            for line in answer {
                let line = monitoring::line(&self.process.shown_line(&self.names.line(&line)));
                let _ok = match line {
                    Some(line) if line.is_empty() => writeln!(self.out, "|"),
                    Some(line) => writeln!(self.out, "| {line}"),
                    None => Ok(()),
                };
            }
            let shown = self.out.get(before.len()..).unwrap_or_default();
            if recorded.is_empty() || recorded.contains(shown) || Instant::now() > deadline {
                return Ok(());
            }
            self.out.clone_from(&before);
            thread::sleep(SILENCE);
        }
    }

    fn open(&mut self, name: &str) -> io::Result<()> {
        let show_info = self.case.show_info;
        let mut conn = Conn::open(self.process.addr, !self.case.show_ping, !show_info)?;
        let info = conn.first_info()?;
        self.conns.insert(
            name.to_owned(),
            Peer {
                conn,
                block: Vec::new(),
            },
        );
        if show_info {
            self.show(name, &info);
        }
        Ok(())
    }

    fn peer(&mut self, name: &str) -> io::Result<&mut Peer> {
        self.conns
            .get_mut(name)
            .ok_or_else(|| io::Error::other(format!("{}: {name} is not open", self.case.id)))
    }

    /// Shows what was queued, then all that comes before the PONG that answers our own PING.
    fn barrier(&mut self, name: &str, mut pongs_before: usize) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        self.peer(name)?.conn.send(b"PING\r\n");
        self.show_queue(name)?;
        let mut kept = VecDeque::new();
        loop {
            match self.peer(name)?.conn.next(deadline)? {
                Got::Frame(frame) if frame.line == "PONG" => {
                    if pongs_before == 0 {
                        self.peer(name)?.conn.queue = kept;
                        return Ok(());
                    }
                    pongs_before -= 1;
                    self.show(name, &frame);
                }
                Got::Frame(frame) if self.reads_next => kept.push_back(frame),
                Got::Frame(frame) => self.show(name, &frame),
                end @ (Got::Closed | Got::Nothing) => return self.note_end(name, &end),
            }
        }
    }

    fn read(&mut self, name: &str, frames: usize) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for _ in 0..frames {
            let peer = self.peer(name)?;
            let got = match peer.conn.queue.pop_front() {
                Some(frame) => Got::Frame(frame),
                None => peer.conn.next(deadline)?,
            };
            match got {
                Got::Frame(frame) => self.show(name, &frame),
                end @ (Got::Closed | Got::Nothing) => return self.note_end(name, &end),
            }
        }
        Ok(())
    }

    /// Shows what comes in `time`, which goes on as long as fewer frames came than were recorded.
    fn drain(&mut self, name: &str, time: Duration) -> io::Result<()> {
        let start = Instant::now();
        let mut deadline = start + time;
        let mut shown = self.show_queue(name)?;
        loop {
            match self.peer(name)?.conn.next(deadline)? {
                Got::Frame(frame) => {
                    shown += 1;
                    self.show(name, &frame);
                }
                Got::Closed => return self.note_end(name, &Got::Closed),
                Got::Nothing if shown < self.expected && start.elapsed() < PATIENCE => {
                    deadline = Instant::now() + time;
                }
                Got::Nothing if time == PATIENCE => return self.note_end(name, &Got::Nothing),
                Got::Nothing => return Ok(()),
            }
        }
    }

    fn request(&mut self, name: &str, frames: usize, rest: &str) -> io::Result<()> {
        let (subject, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let (headers, payload) = match rest.strip_prefix('<').and_then(|r| r.split_once('>')) {
            Some((headers, payload)) => {
                (Some(headers), payload.strip_prefix(' ').unwrap_or(payload))
            }
            None => (None, rest),
        };
        let subject = String::from_utf8_lossy(&expand(&self.names, subject, false)).into_owned();
        let payload = expand(&self.names, payload, false);
        let head = headers.map(|h| expand(&self.names, &header_block(h), false));
        self.send_request(name, &subject, head.as_deref(), &payload, frames)
    }

    fn send_request(
        &mut self,
        name: &str,
        subject: &str,
        head: Option<&[u8]>,
        payload: &[u8],
        frames: usize,
    ) -> io::Result<()> {
        let conn = &mut self.peer(name)?.conn;
        conn.inboxes += 1;
        let sid = format!("i{}", conn.inboxes);
        let inbox = format!("_INBOX.{name}.{}", conn.inboxes);
        let mut out = format!("SUB {inbox} {sid}\r\n").into_bytes();
        let head_len = head.map_or(0, <[u8]>::len);
        let sizes = match head {
            Some(_) => format!(
                "HPUB {subject} {inbox} {head_len} {}\r\n",
                head_len + payload.len()
            ),
            None => format!("PUB {subject} {inbox} {}\r\n", payload.len()),
        };
        out.extend_from_slice(sizes.as_bytes());
        out.extend_from_slice(head.unwrap_or_default());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
        conn.send(&out);
        self.answers(name, &sid, frames)
    }

    /// Shows the frames on one inbox; others wait in the queue for a later step.
    fn answers(&mut self, name: &str, sid: &str, frames: usize) -> io::Result<()> {
        let wait = if frames == 0 { SILENCE } else { PATIENCE };
        let deadline = Instant::now() + wait;
        let mut seen = 0;
        while seen < frames || frames == 0 {
            match self.peer(name)?.conn.next(deadline)? {
                Got::Frame(frame) if frame.sid.as_deref() == Some(sid) => {
                    seen += 1;
                    self.show_answer(name, &frame);
                }
                Got::Frame(frame) if frame.line.starts_with("-ERR") => self.show(name, &frame),
                Got::Frame(frame) => self.peer(name)?.conn.queue.push_back(frame),
                Got::Nothing if frames == 0 => return Ok(()),
                end @ (Got::Closed | Got::Nothing) => return self.note_end(name, &end),
            }
        }
        Ok(())
    }

    fn ack(&mut self, name: &str, index: usize, payload: &str, request: bool) -> io::Result<()> {
        let payload = expand(&self.names, payload, false);
        let conn = &mut self.peer(name)?.conn;
        let subject = index.checked_sub(1).and_then(|i| conn.acks.get(i)).cloned();
        let subject = subject
            .ok_or_else(|| io::Error::other(format!("{name} has no message {index} to ack")))?;
        if request {
            return self.send_request(name, &subject, None, &payload, 1);
        }
        let mut out = format!("PUB {subject} {}\r\n", payload.len()).into_bytes();
        out.extend_from_slice(&payload);
        out.extend_from_slice(b"\r\n");
        self.peer(name)?.conn.send(&out);
        self.barrier(name, 0)
    }

    /// Shows what was read before, and says how many frames that were.
    fn show_queue(&mut self, name: &str) -> io::Result<usize> {
        let mut shown = 0;
        while let Some(frame) = self.peer(name)?.conn.queue.pop_front() {
            shown += 1;
            self.show(name, &frame);
        }
        Ok(shown)
    }

    fn note_end(&mut self, name: &str, end: &Got) -> io::Result<()> {
        let text = match end {
            Got::Closed => "(closed)",
            Got::Nothing => "(nothing more came)",
            Got::Frame(_) => return Err(io::Error::other("a frame is no end")),
        };
        let _ok = writeln!(self.out, "{name}< {text}");
        Ok(())
    }

    /// A whole frame. The size is left out where the contents had to be normalised.
    fn show(&mut self, name: &str, frame: &Frame) {
        let mut line = self.names.line(&frame.line);
        let mut lines = Vec::new();
        if let Some(body) = &frame.body {
            let raw = body_lines(body);
            let subject = frame.line.split(' ').nth(1).unwrap_or_default();
            let is_opaque = subject == self.case.opaque && frame.line.starts_with("MSG");
            lines = if is_opaque && !body.is_empty() {
                vec![String::from("<data>")]
            } else {
                raw.iter().map(|l| self.names.line(l)).collect()
            };
            if raw != lines {
                let sizes = if line.starts_with('H') { 2 } else { 1 };
                let head = line.rsplitn(sizes + 1, ' ').last().unwrap_or_default();
                line = format!("{head} <size>");
            }
        }
        let _ok = writeln!(self.out, "{name}< {line}");
        for line in lines {
            let _ok = writeln!(
                self.out,
                "{name}|{}{line}",
                if line.is_empty() { "" } else { " " }
            );
        }
    }

    /// An answer to a request: the inbox and the sizes say nothing, so only what it carries.
    fn show_answer(&mut self, name: &str, frame: &Frame) {
        let on_inbox = frame
            .line
            .split_whitespace()
            .nth(1)
            .is_some_and(|s| s.starts_with("_INBOX."));
        let body = frame.body.clone().unwrap_or_default();
        self.answer = String::from_utf8_lossy(&body).into_owned();
        if !on_inbox || frame.reply.is_some() {
            return self.show(name, frame);
        }
        for (number, line) in body_lines(&body).iter().enumerate() {
            let line = self.names.line(line);
            let mark = if number == 0 { '=' } else { '|' };
            let _ok = writeln!(
                self.out,
                "{name}{mark}{}{line}",
                if line.is_empty() { "" } else { " " }
            );
        }
    }
}

fn pings(block: &[u8]) -> usize {
    let text = String::from_utf8_lossy(block);
    text.lines()
        .filter(|l| l.trim().eq_ignore_ascii_case("PING"))
        .count()
}
