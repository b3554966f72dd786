//! The thread of one watcher: starts it, listens, starts it again.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, TrySendError};
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use schema::{WatcherHealth, WatcherState};

use super::backoff::Backoff;
use super::bucket::Bucket;
use super::intake::{Intake, Kind};
use super::lines::{Lines, Piece};
use super::{Message, Program, Spec};

const READ_BYTES: usize = 64 * 1024;
/// Counters alone are told of at most this often.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// The keeper ends what outlives its time of grace; this long after that it is ended itself.
const KEEPER_LATE: Duration = Duration::from_secs(2);
/// What a watcher that has ended still left in its pipes is read for so long.
const LEFTOVERS: Duration = Duration::from_secs(2);
/// Nothing of the hub's environment is handed on, and a search path is needed to find programs at all.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the thread is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Restart,
    Stop,
}

pub(super) struct Runner {
    spec: Spec,
    own: PathBuf,
    messages: Sender<Message>,
    intake: Arc<Mutex<Intake>>,
    orders: Receiver<Order>,
    awake: OwnedFd,
    name: Arc<str>,
    bucket: Bucket,
    backoff: Backoff,
    /// The hub did not take a line within its patience: lines are dropped without waiting until it takes one again.
    hub_is_stuck: bool,
    told: Option<(Instant, WatcherHealth)>,
}

/// A watcher while it runs.
struct Run {
    keeper: Child,
    pid: Option<Pid>,
    /// Readable once the keeper has ended.
    ended: OwnedFd,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    lines: Lines,
    first_line: bool,
    ready_since: Option<Instant>,
    asked: Option<(Order, Instant)>,
}

impl Runner {
    pub(super) fn new(
        spec: Spec,
        own: PathBuf,
        messages: Sender<Message>,
        intake: Arc<Mutex<Intake>>,
        orders: Receiver<Order>,
        awake: OwnedFd,
    ) -> Self {
        let limits = spec.limits;
        let bucket = Bucket::new(limits.lines_per_second_max, limits.burst_lines_max, Instant::now());
        Self {
            name: Arc::from(spec.name.as_str()),
            spec,
            own,
            messages,
            intake,
            orders,
            awake,
            bucket,
            backoff: Backoff::new(&limits),
            hub_is_stuck: false,
            told: None,
        }
    }

    pub(super) fn run(mut self) {
        let mut again = false;
        loop {
            self.intake().begin(again);
            self.tell();
            again = true;
            let ready = match self.start() {
                Ok(mut run) => match self.listen(&mut run) {
                    Some(Order::Stop) => return self.stopped(),
                    Some(Order::Restart) => {
                        self.backoff.forgive();
                        continue;
                    }
                    None => run.ready_since.map(|since| since.elapsed()),
                },
                Err(error) => {
                    self.intake()
                        .ended(WatcherState::BackingOff, &format!("it could not be started: {error}"));
                    None
                }
            };
            let pause = self.backoff.pause(ready);
            self.tell();
            match self.orders.recv_timeout(pause) {
                Ok(Order::Stop) | Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                    return self.stopped();
                }
                Ok(Order::Restart) => self.backoff.forgive(),
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn stopped(&mut self) {
        self.intake().ended_well();
        self.tell();
    }

    fn start(&self) -> std::io::Result<Run> {
        let mut keeper = self.command().spawn()?;
        let pid = i32::try_from(keeper.id()).ok().and_then(Pid::from_raw);
        let opened = pid.ok_or(rustix::io::Errno::SRCH).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let ended = match opened {
            Ok(ended) => ended,
            Err(error) => {
                let _ = keeper.kill();
                let _ = keeper.wait();
                return Err(error.into());
            }
        };
        Ok(Run {
            pid,
            ended,
            stdout: keeper.stdout.take(),
            stderr: keeper.stderr.take(),
            keeper,
            lines: Lines::new(self.spec.limits.line_bytes_max),
            first_line: true,
            ready_since: None,
            asked: None,
        })
    }

    /// The keeper, in a process group of its own so that a terminal's Ctrl-C reaches the hub alone.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.own);
        let grace_ms = self.spec.limits.grace_ms.to_string();
        command.args(["confine", "--keep-ms", &grace_ms, "--parent", &std::process::id().to_string()]);
        command.args(self.spec.confinement.args()).arg("--");
        match &self.spec.program {
            Program::Own(words) => command.arg(&self.own).args(words),
            Program::Exec(words) => command.args(words),
        };
        command.env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
        command.envs(self.spec.env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }

    /// Takes in what the watcher says until it has ended; why it was asked to, if it was.
    fn listen(&mut self, run: &mut Run) -> Option<Order> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let [out, err, woken, ended] = self.wait(run);
            if woken {
                self.take_orders(run);
            }
            if err {
                self.hear_stderr(run, &mut buffer);
            }
            if out {
                self.hear(run, &mut buffer);
            }
            self.enforce(run);
            if ended {
                return self.end(run, &mut buffer);
            }
            self.tell_now_and_then();
        }
    }

    /// Sleeps until one of stdout, stderr, an order or the watcher's end needs a look.
    fn wait(&self, run: &Run) -> [bool; 4] {
        let nothing = self.awake.as_fd();
        let of = |fd: Option<BorrowedFd<'_>>| fd.map_or(PollFlags::empty(), |_| PollFlags::IN);
        let (out, err) = (run.stdout.as_ref().map(AsFd::as_fd), run.stderr.as_ref().map(AsFd::as_fd));
        let mut fds = [
            PollFd::from_borrowed_fd(out.unwrap_or(nothing), of(out)),
            PollFd::from_borrowed_fd(err.unwrap_or(nothing), of(err)),
            PollFd::from_borrowed_fd(self.awake.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(run.ended.as_fd(), PollFlags::IN),
        ];
        let nap = self.nap(run);
        let timeout = nap.and_then(|nap| rustix::time::Timespec::try_from(nap).ok());
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return [false; 4];
        }
        let [out_is, err_is, woken, ended] = fds.each_ref().map(|fd| !fd.revents().is_empty());
        [out_is && out.is_some(), err_is && err.is_some(), woken, ended]
    }

    /// Until the next thing that is due without anybody's doing; `None` when nothing is.
    fn nap(&self, run: &Run) -> Option<Duration> {
        let late = run.asked.map(|(_, at)| {
            (at + self.spec.limits.grace() + KEEPER_LATE).saturating_duration_since(Instant::now())
        });
        let told = self.told.as_ref().filter(|(_, health)| *health != self.intake().health());
        let told = told.map(|(at, _)| (*at + TOLD_EVERY).saturating_duration_since(Instant::now()));
        late.into_iter().chain(told).min().map(|nap| nap.max(Duration::from_millis(1)))
    }

    fn take_orders(&mut self, run: &mut Run) {
        let mut bytes = [0; 64];
        while rustix::io::read(&self.awake, &mut bytes).is_ok_and(|len| len == bytes.len()) {}
        while let Ok(order) = self.orders.try_recv() {
            match run.asked {
                None => {
                    run.asked = Some((order, Instant::now()));
                    if let Some(pid) = run.pid {
                        let _ = kill_process(pid, Signal::TERM);
                    }
                }
                // To end weighs more than to start again.
                Some((_, at)) if order == Order::Stop => run.asked = Some((order, at)),
                Some(_) => {}
            }
        }
    }

    /// Ends a keeper that does not end what it keeps.
    fn enforce(&self, run: &Run) {
        let late = |at: Instant| at.elapsed() >= self.spec.limits.grace() + KEEPER_LATE;
        if run.asked.is_some_and(|(_, at)| late(at)) {
            run.kill();
        }
    }

    fn hear_stderr(&self, run: &mut Run, buffer: &mut [u8]) {
        let Some(stderr) = &run.stderr else { return };
        match rustix::io::read(stderr, &mut *buffer) {
            Ok(0) => run.stderr = None,
            Ok(len) => self.intake().heard_on_stderr(buffer.get(..len).unwrap_or_default()),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => run.stderr = None,
        }
    }

    fn hear(&mut self, run: &mut Run, buffer: &mut [u8]) {
        let Some(stdout) = &run.stdout else { return };
        let len = match rustix::io::read(stdout, &mut *buffer) {
            Ok(len) => len,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return,
            Err(_) => 0,
        };
        let now = Timestamp::now();
        let Run { lines, first_line, ready_since, .. } = run;
        let mut each = |piece: Piece<'_>| self.take_in(&piece, std::mem::take(first_line), ready_since, now);
        if len == 0 {
            lines.end(&mut each);
            run.stdout = None;
        } else {
            lines.push(buffer.get(..len).unwrap_or_default(), &mut each);
        }
    }

    fn take_in(
        &mut self,
        piece: &Piece<'_>,
        is_first: bool,
        ready_since: &mut Option<Instant>,
        now: Timestamp,
    ) {
        // Before anything is parsed: a flood shall cost as little as possible.
        if !self.bucket.take(Instant::now()) {
            let share = self.spec.limits.lines_per_second_max;
            return self.intake().dropped(&format!("it sends more than {share} lines a second"), now);
        }
        let line = match piece {
            Piece::Line(line) => line,
            Piece::TooLong(start) => {
                return self.intake().too_long(start, self.spec.limits.line_bytes_max, now);
            }
        };
        let kind = self.intake().line(line, is_first, now);
        match kind {
            Kind::Garbage => return,
            Kind::Confined => return self.tell(),
            Kind::Ready => {
                ready_since.get_or_insert_with(Instant::now);
                self.tell();
            }
            Kind::Line => {}
        }
        let (watcher, class) = (Arc::clone(&self.name), self.spec.class);
        self.pass_on(Message::Line { watcher, class, bytes: line.to_vec(), arrived: now });
    }

    /// Waits for a busy hub as long as its patience lasts, once; then lines are dropped until it takes one again.
    fn pass_on(&mut self, line: Message) {
        let patience = if self.hub_is_stuck { Duration::ZERO } else { self.spec.limits.patience() };
        match self.messages.send_timeout(line, patience) {
            Ok(()) => self.hub_is_stuck = false,
            Err(SendTimeoutError::Timeout(_)) => {
                self.hub_is_stuck = true;
                self.intake().lost("the hub was too busy to take them");
            }
            Err(SendTimeoutError::Disconnected(_)) => self.intake().lost("the hub no longer takes any"),
        }
    }

    /// Reads what is left, and says how it ended.
    fn end(&mut self, run: &mut Run, buffer: &mut [u8]) -> Option<Order> {
        let until = Instant::now() + LEFTOVERS;
        // Somebody who escaped the keeper may hold the pipe open for good.
        while (run.stdout.is_some() || run.stderr.is_some()) && Instant::now() < until {
            let [out, err, ..] = self.leftovers(run);
            if !out && !err {
                break;
            }
            if err {
                self.hear_stderr(run, buffer);
            }
            if out {
                self.hear(run, buffer);
            }
        }
        let status = run.keeper.wait();
        // Reaped: its id may be somebody else's from now on.
        run.pid = None;
        self.take_orders(run);
        let asked = run.asked.map(|(order, _)| order);
        if asked.is_none() {
            let how = status.map_or_else(|error| format!("it is lost: {error}"), in_words);
            self.intake().ended(WatcherState::BackingOff, &how);
        }
        asked
    }

    fn leftovers(&self, run: &Run) -> [bool; 2] {
        let fds = [run.stdout.as_ref().map(AsFd::as_fd), run.stderr.as_ref().map(AsFd::as_fd)];
        let timeout = rustix::time::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        fds.map(|fd| {
            fd.is_some_and(|fd| {
                let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
                poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
            })
        })
    }

    fn tell_now_and_then(&mut self) {
        let is_due = self.told.as_ref().is_none_or(|(at, _)| at.elapsed() >= TOLD_EVERY);
        if is_due {
            self.tell();
        }
    }

    /// Tells how the watcher stands if that is news. A hub without room is told the next time.
    fn tell(&mut self) {
        let health = self.intake().health();
        if self.told.as_ref().is_some_and(|(_, told)| *told == health) {
            return;
        }
        match self.messages.try_send(Message::Health(health.clone())) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => self.told = Some((Instant::now(), health)),
            Err(TrySendError::Full(_)) => {}
        }
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    fn kill(&self) {
        if let Some(pid) = self.pid {
            let _ = kill_process_group(pid, Signal::KILL);
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Drop for Run {
    /// A thread that unwinds leaves nobody behind: the keeper ends with the thread that started it, and is reaped here.
    fn drop(&mut self) {
        if matches!(self.keeper.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.keeper.wait();
        }
    }
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "it ended by itself (exit status 0)".to_owned(),
        (Some(code), _) => format!("it ended with exit status {code}"),
        (None, Some(signal)) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("unknown");
            format!("it was ended by signal {signal} ({name})")
        }
        (None, None) => "it ended".to_owned(),
    }
}
