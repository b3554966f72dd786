//! The scribe: one thread that waits for the disk, so that nobody who decides does.
//!
//! What the core writes outlives a killed process at once. A machine that stops may lose what the disk had not taken; that takes
//! the bans and frozen processes with it, which live in the kernel's memory. So the hands act on what is written, and whoever asked
//! for something hears of it when it is durable ([`Scribe::wait`]). The ledger tells last: of acts, it does not allow them.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use jiff::Timestamp;
use prove::lake::{Lake, Written};
use prove::{Error, Fact, Ledger, State};

/// Facts that wait for a ledger that takes none.
const FACTS_MAX: usize = 10_000;
/// Facts of one batch of the ledger, which is bounded in bytes.
const FACTS_TOGETHER: usize = 64;
/// How soon a ledger that took nothing is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// What is to be made durable.
#[derive(Debug, Default)]
pub(super) struct Note {
    /// Lines in the lake's journal, up to the last ones.
    pub(super) lake: Option<Written>,
    /// Whether the database was changed.
    pub(super) state: bool,
    /// What the ledger is to tell.
    pub(super) facts: Vec<Fact>,
}

impl Note {
    fn is_empty(&self) -> bool {
        self.lake.is_none() && !self.state && self.facts.is_empty()
    }

    fn add(&mut self, later: Note) {
        self.lake = later.lake.or(self.lake);
        self.state |= later.state;
        self.facts.extend(later.facts);
    }
}

/// What became durable; nothing of what was not asked for.
#[derive(Debug)]
pub(super) struct Kept {
    /// Up to which position; or what was not taken, and why.
    pub(super) lake: Option<Result<u64, (Written, Error)>>,
    pub(super) state: Option<Result<(), Error>>,
    pub(super) ledger: Option<Result<(), Error>>,
}

enum Word {
    Keep(Note),
    Answer(Sender<()>),
}

/// The way to the thread; it ends once this is dropped and everything is written.
pub(super) struct Scribe {
    words: Option<Sender<Word>>,
    pub(super) kept: Receiver<Kept>,
    thread: Option<JoinHandle<()>>,
}

impl Scribe {
    pub(super) fn start(lake: Arc<Lake>, state: State, ledger: Arc<Ledger>) -> std::io::Result<Self> {
        let (words, words_out) = unbounded();
        let (kept_in, kept) = unbounded();
        let mut desk = Desk { lake, state, ledger, facts: Vec::new() };
        let thread =
            thread::Builder::new().name("scribe".into()).spawn(move || desk.run(&words_out, &kept_in))?;
        Ok(Self { words: Some(words), kept, thread: Some(thread) })
    }

    pub(super) fn keep(&self, note: Note) {
        if let Some(words) = self.words.as_ref().filter(|_| !note.is_empty()) {
            let _ = words.send(Word::Keep(note));
        }
    }

    /// Returns when everything that was handed over was tried; what came of it waits in `kept`.
    pub(super) fn wait(&self) {
        let (answer, answered) = bounded(1);
        if self.words.as_ref().is_some_and(|words| words.send(Word::Answer(answer)).is_ok()) {
            let _ = answered.recv();
        }
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.words = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Desk {
    lake: Arc<Lake>,
    state: State,
    ledger: Arc<Ledger>,
    /// What the ledger has not taken yet.
    facts: Vec<Fact>,
}

impl Desk {
    fn run(&mut self, words: &Receiver<Word>, kept: &Sender<Kept>) {
        loop {
            let first = match words.recv_timeout(AGAIN) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let (mut note, mut answers) = (Note::default(), Vec::new());
            for word in first.into_iter().chain(words.try_iter()) {
                match word {
                    Word::Keep(more) => note.add(more),
                    Word::Answer(answer) => answers.push(answer),
                }
            }
            if !note.is_empty() || !self.facts.is_empty() {
                // The core is gone only when the hub ends.
                let _ = kept.send(self.take(note));
            }
            for answer in answers {
                let _ = answer.send(());
            }
        }
    }

    /// In the order in which one follows from the other.
    fn take(&mut self, note: Note) -> Kept {
        self.facts.extend(note.facts);
        Kept {
            lake: note.lake.map(|written| self.lake.sync(written).map_err(|error| (written, error))),
            state: note.state.then(|| self.state.sync()),
            ledger: (!self.facts.is_empty()).then(|| self.tell()),
        }
    }

    fn tell(&mut self) -> Result<(), Error> {
        let mut told = Ok(());
        while !self.facts.is_empty() && told.is_ok() {
            let together = self.facts.len().min(FACTS_TOGETHER);
            told = match self.ledger.append_all(self.facts[..together].to_vec(), Timestamp::now()) {
                // What no batch can ever hold must not keep everything after it from being told.
                Ok(_) | Err(Error::FactTooLong { .. }) => {
                    self.facts.drain(..together);
                    Ok(())
                }
                Err(error) => Err(error),
            };
        }
        self.facts.drain(..self.facts.len().saturating_sub(FACTS_MAX));
        told
    }
}
