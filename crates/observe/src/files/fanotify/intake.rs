//! Reading the groups that hand over files: events become messages, and the guard's own opens are answered at once.
//!
//! Nothing passes on its own account while there is room: what waits, waits. Only when more opens wait than there are descriptors for is
//! it decided here: reads of actors without unjudged writes pass, the rest is refused.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::limits::Reserve;
use super::super::process::{Intent, intent};
use super::access::{Access, Pieces, access};
use super::board::Board;
use super::message::{Closed, Message, Waiting, respond};
use super::{BUFFER, FAN_PRE_ACCESS, event, sys};

/// So long a thread that is not ours stays that: its number is not given out again so soon.
const STRANGE: Duration = Duration::from_millis(10);

/// What reading needs; one thread reads at a time.
#[derive(Debug)]
pub(super) struct Intake {
    content: Arc<OwnedFd>,
    closes: Arc<OwnedFd>,
    board: Arc<Board>,
    waiting_max: usize,
    /// Kept: filling 64 KiB anew for each open would cost more than the reading.
    buffer: Vec<u8>,
    reserve: Reserve,
    pieces: Pieces,
    /// A thread that was no thread of this process, and when that was asked: a job opens thousands of files from one.
    stranger: Option<(i32, Instant)>,
    /// What was read and is not handed over yet.
    read: Vec<Message>,
    closed: Vec<Closed>,
}

impl Intake {
    /// Of the content group and the one that tells of closes.
    pub(super) fn new([content, closes]: [Arc<OwnedFd>; 2], board: Arc<Board>, waiting_max: usize) -> Self {
        Self {
            content,
            closes,
            board,
            waiting_max,
            buffer: vec![0; BUFFER],
            reserve: Reserve::take(),
            pieces: Pieces::default(),
            stranger: None,
            read: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// Takes the reserve of descriptors again, in a quiet moment.
    pub(super) fn refill(&mut self) {
        self.reserve.refill();
    }

    /// Reads what waits. `queued` is how many messages are on their way already: each of them holds a descriptor.
    pub(super) fn read(&mut self, queued: usize) -> io::Result<impl Iterator<Item = Message>> {
        self.read_from(&Arc::clone(&self.content), queued)?;
        Ok(self.read.drain(..))
    }

    /// Reads what was closed.
    pub(super) fn closes(&mut self) -> io::Result<impl Iterator<Item = Closed>> {
        self.read_from(&Arc::clone(&self.closes), 0)?;
        Ok(self.closed.drain(..))
    }

    fn read_from(&mut self, group: &OwnedFd, queued: usize) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let taken = self.take_in(group, &mut buffer, queued);
        self.buffer = buffer;
        taken
    }

    fn take_in(&mut self, group: &OwnedFd, buffer: &mut [u8], queued: usize) -> io::Result<()> {
        let len = match rustix::io::read(group, &mut *buffer) {
            Ok(len) => len,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(()),
            // The kernel has refused the open that it could not hand over. The reserve makes room for the next ones, while the judging
            // thread lets go of files that are only remembered.
            Err(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => {
                self.board.count_lost();
                if self.reserve.release() {
                    self.read.push(Message::Crowded);
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for event in event::events(buffer.get(..len).unwrap_or_default()) {
            if event.mask & libc::FAN_Q_OVERFLOW != 0 {
                self.read.push(Message::Overflow);
            }
            let Some(file) = sys::adopt(event.fd).map(File::from) else { continue };
            let is_own = self.is_own(event.pid);
            if event.mask & (libc::FAN_OPEN_PERM | FAN_PRE_ACCESS) == 0 {
                self.told(event.mask, file, event.pid, is_own, queued);
            } else if is_own {
                respond(&self.content, file.as_raw_fd(), libc::FAN_ALLOW);
            } else if event.mask & libc::FAN_OPEN_PERM != 0 {
                self.hold(file, event.pid, Message::Open);
            } else {
                match access(event.pid, event.bytes()) {
                    Access::Read => self.piece(file),
                    Access::Change => self.hold(file, event.pid, Message::Access),
                }
            }
        }
        Ok(())
    }

    fn is_own(&mut self, tid: i32) -> bool {
        let now = Instant::now();
        if self.stranger.is_some_and(|(known, asked)| known == tid && now.duration_since(asked) < STRANGE) {
            return false;
        }
        let is_own = sys::is_own(tid);
        if !is_own {
            self.stranger = Some((tid, now));
        }
        is_own
    }

    fn told(&mut self, mask: u64, file: File, tid: i32, is_own: bool, queued: usize) {
        if is_own {
            return;
        }
        // Each of them holds a descriptor. What is lost here is measured all the same before its writer's next open.
        if queued + self.read.len() + self.closed.len() > self.waiting_max {
            self.board.count_lost();
        } else if mask & libc::FAN_CLOSE_WRITE != 0 {
            self.closed.push(Closed { file, tid });
        } else {
            self.read.push(Message::Modified { file, tid });
        }
    }

    fn piece(&mut self, file: File) {
        respond(&self.content, file.as_raw_fd(), libc::FAN_ALLOW);
        let key = file.metadata().map(|meta| (meta.dev(), meta.ino()));
        if key.is_ok_and(|key| self.pieces.is_enough(key)) {
            self.read.push(Message::Pieces(file));
        }
    }

    fn hold(&mut self, file: File, tid: i32, kind: fn(Waiting) -> Message) {
        let waiting = Waiting::new(file, tid, Arc::clone(&self.content), Arc::clone(&self.board));
        if self.board.waiting() <= self.waiting_max {
            self.read.push(kind(waiting));
        } else if intent(tid) == Intent::Read && self.board.unjudged(tid).is_none() {
            self.board.count_passed();
        } else {
            self.board.count_denied();
            waiting.deny();
        }
    }
}
