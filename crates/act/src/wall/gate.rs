//! The policy of one machine: loading it for a trial, confirming it, taking it back.
//!
//! What is loaded lives in the kernel; what was loaded, and what before, lives in a folder, so that it is there after a reboot.
//! A trial ends in the kernel: the table holds both policies, and the entry that makes the new one count has a time. No process
//! has to be alive for the old one to come back.

mod book;
mod loaded;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::policy::{Policy, TABLE, render};
use super::program::{Output, beside, is_nft, run};
use crate::Error;
pub use book::Kept;
use book::{Book, Trial};
pub use loaded::{Counted, Loaded};

/// The longest trial: who has not looked by then never will.
pub const TRIAL_MAX: Duration = Duration::from_secs(24 * 3600);

/// The table `inet chartward_policy` of one machine, with the folder that remembers it.
#[derive(Debug, Clone)]
pub struct Gate {
    command: Vec<String>,
    folder: PathBuf,
    timeout: Duration,
}

/// What the folder says is to be in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// What counts now; `None`: no policy.
    pub current: Option<Kept>,
    /// Until when it is on trial, and what comes then.
    pub trial: Option<OnTrial>,
    /// A trial that nobody confirmed, and that ended then.
    pub rolled_back_at: Option<Timestamp>,
    /// What an undo would bring back: a number, or nothing; `None`: there is nothing to undo.
    pub before: Option<Option<u64>>,
    shape: Option<String>,
}

/// A trial that the kernel ended, since nobody confirmed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What was on trial.
    pub number: Option<u64>,
    /// When it ended, or, where the machine was started anew meanwhile, would have ended.
    pub at: Timestamp,
    /// What counts since.
    pub then: Option<u64>,
}

/// A policy that nobody confirmed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OnTrial {
    /// When it ends.
    pub until: Timestamp,
    /// What counts from then on.
    pub then: Option<u64>,
}

impl Standing {
    /// Whether the kernel holds something else than was loaded; `None`: everything is as it was loaded.
    pub fn drift(&self, loaded: Option<&Loaded>) -> Option<Drift> {
        match (&self.current, loaded) {
            (None, None) => None,
            (Some(_), None) => Some(Drift::Gone),
            (_, Some(loaded)) if self.shape.as_ref() == Some(&loaded.shape) => None,
            (_, Some(_)) => Some(Drift::Changed),
        }
    }
}

/// How the kernel differs from what was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// The table is not there: a reboot, or somebody flushed the rules.
    Gone,
    /// Somebody changed it.
    Changed,
}

impl Gate {
    /// Nothing happens yet. `command` is that of [`super::Settings`]; the folder is made when something is kept.
    pub fn new(command: Vec<String>, folder: &Path, timeout: Duration) -> Self {
        Self { command, folder: folder.to_owned(), timeout }
    }

    /// What is to be in force at a time.
    pub fn standing(&self, now: Timestamp) -> Result<Standing, Error> {
        let book = Book::read(&self.folder)?;
        let trial = book.trial.as_ref();
        let live = trial.filter(|trial| trial.is_live(now));
        let current = live.map_or(book.confirmed, |trial| trial.generation);
        Ok(Standing {
            current: current.map(|number| Book::kept(&self.folder, number)).transpose()?,
            trial: live.map(|trial| OnTrial { until: trial.until, then: book.confirmed }),
            rolled_back_at: trial.filter(|_| live.is_none()).map(|trial| trial.until),
            before: book.before,
            shape: book.shape,
        })
    }

    /// A trial that ended by itself and of which [`Gate::ended_is_told`] was not called yet.
    pub fn ended(&self, now: Timestamp) -> Result<Option<Ended>, Error> {
        let book = Book::read(&self.folder)?;
        let over = book.trial.filter(|trial| !trial.is_live(now) && !trial.told);
        Ok(over.map(|trial| Ended { number: trial.generation, at: trial.until, then: book.confirmed }))
    }

    /// Remembers that the end of a trial was told.
    pub fn ended_is_told(&self, ended: &Ended) -> Result<(), Error> {
        let _lock = book::lock(&self.folder)?;
        let mut book = Book::read(&self.folder)?;
        match &mut book.trial {
            Some(trial) if trial.generation == ended.number && trial.until == ended.at => trial.told = true,
            _ => return Ok(()),
        }
        book.write(&self.folder)
    }

    /// What the kernel says; `None`: there is no such table.
    pub fn loaded(&self) -> Result<Option<Loaded>, Error> {
        let tables = self.nft(&["-j", "list", "tables", "inet"], "")?;
        if !tables.is_success {
            return Err(self.refused("list the tables", &tables));
        }
        if !loaded::has_table(&tables.stdout, TABLE)? {
            return Ok(None);
        }
        let output = self.nft(&["-j", "list", "table", "inet", TABLE], "")?;
        match output.is_success {
            true => loaded::parse(&output.stdout).map(Some),
            false => Err(self.refused("list the table inet chartward_policy", &output)),
        }
    }

    /// Says whether the packet filter would take a policy; changes nothing.
    pub fn try_out(&self, policy: &Policy) -> Result<String, Error> {
        let text = render(Some((policy, 1)), None);
        let output = self.nft(&["-c", "-f", "-"], &text)?;
        if output.is_success { Ok(text) } else { Err(self.refused("check the policy", &output)) }
    }

    /// Loads a policy, for a trial or for good; one transaction.
    pub fn apply(&self, policy: &Policy, trial: Option<Duration>, now: Timestamp) -> Result<Standing, Error> {
        let _lock = book::lock(&self.folder)?;
        let mut book = self.without_trial(now)?;
        let number = book.next.max(1);
        book.next = number + 1;
        book.keep(&self.folder, &Kept { number, at: now, policy: policy.clone() })?;
        let before = book.confirmed.map(|number| Book::kept(&self.folder, number)).transpose()?;
        let text = match trial {
            Some(lasts) => {
                let lasts = lasts.min(TRIAL_MAX);
                let signed = SignedDuration::try_from(lasts).unwrap_or(SignedDuration::MAX);
                let until = now.checked_add(signed).unwrap_or(Timestamp::MAX);
                book.trial = Some(Trial { generation: Some(number), until, boot: book::boot(), told: false });
                let before = before.as_ref().map(|kept| (&kept.policy, kept.number));
                render(Some((policy, number)), Some((before, lasts)))
            }
            None => {
                book.trial = None;
                book.before = Some(book.confirmed);
                book.confirmed = Some(number);
                render(Some((policy, number)), None)
            }
        };
        self.load_as(book, &text)?;
        self.standing(now)
    }

    /// Ends the trial for good. An error when there is none, or when the kernel has ended it.
    pub fn confirm(&self, now: Timestamp) -> Result<Standing, Error> {
        let _lock = book::lock(&self.folder)?;
        let mut book = Book::read(&self.folder)?;
        let trial = book.trial.take().ok_or(Error::NoTrial)?;
        let is_live = trial.is_live(now) && self.loaded()?.is_some_and(|loaded| loaded.is_on_trial);
        if !is_live {
            return Err(Error::TrialOver { at: trial.until });
        }
        book.before = Some(book.confirmed);
        book.confirmed = trial.generation;
        let kept = trial.generation.map(|number| Book::kept(&self.folder, number)).transpose()?;
        self.load_as(book, &render(kept.as_ref().map(|kept| (&kept.policy, kept.number)), None))?;
        self.standing(now)
    }

    /// What [`Gate::undo`] would bring back; an error when there is nothing to undo.
    pub fn undone(&self, now: Timestamp) -> Result<Option<Kept>, Error> {
        let book = Book::read(&self.folder)?;
        let back_to = match book.trial.as_ref().is_some_and(|trial| trial.is_live(now)) {
            true => book.confirmed,
            false => book.before.ok_or(Error::NothingToUndo)?,
        };
        back_to.map(|number| Book::kept(&self.folder, number)).transpose()
    }

    /// Brings back what there was before the last apply; a trial ends at once. Twice brings back what was undone.
    pub fn undo(&self, now: Timestamp) -> Result<Standing, Error> {
        let _lock = book::lock(&self.folder)?;
        let kept = self.undone(now)?;
        let mut book = Book::read(&self.folder)?;
        let was_trial = book.trial.take().is_some_and(|trial| trial.is_live(now));
        if !was_trial {
            book.before = Some(book.confirmed);
            book.confirmed = kept.as_ref().map(|kept| kept.number);
        }
        self.load_as(book, &render(kept.as_ref().map(|kept| (&kept.policy, kept.number)), None))?;
        self.standing(now)
    }

    /// Loads what is confirmed, whatever is there: after a reboot, or after somebody changed it. A trial that goes on is left
    /// alone.
    pub fn load(&self, now: Timestamp) -> Result<Standing, Error> {
        let _lock = book::lock(&self.folder)?;
        let mut book = self.without_trial(now)?;
        book.trial = None;
        self.load_confirmed(book)?;
        self.standing(now)
    }

    /// Loads what is confirmed when the kernel holds something else, and says how it differed. While a policy is on trial, and where
    /// none was confirmed, nothing is touched.
    pub fn mend(&self, now: Timestamp) -> Result<Option<Drift>, Error> {
        if self.drifted(now)?.is_none() {
            return Ok(None);
        }
        // Another process may just be at it: what it is about to load is no drift.
        let _lock = book::lock(&self.folder)?;
        let Some(drift) = self.drifted(now)? else { return Ok(None) };
        let mut book = self.without_trial(now)?;
        book.trial = None;
        self.load_confirmed(book)?;
        Ok(Some(drift))
    }

    fn drifted(&self, now: Timestamp) -> Result<Option<Drift>, Error> {
        let standing = self.standing(now)?;
        if standing.current.is_none() || standing.trial.is_some() {
            return Ok(None);
        }
        Ok(standing.drift(self.loaded()?.as_ref()))
    }

    fn load_confirmed(&self, book: Book) -> Result<(), Error> {
        let kept = book.confirmed.map(|number| Book::kept(&self.folder, number)).transpose()?;
        self.load_as(book, &render(kept.as_ref().map(|kept| (&kept.policy, kept.number)), None))
    }

    fn without_trial(&self, now: Timestamp) -> Result<Book, Error> {
        let book = Book::read(&self.folder)?;
        match &book.trial {
            Some(trial) if trial.is_live(now) => {
                Err(Error::TrialPending { seconds: trial.until.duration_since(now).as_secs().max(1) })
            }
            _ => Ok(book),
        }
    }

    /// Writes down first what is about to be: who dies in between leaves a book that [`Gate::load`] makes true.
    fn load_as(&self, mut book: Book, text: &str) -> Result<(), Error> {
        let old = Book::read(&self.folder)?;
        book.shape = None;
        book.write(&self.folder)?;
        let output = match self.nft(&["-f", "-"], text) {
            Ok(output) if output.is_success => Ok(()),
            Ok(output) => Err(self.refused("load the policy", &output)),
            Err(error) => Err(error),
        };
        if let Err(error) = output {
            old.write(&self.folder)?;
            return Err(error);
        }
        book.shape = self.loaded()?.map(|loaded| loaded.shape);
        book.write(&self.folder)
    }

    /// A program where the packet filter is, with what it says.
    fn beside(&self, words: &[&str]) -> Result<Vec<u8>, Error> {
        let output = beside(&self.command, words, self.timeout)
            .map_err(|source| Error::PacketFilterProgram { command: words.join(" "), source })?;
        // A machine without IPv6 has only one of two files; who saw nothing at all must not take that for "nobody is here".
        if !output.is_success && output.stdout.is_empty() {
            let source = std::io::Error::other(output.answer());
            return Err(Error::PacketFilterProgram { command: words.join(" "), source });
        }
        Ok(output.stdout)
    }

    /// Lines of `/proc/net/tcp` and `/proc/net/tcp6`.
    pub(super) fn sockets(&self) -> Result<Vec<u8>, Error> {
        self.beside(&["cat", "/proc/net/tcp", "/proc/net/tcp6"])
    }

    /// What `ip -j` says.
    pub(super) fn ip(&self, words: &[&str]) -> Result<Vec<u8>, Error> {
        self.beside(&[&["ip", "-j"], words].concat())
    }

    fn nft(&self, arguments: &[&str], input: &str) -> Result<Output, Error> {
        let mut command = self.command.clone();
        // Hours are converted by the program, in its own time zone; beyond ssh only words go along.
        if command.last().is_some_and(|last| is_nft(last)) {
            let at = command.len() - 1;
            command.splice(at..at, ["env".to_owned(), "TZ=UTC".to_owned()]);
        }
        run(&command, arguments, input, self.timeout)
            .map_err(|source| Error::PacketFilterProgram { command: command.join(" "), source })
    }

    fn refused(&self, operation: &'static str, output: &Output) -> Error {
        Error::PacketFilter { operation, command: self.command.join(" "), answer: output.answer() }
    }
}
