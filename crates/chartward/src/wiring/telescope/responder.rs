//! The responder in its sandbox, and what it hears on its way into the observations.
//!
//! The command opens the listener and starts itself again behind `chartward confine`: another user, no files to write to, no sockets of
//! its own. What that process prints is a claim of strangers and is read as such.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use ::observe::responder::{Heard, Limits, serve};
use anyhow::{Context, bail};
use jiff::Timestamp;
use judge::telescope::{Confirmed, Day};
use prove::observation::{Store, version};
use schema::SystemVersion;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{keep, observe};
use crate::supervise::Confinement;

const LINE_MAX: u64 = 512;
const WAITING_MAX: usize = 1024;
/// How much of what was heard a power cut may take.
const KEPT_EVERY: Duration = Duration::from_secs(10);
const DAY_MICROS: i64 = 86_400_000_000;

/// What crosses from the sandbox.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    source: IpAddr,
    port: u16,
    version: SystemVersion,
}

/// Inside the sandbox: serves the listener that is the standard input, and prints a line for each version that is heard.
pub(crate) fn converse() -> anyhow::Result<()> {
    let listener: OwnedFd =
        std::io::stdin().as_fd().try_clone_to_owned().context("take over the listener")?;
    let print = |heard: Heard| {
        let Heard { source, port, version } = heard;
        let line = serde_json::to_string(&Line { source, port, version }).unwrap_or_default();
        let mut stdout = std::io::stdout().lock();
        // A parent that is gone takes this process with it.
        let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    };
    serve(&TcpListener::from(listener), Limits::default(), print).context("answer")
}

/// Answers at an address until a signal ends it. Says how many claims were kept.
pub(crate) fn respond(
    state: &Path,
    sensor: &str,
    listen: SocketAddr,
    mut tell: impl FnMut(&Value),
) -> anyhow::Result<u64> {
    let store = Store::open(state)?;
    let over = observe::ended()?;
    let listener = TcpListener::bind(listen).with_context(|| format!("listen at {listen}"))?;
    let listen = listener.local_addr().context("see where the listener is")?;
    let mut child = Sandboxed::start(listener)?;
    let mut book = Book { sensor, days: Vec::new(), kept: 0, since: Instant::now() };
    while !over.load(Ordering::Relaxed) {
        match child.lines.recv_timeout(Duration::from_millis(300)) {
            Ok(line) => match serde_json::from_str::<Line>(&line) {
                Ok(line) => {
                    let at = Timestamp::now();
                    tell(&json!({
                        "type": "heard", "at": at, "source": line.source, "port": line.port, "version": line.version,
                        "said": version(line.version), "forgeable": true,
                    }));
                    book.enter(&line, at.as_microsecond());
                }
                Err(_) => {
                    if let Some(confined) =
                        serde_json::from_str::<Value>(&line).ok().filter(|it| it["type"] == "confined")
                    {
                        tell(&json!({"type": "ready", "listen": listen.to_string(), "confined": confined}));
                    }
                }
            },
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                book.keep(&store)?;
                bail!("the responder ended by itself: {}", child.why());
            }
        }
        if book.since.elapsed() >= KEPT_EVERY {
            book.keep(&store)?;
        }
    }
    book.keep(&store)?;
    Ok(book.kept)
}

/// Claims that are not kept yet.
struct Book<'a> {
    sensor: &'a str,
    days: Vec<Day>,
    kept: u64,
    since: Instant,
}

impl Book<'_> {
    fn enter(&mut self, line: &Line, at: i64) {
        let number = at.div_euclid(DAY_MICROS);
        let confirmed = Confirmed { source: line.source, port: line.port, version: line.version, at };
        match self.days.iter_mut().find(|day| day.number == number) {
            Some(day) => day.confirmed.push(confirmed),
            None => {
                let mut day = Day::new(number, self.sensor);
                day.confirmed.push(confirmed);
                self.days.push(day);
            }
        }
        self.kept += 1;
    }

    fn keep(&mut self, store: &Store) -> anyhow::Result<()> {
        self.since = Instant::now();
        self.days.drain(..).try_for_each(|day| keep::add(store, day))
    }
}

/// The process that talks with strangers. Dropped, it is ended.
struct Sandboxed {
    child: Child,
    lines: Receiver<String>,
}

impl Sandboxed {
    fn start(listener: TcpListener) -> anyhow::Result<Sandboxed> {
        let own = std::env::current_exe().context("find this program")?;
        let confinement = Confinement {
            // It accepts, which the filter allows only with them; Landlock leaves it no file and no port.
            local_sockets: true,
            open_files_max: Some(128),
            processes_max: Some(96),
            ..Confinement::default()
        };
        let mut command = Command::new(&own);
        command.args(["confine", "--parent", &std::process::id().to_string()]).args(confinement.args());
        command.arg("--").arg(&own).args(["telescope", "respond", "--inherited"]);
        command.stdin(Stdio::from(OwnedFd::from(listener))).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("start the responder")?;
        let stdout = child.stdout.take().context("hear the responder")?;
        let (send, lines) = sync_channel(WAITING_MAX);
        std::thread::spawn(move || carry(stdout, &send));
        Ok(Sandboxed { child, lines })
    }

    fn why(&mut self) -> String {
        let mut text = String::new();
        if let Some(stderr) = self.child.stderr.take() {
            let _ = stderr.take(2048).read_to_string(&mut text);
        }
        text.trim().to_owned()
    }
}

impl Drop for Sandboxed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines with a bound, since who prints them may have been taken over.
fn carry(stdout: impl Read, lines: &SyncSender<String>) {
    let mut input = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match (&mut input).take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if lines.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
            return;
        }
    }
}
