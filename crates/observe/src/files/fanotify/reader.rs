//! The thread that reads the content group. It answers the guard's own opens itself, at once: the judging thread opens files too.
//!
//! It never waits for the judging thread, and it passes nothing on its own account while there is room: what waits, waits. Only when
//! more opens wait than there are descriptors for does it decide: reads of actors without unjudged writes pass, the rest is refused.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rustix::event::{PollFd, PollFlags, poll};

use super::super::limits::Reserve;
use super::super::process::{Intent, intent};
use super::access::{Access, Pieces, access};
use super::board::Board;
use super::message::{Message, Waiting, respond};
use super::{BUFFER, FAN_PRE_ACCESS, event, sys};
use crate::Error;

/// Between two messages that names have changed.
const NAMES_EVERY: Duration = Duration::from_millis(5);
/// How long the reader waits for anything at all.
const IDLE: Duration = Duration::from_millis(20);

pub(super) struct Reader {
    pub(super) content: Arc<OwnedFd>,
    pub(super) names: Arc<OwnedFd>,
    pub(super) termination: OwnedFd,
    pub(super) stopped: OwnedFd,
    pub(super) send: Sender<Message>,
    pub(super) pending: Arc<AtomicBool>,
    pub(super) board: Arc<Board>,
    pub(super) waiting_max: usize,
}

impl Reader {
    pub(super) fn run(self) {
        if let Err(source) = self.read() {
            let _ = self.send.send(Message::Broken(Error::Read(source)));
        }
    }

    fn read(&self) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        let (mut reserve, mut pieces) = (Reserve::take(), Pieces::default());
        let mut names_due = Instant::now();
        loop {
            // Names are read before each open anyway; in between, a message for each would wake two threads for every file that is
            // made. While one is under way the descriptor stays readable and would make this loop spin.
            let rest = names_due.saturating_duration_since(Instant::now());
            let is_due = rest.is_zero() && !self.pending.load(Ordering::SeqCst);
            let names = if is_due { PollFlags::IN } else { PollFlags::empty() };
            let mut ready = [
                PollFd::new(&self.content, PollFlags::IN),
                PollFd::new(&self.stopped, PollFlags::IN),
                PollFd::new(&self.termination, PollFlags::IN),
                PollFd::new(&self.names, names),
            ];
            let rest = if rest.is_zero() { IDLE } else { rest };
            let timeout = rustix::time::Timespec { tv_sec: 0, tv_nsec: rest.subsec_nanos().into() };
            let quiet = match poll(&mut ready, Some(&timeout)) {
                Ok(ready) => ready == 0,
                Err(rustix::io::Errno::INTR) => false,
                Err(error) => return Err(error.into()),
            };
            let [content, stopped, termination, names] = ready.each_ref().map(|fd| !fd.revents().is_empty());
            if content {
                self.content(&mut buffer, &mut reserve, &mut pieces)?;
            }
            if quiet {
                reserve.refill();
            }
            if names {
                names_due = Instant::now() + NAMES_EVERY;
                if !self.pending.swap(true, Ordering::SeqCst) {
                    let _ = self.send.send(Message::Names);
                }
            }
            if termination {
                let mut signal = [0; 128];
                if rustix::io::read(&self.termination, &mut signal).is_ok() {
                    let _ = self.send.send(Message::Terminate);
                }
            }
            if stopped {
                return Ok(());
            }
        }
    }

    fn content(&self, buffer: &mut [u8], reserve: &mut Reserve, pieces: &mut Pieces) -> io::Result<()> {
        let len = match rustix::io::read(&self.content, &mut *buffer) {
            Ok(len) => len,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(()),
            // The kernel has refused the open that it could not hand over. The reserve makes room for the next ones, while the judging
            // thread lets go of files that are only remembered.
            Err(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => {
                self.board.count_lost();
                if reserve.release() {
                    let _ = self.send.send(Message::Crowded);
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for event in event::events(buffer.get(..len).unwrap_or_default()) {
            if event.mask & libc::FAN_Q_OVERFLOW != 0 {
                let _ = self.send.send(Message::Overflow);
            }
            let Some(file) = sys::adopt(event.fd).map(File::from) else { continue };
            let is_own = sys::is_own(event.pid);
            if event.mask & (libc::FAN_OPEN_PERM | FAN_PRE_ACCESS) == 0 {
                self.told(event.mask, file, event.pid, is_own);
            } else if is_own {
                respond(&self.content, file.as_raw_fd(), libc::FAN_ALLOW);
            } else if event.mask & libc::FAN_OPEN_PERM != 0 {
                self.hold(file, event.pid, Message::Open);
            } else {
                match access(event.pid, event.bytes()) {
                    Access::Read => self.piece(file, pieces),
                    Access::Change => self.hold(file, event.pid, Message::Access),
                }
            }
        }
        Ok(())
    }

    fn told(&self, mask: u64, file: File, tid: i32, is_own: bool) {
        if is_own {
            return;
        }
        // Each of them holds a descriptor. What is lost here is measured all the same before its writer's next open.
        if self.send.len() > self.waiting_max {
            self.board.count_lost();
            return;
        }
        let closed = mask & libc::FAN_CLOSE_WRITE != 0;
        let _ = self.send.send(if closed {
            Message::Closed { file, tid }
        } else {
            Message::Modified { file, tid }
        });
    }

    fn piece(&self, file: File, pieces: &mut Pieces) {
        respond(&self.content, file.as_raw_fd(), libc::FAN_ALLOW);
        let key = file.metadata().map(|meta| (meta.dev(), meta.ino()));
        if key.is_ok_and(|key| pieces.is_enough(key)) {
            let _ = self.send.send(Message::Pieces(file));
        }
    }

    fn hold(&self, file: File, tid: i32, kind: fn(Waiting) -> Message) {
        let waiting = Waiting::new(file, tid, Arc::clone(&self.content), Arc::clone(&self.board));
        if self.board.waiting() <= self.waiting_max {
            let _ = self.send.send(kind(waiting));
        } else if intent(tid) == Intent::Read && self.board.unjudged(tid).is_none() {
            self.board.count_passed();
        } else {
            self.board.count_denied();
            waiting.deny();
        }
    }
}
