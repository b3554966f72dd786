//! What the reading thread hands to the judging one.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use super::board::Board;
use crate::Error;

/// Something the judging thread has to know.
#[derive(Debug)]
pub enum Message {
    /// An open waits for an answer.
    Open(Waiting),
    /// A truncation waits, or another change through something whose open was not seen.
    Access(Waiting),
    /// A file that nobody keeps is read in many pieces, each of which waits for a moment.
    Pieces(File),
    /// A file changed whose open for writing was not seen: it was truncated by its path, or had been open before the start.
    Modified {
        /// The file, read only.
        file: File,
        /// The thread that did it.
        tid: i32,
    },
    /// Names changed or files were closed: call [`super::Watch::names`] and [`super::Watch::closes`].
    Past,
    /// The kernel's queue overflowed: events are missing.
    Overflow,
    /// Descriptors ran out: let go of what can be spared.
    Crowded,
    /// Somebody asked the guard to end.
    Terminate,
    /// Events can no longer be read.
    Broken(Error),
}

/// A file that was open for writing was closed.
#[derive(Debug)]
pub struct Closed {
    /// The file, read only.
    pub file: File,
    /// The thread that closed it.
    pub tid: i32,
}

/// Something that waits; dropped unanswered, it passes.
#[derive(Debug)]
pub struct Waiting {
    /// The file, read only, with the content that it has before what waits takes effect.
    pub file: Arc<File>,
    /// The thread that waits.
    pub tid: i32,
    group: Arc<OwnedFd>,
    board: Arc<Board>,
    number: u64,
    answered: bool,
}

impl Waiting {
    pub(super) fn new(file: File, tid: i32, group: Arc<OwnedFd>, board: Arc<Board>) -> Self {
        let number = board.enter(tid);
        Self { file: Arc::new(file), tid, group, board, number, answered: false }
    }

    /// Refuses it; the caller gets EPERM.
    pub fn deny(mut self) {
        self.answer(libc::FAN_DENY);
    }

    fn answer(&mut self, response: u32) {
        if !std::mem::replace(&mut self.answered, true) {
            respond(&self.group, self.file.as_raw_fd(), response);
            self.board.leave(self.number);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.answer(libc::FAN_ALLOW);
    }
}

pub(super) fn respond(group: &OwnedFd, fd: i32, response: u32) {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&fd.to_ne_bytes());
    bytes[4..].copy_from_slice(&response.to_ne_bytes());
    // The only failures are an event that is answered already and a waiter that was killed: both need nothing more.
    let _ = rustix::io::write(group, &bytes);
}
