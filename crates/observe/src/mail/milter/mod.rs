//! The milter protocol (version 6, as Postfix and Sendmail speak it), server side.
//!
//! A thread for each connection, since a mail server opens few and lets each wait; a broken or hanging one harms no other. Mails are
//! judged by a few threads of their own, while the mail server is told that it is being worked at. Nothing is answered with
//! [`Decision::Discard`] before [`Handler::decide`] returned it, so that whoever has to keep a mail has kept it by then.
//!
//! Written here because the libraries at hand answer the end of a mail only once all is done: the mail server would give up on
//! a long judgement.

mod packet;
mod session;
#[cfg(test)]
mod tests;
mod values;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use rustix::event::{PollFd, PollFlags, poll};

pub use values::{BadListen, Bounds, Decision, Edit, Envelope, Field, Listen, Mail, Trouble};

use crate::Error;
use session::Session;

/// How often it is looked whether the server shall end.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long mails that are being judged are waited for at the end.
const LAST_MAILS: Duration = Duration::from_secs(10);

/// What is done with mails.
pub struct Handler<J> {
    /// Weighs a mail: it may take its time, break off or be given up.
    #[allow(clippy::type_complexity, reason = "one place")]
    pub judge: Box<dyn Fn(&Mail) -> J + Send + Sync>,
    /// Says what becomes of it, and keeps what must be kept before it returns. Quick; called once for each mail.
    #[allow(clippy::type_complexity, reason = "one place")]
    pub decide: Box<dyn Fn(&Mail, Result<J, Trouble>) -> Decision + Send + Sync>,
}

impl<J> std::fmt::Debug for Handler<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

/// Bound, and not yet serving.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    /// The socket's file, removed at the end.
    path: Option<PathBuf>,
}

#[derive(Debug)]
enum Listener {
    Unix(UnixListener),
    Inet(TcpListener),
}

#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Inet(TcpStream),
}

struct Job<J> {
    mail: Arc<Mail>,
    answer: Sender<J>,
}

struct Core<J> {
    handler: Handler<J>,
    bounds: Bounds,
    held: Arc<AtomicUsize>,
    jobs: Sender<Job<J>>,
    /// Mails between their end and their answer.
    busy: AtomicUsize,
}

impl Server {
    /// Listens from now on. A Unix socket may be written to by everybody: who reaches it is the business of its folder.
    pub fn bind(listen: &Listen) -> Result<Self, Error> {
        let failed = |source| Error::MailListen { at: listen.to_string(), source };
        match listen {
            Listen::Unix(path) => {
                remove_stale(path).map_err(failed)?;
                let socket = UnixListener::bind(path).map_err(failed)?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map_err(failed)?;
                socket.set_nonblocking(true).map_err(failed)?;
                Ok(Self { listener: Listener::Unix(socket), path: Some(path.clone()) })
            }
            Listen::Inet(at) => {
                let socket = TcpListener::bind(at).map_err(failed)?;
                socket.set_nonblocking(true).map_err(failed)?;
                Ok(Self { listener: Listener::Inet(socket), path: None })
            }
        }
    }

    /// Serves until `stop` says otherwise; then the mails that are being judged get their answers.
    pub fn serve<J: Send + 'static>(
        self,
        handler: Handler<J>,
        bounds: Bounds,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        let (jobs, waiting) = bounded(bounds.workers);
        let held = Arc::new(AtomicUsize::new(0));
        let core = Arc::new(Core { handler, bounds, held, jobs, busy: AtomicUsize::new(0) });
        for _ in 0..bounds.workers.max(1) {
            let (core, waiting) = (Arc::clone(&core), waiting.clone());
            let work = move || work(&core, &waiting);
            thread::Builder::new().name("judge".into()).spawn(work).map_err(Error::MailThread)?;
        }
        let open = Arc::new(AtomicUsize::new(0));
        while !stop.load(Ordering::Relaxed) {
            let Some(stream) = self.accept() else { continue };
            let Some(seat) = Seat::take(&open, bounds.connections) else { continue };
            let core = Arc::clone(&core);
            let answer = move || {
                let _seat = seat;
                // Whoever breaks the protocol, or goes away, is let go; the mail server still has its mail.
                let _ = stream.bound(core.bounds.idle).and_then(|()| Session::new(&core, stream).run());
            };
            // Without a thread the connection is closed, which the mail server takes for a milter that is down.
            let _ = thread::Builder::new().name("milter".into()).spawn(answer);
        }
        let until = Instant::now() + LAST_MAILS;
        while core.busy.load(Ordering::Relaxed) > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Who connects next; `None` when nobody did for a moment.
    fn accept(&self) -> Option<Stream> {
        let mut waits = [PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN)];
        let timeout = rustix::time::Timespec::try_from(LOOK_EVERY).ok();
        if poll(&mut waits, timeout.as_ref()).unwrap_or(0) == 0 {
            return None;
        }
        let accepted = match &self.listener {
            Listener::Unix(listener) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
            Listener::Inet(listener) => listener.accept().map(|(stream, _)| Stream::Inet(stream)),
        };
        match accepted {
            Ok(stream) => Some(stream),
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    // No descriptors left: those who are here must end first.
                    thread::sleep(LOOK_EVERY);
                }
                None
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// A killed one leaves its socket behind, on which nobody listens.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(()) };
    if !meta.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else has that name"));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process serves it")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Unix(listener) => listener.as_fd(),
            Listener::Inet(listener) => listener.as_fd(),
        }
    }
}

impl Stream {
    /// Nobody waits for a mail server for ever, neither to speak nor to listen.
    fn bound(&self, idle: Duration) -> io::Result<()> {
        match self {
            Stream::Unix(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(idle))?;
                stream.set_write_timeout(Some(idle))
            }
            Stream::Inet(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(idle))?;
                stream.set_write_timeout(Some(idle))
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.read(into),
            Stream::Inet(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.write(bytes),
            Stream::Inet(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One of the connections that may be open at once.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(open: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let seat = Self(Arc::clone(open));
        (open.fetch_add(1, Ordering::Relaxed) < most).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn work<J>(core: &Core<J>, waiting: &Receiver<Job<J>>) {
    while let Ok(Job { mail, answer }) = waiting.recv() {
        // A judge that breaks off is told by the answer that never comes.
        if let Ok(judged) = catch_unwind(AssertUnwindSafe(|| (core.handler.judge)(&mail))) {
            let _ = answer.send(judged);
        }
    }
}

impl<J: Send + 'static> Core<J> {
    /// What the judge says, while `progress` is told from time to time. An error: the mail server went away.
    fn judged(
        &self,
        mail: &Arc<Mail>,
        mut progress: impl FnMut() -> io::Result<()>,
    ) -> io::Result<Result<J, Trouble>> {
        let until = Instant::now() + self.bounds.judge_within;
        let pause = || self.bounds.progress_every.min(until.saturating_duration_since(Instant::now()));
        let is_late = || Instant::now() >= until;
        let (answer, answered) = bounded(1);
        let mut job = Job { mail: Arc::clone(mail), answer };
        loop {
            match self.jobs.send_timeout(job, pause()) {
                Ok(()) => break,
                Err(SendTimeoutError::Disconnected(_)) => return Ok(Err(Trouble::Broke)),
                Err(SendTimeoutError::Timeout(_)) if is_late() => return Ok(Err(Trouble::Late)),
                Err(SendTimeoutError::Timeout(back)) => job = back,
            }
            progress()?;
        }
        loop {
            match answered.recv_timeout(pause()) {
                Ok(judged) => return Ok(Ok(judged)),
                Err(RecvTimeoutError::Disconnected) => return Ok(Err(Trouble::Broke)),
                Err(RecvTimeoutError::Timeout) if is_late() => return Ok(Err(Trouble::Late)),
                Err(RecvTimeoutError::Timeout) => progress()?,
            }
        }
    }

    fn decided(&self, mail: &Mail, judged: Result<J, Trouble>) -> Decision {
        let decided = catch_unwind(AssertUnwindSafe(|| (self.handler.decide)(mail, judged)));
        decided.unwrap_or_else(|_| Decision::TryLater { line: "not examined; try again later".to_owned() })
    }
}

impl<J> Core<J> {
    fn busy(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(&self.busy)
    }
}

struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
