//! Whose turn it is to read events.
//!
//! The judging thread reads them itself: handing each open over from one thread to another costs more than judging it. But it opens
//! files of the tree too (to put them back, to look at a renamed one), and whoever waits in an open of its own cannot answer it. Then
//! the lifeguard reads: while it is [lent](Turn::lend) the turn, and whenever the judging thread has not come back for
//! [`super::reader::IDLE`].

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::event::{EventfdFlags, eventfd};

use super::intake::Intake;
use super::{sched, sys};
use crate::Error;

thread_local! {
    /// Of the judging thread.
    static TURN: RefCell<Weak<Turn>> = RefCell::default();
}

/// Shared by the judging thread and the lifeguard.
#[derive(Debug)]
pub(super) struct Turn {
    intake: Mutex<Intake>,
    /// How often the turn is lent now.
    lent: AtomicU32,
    /// The judging thread waits for events itself.
    listening: AtomicBool,
    /// Moves on with every message that the judging thread takes.
    pub(super) beat: AtomicU64,
    /// Wakes the lifeguard.
    pub(super) call: OwnedFd,
    /// Wakes the judging thread.
    pub(super) bell: OwnedFd,
}

impl Turn {
    /// The lifeguard's, until the judging thread [takes it](Turn::take).
    pub(super) fn new(intake: Intake) -> Result<Self, Error> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let event = || eventfd(0, flags).map_err(|error| Error::Read(error.into()));
        Ok(Self {
            intake: Mutex::new(intake),
            lent: AtomicU32::new(1),
            listening: AtomicBool::new(false),
            beat: AtomicU64::new(0),
            call: event()?,
            bell: event()?,
        })
    }

    pub(super) fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calling thread judges from now on.
    pub(super) fn take(self: &Arc<Self>) {
        TURN.with_borrow_mut(|turn| *turn = Arc::downgrade(self));
        sched::attend();
        self.give_back();
    }

    /// Gives the turn to the lifeguard.
    pub(super) fn lend(&self) {
        self.lent.fetch_add(1, Ordering::SeqCst);
        sys::ring(&self.call);
    }

    pub(super) fn give_back(&self) {
        if self.lent.fetch_sub(1, Ordering::SeqCst) == 1 {
            // So that it leaves the queue alone at once.
            sys::ring(&self.call);
        }
    }

    pub(super) fn is_lent(&self) -> bool {
        self.lent.load(Ordering::SeqCst) > 0
    }

    pub(super) fn listen(&self, listening: bool) {
        self.listening.store(listening, Ordering::SeqCst);
        self.beat.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::SeqCst)
    }
}

/// While it lives, the lifeguard answers the guard's own opens.
#[derive(Debug)]
pub struct Lent {
    turn: Arc<Turn>,
    calm: bool,
}

impl Lent {
    /// For work that takes long: the thread and those that it starts run like any other meanwhile.
    pub(super) fn for_long(turn: &Arc<Turn>) -> Self {
        turn.lend();
        sched::roam();
        Self { turn: Arc::clone(turn), calm: true }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.calm {
            sched::attend();
        }
        self.turn.give_back();
    }
}

/// Lends the turn of the calling thread, if it has one, for an open of its own.
pub(in crate::files) fn lend() -> Option<Lent> {
    let turn = TURN.with_borrow(Weak::upgrade)?;
    turn.lend();
    Some(Lent { turn, calm: false })
}
