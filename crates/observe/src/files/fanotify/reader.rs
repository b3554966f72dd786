//! The lifeguard: it reads the content group whenever the judging thread cannot, answers the guard's own opens, and listens for
//! the end. It never waits for the judging thread.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::Sender;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

use super::message::Message;
use super::turn::Turn;
use super::{sched, sys};
use crate::Error;

/// So long the judging thread may be away before the lifeguard reads for it.
pub(super) const IDLE: Duration = Duration::from_millis(20);
/// Between two looks whether it has come back.
const STEP: Duration = Duration::from_millis(5);

pub(super) struct Reader {
    pub(super) content: Arc<OwnedFd>,
    pub(super) termination: OwnedFd,
    pub(super) stopped: OwnedFd,
    pub(super) send: Sender<Message>,
    pub(super) turn: Arc<Turn>,
}

impl Reader {
    pub(super) fn run(self) {
        sched::attend();
        if let Err(source) = self.read() {
            let _ = self.send.send(Message::Broken(Error::Read(source)));
            sys::ring(&self.turn.bell);
        }
    }

    fn read(&self) -> io::Result<()> {
        let (mut serves, mut beat) = (true, 0);
        loop {
            let mut ready = [
                PollFd::new(&self.stopped, PollFlags::IN),
                PollFd::new(&self.termination, PollFlags::IN),
                PollFd::new(&self.turn.call, PollFlags::IN),
                PollFd::new(&self.content, PollFlags::IN),
            ];
            // Left out, not asked for nothing: the kernel wakes whoever polls a group for each of its events.
            let asked = if serves { ready.len() } else { ready.len() - 1 };
            let wait = if serves { STEP } else { IDLE };
            let timeout = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
            let quiet = match poll(ready.get_mut(..asked).unwrap_or_default(), Some(&timeout)) {
                Ok(ready) => ready == 0,
                Err(rustix::io::Errno::INTR) => false,
                Err(error) => return Err(error.into()),
            };
            let [stopped, termination, call, content] = ready.each_ref().map(|fd| !fd.revents().is_empty());
            if stopped {
                return Ok(());
            }
            if call {
                sys::hear(&self.turn.call);
            }
            if content {
                self.serve()?;
            } else if quiet {
                self.turn.intake().refill();
            }
            if termination {
                let mut signal = [0; 128];
                if rustix::io::read(&self.termination, &mut signal).is_ok() {
                    self.hand_over(Message::Terminate);
                }
            }
            let before = std::mem::replace(&mut beat, self.turn.beat.load(Ordering::Relaxed));
            // Nothing else tells apart a thread that is busy from one that waits for itself.
            let away = (quiet || serves) && !self.turn.is_listening() && beat == before;
            serves = self.turn.is_lent() || away;
        }
    }

    fn serve(&self) -> io::Result<()> {
        // Read and handed over in one, so that no later event overtakes what was read here.
        let mut intake = self.turn.intake();
        for message in intake.read(self.send.len())? {
            let _ = self.send.send(message);
        }
        drop(intake);
        sys::ring(&self.turn.bell);
        Ok(())
    }

    fn hand_over(&self, message: Message) {
        let _ = self.send.send(message);
        sys::ring(&self.turn.bell);
    }
}
